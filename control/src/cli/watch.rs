//! `gotthard status --watch`: the status again whenever something happens and every second, until interrupted.

use std::io::{IsTerminal, Write};
use std::path::Path;

use tokio::time::Instant;

use super::args::{Output, StatusArgs};
use super::exit::Exit;
use super::feed::{Change, Feed};
use super::interrupt::Interrupt;
use super::table::Before;
use super::{order, show};
use crate::api::messages::Response;
use crate::api::status::Status;

/// Ends well when interrupted, else when the daemon no longer answers or nobody reads.
pub(super) async fn watch(socket: &Path, wanted: StatusArgs) -> Exit {
    let terminal = std::io::stdout().is_terminal();
    let mut interrupt = Interrupt::catch();
    let mut feed = Feed::open(socket, wanted.name, u64::MAX).await;
    let mut before: Option<(Status, Instant)> = None;
    loop {
        let change = tokio::select! {
            change = feed.next() => change,
            () = interrupt.next() => return Exit::Ok,
        };
        let status = match change {
            Change::Event(_) => continue,
            Change::Answer(Ok(Response::Status(status))) => *status,
            Change::Answer(other) => return order::judge(other).err().unwrap_or_else(order::unexpected),
        };
        let asked = Instant::now();
        let text = match wanted.output {
            Output::Json => show::json_line(&status),
            Output::Table => {
                let previous = before.as_ref().map(|(status, at)| Before { status, elapsed: asked - *at });
                let table = show::table(&status, previous);
                if terminal { over(&table) } else { table + "\n" }
            }
        };
        let mut out = std::io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return Exit::Failed;
        }
        before = Some((status, asked));
    }
}

/// The text from the top left over what a terminal shows: each line replaces one, so that nothing flickers.
fn over(text: &str) -> String {
    let lines = text.replace('\n', "\x1b[K\n");
    format!("\x1b[H{lines}\x1b[J")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_the_screen_is_gone_and_nothing_is_cleared_before_it_is_written() {
        assert_eq!(over("one\ntwo\n"), "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J");
    }
}

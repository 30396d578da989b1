//! `gotthard status`: once, or again every second.

use core::time::Duration;
use std::io::{IsTerminal, Write};
use std::path::Path;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::args::{Output, StatusArgs};
use super::exit::Exit;
use super::order;
use super::show;
use super::table::Before;
use crate::api::status::Status;

/// Shows the status; with `--watch` until interrupted, or until the daemon no longer answers.
pub(super) async fn status(socket: &Path, wanted: StatusArgs) -> Exit {
    if wanted.watch {
        return watch(socket, &wanted).await;
    }
    match order::status(socket, wanted.name).await {
        Ok(status) => {
            let text = match wanted.output {
                Output::Table => show::table(&status, None),
                Output::Json => show::json_pretty(&status),
            };
            printed(&text, show::exit_of(&status))
        }
        Err(exit) => exit,
    }
}

async fn watch(socket: &Path, wanted: &StatusArgs) -> Exit {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<(Status, Instant)> = None;
    loop {
        ticks.tick().await;
        let status = match order::status(socket, wanted.name.clone()).await {
            Ok(status) => status,
            Err(exit) => return exit,
        };
        let asked = Instant::now();
        let text = match wanted.output {
            Output::Table => {
                let previous = before.as_ref().map(|(status, at)| Before { status, elapsed: asked - *at });
                clear() + &show::table(&status, previous)
            }
            Output::Json => show::json_line(&status),
        };
        if printed(&text, Exit::Ok) != Exit::Ok {
            return Exit::Failed;
        }
        before = Some((status, asked));
    }
}

/// Home and clear, on a terminal only.
fn clear() -> String {
    if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J".to_owned() } else { String::new() }
}

/// Prints and ends with `exit`, or with a failure where nobody reads.
fn printed(text: &str, exit: Exit) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit,
        Err(_) => Exit::Failed,
    }
}

const PERIOD: Duration = Duration::from_secs(1);

//! `gotthard status`: a status as text, and the exit code that sums it up.

use std::io::Write;
use std::path::Path;

use super::args::{Output, StatusArgs};
use super::exit::Exit;
use super::table::{self, Before};
use super::{order, watch};
use crate::api::status::{ConnectionState, Status};

/// Shows the status, once or as long as it is watched.
pub(super) async fn status(socket: &Path, wanted: StatusArgs) -> Exit {
    if wanted.watch {
        return watch::watch(socket, wanted).await;
    }
    let status = match order::status(socket, wanted.name).await {
        Ok(status) => status,
        Err(exit) => return exit,
    };
    let text = match wanted.output {
        Output::Table => table(&status, None),
        Output::Json => json_pretty(&status),
    };
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit_of(&status),
        Err(_) => Exit::Failed,
    }
}

/// For people; with rates where an earlier status is known.
pub(super) fn table(status: &Status, before: Option<Before<'_>>) -> String {
    table::render(status, before)
}

/// For programs, one object over many lines.
fn json_pretty(status: &Status) -> String {
    serde_json::to_string_pretty(status).unwrap_or_default() + "\n"
}

/// For programs that read a stream: one object, one line.
pub(super) fn json_line(status: &Status) -> String {
    serde_json::to_string(status).unwrap_or_default() + "\n"
}

/// A connection that is not up makes the gateway degraded; which one and how far is in the output.
fn exit_of(status: &Status) -> Exit {
    let up = status.connections.iter().all(|connection| connection.state == ConnectionState::Up);
    if up { Exit::Ok } else { Exit::Degraded }
}

//! A status as text: JSON for programs, and the exit code that sums it up.

use super::exit::Exit;
use super::table::{self, Before};
use crate::api::status::{ConnectionState, Status};

/// For people; with rates where an earlier status is known.
pub(super) fn table(status: &Status, before: Option<Before<'_>>) -> String {
    table::render(status, before)
}

/// For programs, one object over many lines.
pub(super) fn json_pretty(status: &Status) -> String {
    serde_json::to_string_pretty(status).unwrap_or_default() + "\n"
}

/// For programs that read a stream: one object, one line.
pub(super) fn json_line(status: &Status) -> String {
    serde_json::to_string(status).unwrap_or_default() + "\n"
}

/// A connection that is not up makes the gateway degraded; which one and how far is in the output.
pub(super) fn exit_of(status: &Status) -> Exit {
    let up = status.connections.iter().all(|connection| connection.state == ConnectionState::Up);
    if up { Exit::Ok } else { Exit::Degraded }
}

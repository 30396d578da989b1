//! Lines to the journal with their fields (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): `journalctl GOTTHARD_CONNECTION=aws`, and
//! by MESSAGE_ID all of one kind of event. One datagram a line; a value has its length bounded before it comes here.

use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;

use serde_json::Value;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::events::kind::message_id;
use crate::events::layer::Line;

/// A connection to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// The journal, where it is what standard error leads to (`$JOURNAL_STREAM`, systemd.exec(5)).
    pub(super) fn of_standard_error() -> Option<Self> {
        let stream = std::env::var("JOURNAL_STREAM").ok()?;
        let error = rustix::fs::fstat(io::stderr()).ok()?;
        if stream != format!("{}:{}", error.st_dev, error.st_ino) {
            return None;
        }
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(SOCKET).ok()?;
        // A journal that does not read must not stop the gateway.
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket })
    }
}

impl<S> Layer<S> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, line: &tracing::Event<'_>, context: Context<'_, S>) {
        let line = Line::of(line, &context);
        if self.socket.send(&entry(&line)).is_err() {
            // The stream behind standard error is the journal's too, without the fields.
            let _ = writeln!(io::stderr(), "{}", text(&line));
        }
    }
}

/// A line as the journal takes it.
fn entry(line: &Line) -> Vec<u8> {
    let mut entry = Vec::new();
    put(&mut entry, "MESSAGE", &text(line));
    put(&mut entry, "PRIORITY", priority(line.level));
    put(&mut entry, "SYSLOG_IDENTIFIER", "gotthard");
    put(&mut entry, "GOTTHARD_TARGET", line.target);
    if let Some(code) = &line.event {
        put(&mut entry, "MESSAGE_ID", &message_id(code));
        put(&mut entry, "GOTTHARD_EVENT", code);
    }
    let named =
        [("CONNECTION", &line.connection), ("TUNNEL", &line.tunnel), ("CAUSE", &line.cause)].into_iter();
    for (name, value) in named.filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        put(&mut entry, &format!("GOTTHARD_{name}"), value);
    }
    for (name, value) in &line.fields {
        put(&mut entry, &format!("GOTTHARD_{}", name.to_ascii_uppercase().replace('.', "_")), &plain(value));
    }
    entry
}

/// What `journalctl` shows: as standard error has it.
fn text(line: &Line) -> String {
    let place = match (&line.connection, &line.tunnel) {
        (Some(connection), Some(tunnel)) => format!("{connection}/{tunnel}: "),
        (Some(connection), None) => format!("{connection}: "),
        (None, _) => String::new(),
    };
    let mut text = format!("{place}{}", line.message);
    if let Some(cause) = &line.cause {
        text.extend([" code=", cause.as_str()]);
    }
    for (name, value) in &line.fields {
        text.extend([" ", name.as_str(), "=", &value.to_string()]);
    }
    text
}

/// A field: on one line, or where the value has several, with its length.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend((value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend(value.as_bytes());
    entry.push(b'\n');
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// Where the journal takes entries.
const SOCKET: &str = "/run/systemd/journal/socket";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_line_has_its_identifier_and_its_fields_and_no_value_ends_the_entry() {
        let line = Line {
            level: Level::WARN,
            target: "gotthard::daemon",
            event: Some("GTH-EVT-21".to_owned()),
            cause: Some("GTH-BGP-09".to_owned()),
            connection: Some("aws".to_owned()),
            tunnel: Some("1".to_owned()),
            message: "down: a\nMESSAGE=forged".to_owned(),
            fields: BTreeMap::from([("routes_kept".to_owned(), true.into()), ("x.y".to_owned(), "z".into())]),
        };
        let entry = String::from_utf8(entry(&line)).unwrap();
        let message = "aws/1: down: a\nMESSAGE=forged code=GTH-BGP-09 routes_kept=true x.y=\"z\"";
        let length = String::from_utf8((message.len() as u64).to_le_bytes().to_vec()).unwrap();
        let id = message_id("GTH-EVT-21");
        assert_eq!(
            entry,
            format!(
                "MESSAGE\n{length}{message}\nPRIORITY=4\nSYSLOG_IDENTIFIER=gotthard\nGOTTHARD_TARGET=gotthard::daemon\n\
                 MESSAGE_ID={id}\nGOTTHARD_EVENT=GTH-EVT-21\nGOTTHARD_CONNECTION=aws\nGOTTHARD_TUNNEL=1\n\
                 GOTTHARD_CAUSE=GTH-BGP-09\nGOTTHARD_ROUTES_KEPT=true\nGOTTHARD_X_Y=z\n"
            )
        );
    }
}

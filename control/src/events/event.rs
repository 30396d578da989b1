//! One event, as it is told in JSON. Keys are never renamed, and added freely.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts the events of this run of the daemon, from 1.
    pub seq: u64,
    /// When, by the wall clock (RFC 3339, UTC).
    pub time: String,
    /// How bad it is.
    pub severity: Severity,
    /// What happened: `GTH-EVT-01`.
    pub code: String,
    /// The same as a word: `tunnel-up`.
    pub name: String,
    /// Why, where something failed: a code for `gotthard explain`.
    pub cause: Option<String>,
    /// The connection that it concerns.
    pub connection: Option<String>,
    /// The tunnel of the connection.
    pub tunnel: Option<String>,
    /// One sentence.
    pub message: String,
    /// Further values, as the log has them.
    pub fields: BTreeMap<String, Value>,
}

#[cfg(test)]
impl Event {
    /// An event of which the message alone matters.
    pub(super) fn saying(message: &str) -> Self {
        Self {
            seq: 0,
            time: String::new(),
            severity: Severity::Info,
            code: String::new(),
            name: String::new(),
            cause: None,
            connection: None,
            tunnel: None,
            message: message.to_owned(),
            fields: BTreeMap::new(),
        }
    }
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    Info,
    /// An operator should look.
    Warning,
    /// We are broken.
    Error,
}

impl Severity {
    /// As the JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

//! Why a file is not imported.

use thiserror::Error;

use super::MAX_FILE;

/// Why a file is not imported, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// More than anybody hands out.
    #[error("the file is larger than {} KiB: name the file of the connection alone", MAX_FILE / 1024)]
    TooLarge,
    /// None of the forms that are read.
    #[error("the file is in none of the forms that are read here: {0}")]
    Unknown(&'static str),
    /// It begins like one of the forms, and does not go on like it.
    #[error("the file is no whole {form}: {why}")]
    Malformed {
        /// The form.
        form: &'static str,
        /// Where reading ended.
        why: String,
    },
    /// It describes nothing.
    #[error("the file describes no VPN connection that is in use")]
    NoConnection,
    /// More than one gateway has.
    #[error("the file describes {0}, more than one gateway takes")]
    TooMany(&'static str),
    /// Several connections, and one name.
    #[error("the file describes several connections: --name is for one; leave it out, or give a file of one")]
    OneName,
    /// A part is missing that nobody else knows.
    #[error("{connection}: the file does not say {what}: {remedy}")]
    Missing {
        /// Whose.
        connection: String,
        /// What.
        what: &'static str,
        /// Where it is to be had.
        remedy: &'static str,
    },
    /// What stands for the key is none. It is not shown.
    #[error(
        "{connection}: what the file has as pre-shared key is none: it is too long, or has control characters"
    )]
    Key {
        /// Whose.
        connection: String,
    },
    /// A value cannot be what it is called.
    #[error("{connection}: {value:?} is no {what}")]
    Value {
        /// Whose.
        connection: String,
        /// What it should be.
        what: &'static str,
        /// What is written.
        value: String,
    },
    /// The cloud allows nothing that we offer.
    #[error("{connection}: {phase}: the cloud allows {allowed}, of which Gotthard speaks none: {remedy}")]
    NoCommonSuite {
        /// Whose.
        connection: String,
        /// The console's name of the phase.
        phase: &'static str,
        /// What is allowed.
        allowed: String,
        /// What to set in the console.
        remedy: String,
    },
}

impl Refused {
    /// A value that cannot be what it is called; long ones are cut.
    pub(super) fn value(connection: &str, what: &'static str, value: &str) -> Self {
        Self::Value {
            connection: connection.to_owned(),
            what,
            value: value.chars().take(MAX_SHOWN).collect(),
        }
    }
}

/// Characters of a value that are shown.
const MAX_SHOWN: usize = 64;

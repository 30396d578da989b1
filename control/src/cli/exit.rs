//! Exit codes: a contract with scripts.

use std::process::ExitCode;

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for `status`: every connection is up.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No daemon answers on the socket.
    Unreachable = 3,
    /// The configuration does not hold.
    ConfigInvalid = 4,
    /// `status`: a connection is degraded or down.
    Degraded = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

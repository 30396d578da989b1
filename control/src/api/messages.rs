//! What is asked on the control socket, and what is answered.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::capture::{CaptureOrder, CapturePage};
use super::drill::{DrillOrder, DrillState};
use super::routes::RouteTable;
use super::status::Status;
use crate::events::ring::Page;

/// A question or an order to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// How every connection is, or the named one alone.
    Status {
        /// Name of a connection.
        connection: Option<String>,
    },
    /// What is behind the peers of every connection, or of the named one alone.
    Routes {
        /// Name of a connection.
        connection: Option<String>,
    },
    /// What happened.
    Events {
        /// The number of the last event that is known; 0: all that are kept.
        since: u64,
    },
    /// Wanted up, from here on.
    Up(Target),
    /// Wanted down, from here on: its SAs are deleted at the peer.
    Down(Target),
    /// Rekey an SA of a tunnel that is up.
    Rekey(Rekey),
    /// Move a connection's traffic off its tunnel and back, and measure that.
    Drill(DrillOrder),
    /// How far the drill is.
    DrillState,
    /// End the drill; its traffic moves back.
    DrillEnd,
    /// Begin to copy a tunnel's packets.
    Capture(CaptureOrder),
    /// The packets that came since the last request.
    CaptureMore,
    /// End the capture; with the packets that came last.
    CaptureEnd,
    /// Read the configuration again and carry out what changed.
    Reload,
}

/// An order to rekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekey {
    /// One tunnel.
    pub target: Target,
    /// Which of its SAs.
    pub sa: Sa,
    /// Whether the answer waits for the rekey to end.
    pub wait: bool,
}

/// The SAs of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sa {
    /// Phase 1.
    Ike,
    /// Phase 2.
    Child,
}

impl fmt::Display for Sa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ike => "IKE SA",
            Self::Child => "child SA",
        })
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Routes`].
    Routes(Box<RouteTable>),
    /// To [`Request::Events`].
    Events(Box<Page>),
    /// The order is accepted; what it leads to shows in the status.
    Done {
        /// One line for the operator.
        message: String,
    },
    /// To [`Request::Drill`] and those after it.
    Drill(Box<DrillState>),
    /// To [`Request::Capture`] and those after it.
    Capture(Box<CapturePage>),
    /// Refused, and nothing was changed.
    Refused(Refusal),
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of refusal; decides the exit code of the command line.
    pub kind: RefusalKind,
    /// For the operator: what is wrong and what to do; may have several lines.
    pub message: String,
}

/// Kinds of [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The message is not one of ours.
    BadRequest,
    /// Who asks may not.
    Forbidden,
    /// There is no such connection or tunnel.
    NotFound,
    /// The new configuration does not hold; the old one stays in force.
    ConfigInvalid,
    /// The daemon could not do it.
    Failed,
    /// The daemon is stopping or too busy to answer.
    Unavailable,
}

impl Response {
    /// A refusal.
    pub fn refused(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self::Refused(Refusal { kind, message: message.into() })
    }
}

/// `CONNECTION` (all its tunnels) or `CONNECTION/TUNNEL`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Name of the connection.
    pub connection: String,
    /// Name of one of its tunnels; `None`: all of them.
    pub tunnel: Option<String>,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (connection, tunnel) = match text.split_once('/') {
            Some((connection, tunnel)) => (connection, Some(tunnel)),
            None => (text, None),
        };
        let bad = |part: &str| part.is_empty() || part.contains('/') || part.len() > MAX_PART;
        if bad(connection) || tunnel.is_some_and(bad) {
            return Err(TargetError);
        }
        Ok(Self { connection: connection.to_owned(), tunnel: tunnel.map(str::to_owned) })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tunnel {
            Some(tunnel) => write!(f, "{}/{tunnel}", self.connection),
            None => f.write_str(&self.connection),
        }
    }
}

/// The text is not `CONNECTION` or `CONNECTION/TUNNEL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write CONNECTION or CONNECTION/TUNNEL, such as aws-prod/1")]
pub struct TargetError;

/// Longest name of a connection or tunnel that is worth looking up.
const MAX_PART: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_connection_or_one_of_its_tunnels() {
        let all: Target = "aws-prod".parse().unwrap();
        assert_eq!((all.connection.as_str(), all.tunnel.as_deref()), ("aws-prod", None));
        let one: Target = "aws-prod/1".parse().unwrap();
        assert_eq!((one.connection.as_str(), one.tunnel.as_deref()), ("aws-prod", Some("1")));
        assert_eq!((all.to_string(), one.to_string()), ("aws-prod".to_owned(), "aws-prod/1".to_owned()));
    }

    #[test]
    fn a_target_with_an_empty_or_third_part_is_refused() {
        for bad in ["", "/", "a/", "/1", "a/b/c", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Target>(), Err(TargetError), "{bad:?}");
        }
    }
}

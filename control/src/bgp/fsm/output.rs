//! What a session tells its driver and is told: its state, its outputs, and the reasons to stop it.

use super::connection::ConnectionId;
use super::negotiate::Negotiated;
use crate::bgp::codec::{Families, Family, Update};
use crate::bgp::failure::Failure;

/// State of a session (RFC 4271 §8.2.2), in the order of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Refuses connections.
    Idle,
    /// Opens a TCP connection.
    Connect,
    /// Waits for one of the peer, or for the next attempt.
    Active,
    /// Waits for the peer's OPEN.
    OpenSent,
    /// Waits for the peer's KEEPALIVE.
    OpenConfirm,
    /// Routes are told.
    Established,
}

impl State {
    /// Its name in lower case, as the status has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connect => "connect",
            Self::Active => "active",
            Self::OpenSent => "opensent",
            Self::OpenConfirm => "openconfirm",
            Self::Established => "established",
        }
    }
}

/// What the driver is to do, or to know, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a TCP connection to the peer, and tell of it by this name.
    Connect(ConnectionId),
    /// Send these octets.
    Send(ConnectionId, Vec<u8>),
    /// Close it when what was to be sent is sent, or end the attempt; tell nothing of it any more.
    Close(ConnectionId),
    /// The session is established: tell the peer our routes, and their end.
    Up(Box<Negotiated>),
    /// It is no longer. The peer's routes of other families than these are gone; these are stale, and stay until told
    /// again or flushed.
    Down(Failure, Families),
    /// An attempt came to nothing.
    Failed(Failure),
    /// The peer's routes changed.
    Routes(Update),
    /// The peer asks for our routes of this family.
    Refresh(Family),
    /// The peer's routes of this family that are still stale are gone.
    Flush(Family),
}

/// Why a session is to end, as the peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The operator wants it down, with a word for the peer's operator (RFC 9003).
    Shutdown(String),
    /// It has been taken out of the configuration.
    Deconfigured,
    /// The tunnel below is down: the peer must not send there, and is told on the chance that it hears.
    TunnelDown,
    /// The peer told more prefixes than it may.
    Limit,
}

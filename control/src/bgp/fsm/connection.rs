//! One TCP connection with the peer, from its OPEN on: the part of RFC 4271 §8 of which there are two while they collide.

use super::negotiate::Negotiated;
use crate::bgp::codec::iana::{ErrorCode, MessageType, state_error};
use crate::bgp::codec::{Frame, Notification, Open, RouteRefresh, Update};

/// A TCP connection, or an attempt at one. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) direction: Direction,
    pub(super) phase: Phase,
    stream: Vec<u8>,
    /// Octets of the stream that are taken. What is behind them is shorter than a message once all whole ones are taken.
    taken: usize,
}

/// Which end opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Outgoing,
    Incoming,
}

/// How far a connection is. Our OPEN has been sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    OpenSent,
    OpenConfirm(Negotiated),
    Established(Negotiated),
}

/// A message that its connection was waiting for.
#[derive(Debug)]
pub(super) enum Received {
    Open(Open),
    Update(Update),
    Notification(Notification),
    Keepalive,
    RouteRefresh(Option<RouteRefresh>),
}

impl Connection {
    pub(super) const fn new(id: ConnectionId, direction: Direction) -> Self {
        Self { id, direction, phase: Phase::OpenSent, stream: Vec::new(), taken: 0 }
    }

    /// Appends what has arrived.
    pub(super) fn feed(&mut self, octets: &[u8]) {
        self.stream.drain(..self.taken);
        self.taken = 0;
        self.stream.extend_from_slice(octets);
    }

    /// Takes the next message; `None`: it is not there as a whole. An error is the end of the connection.
    pub(super) fn next(&mut self) -> Result<Option<Received>, Notification> {
        let pending = self.stream.get(self.taken..).unwrap_or_default();
        let Some((frame, rest)) = Frame::split(pending)? else { return Ok(None) };
        self.taken = self.stream.len().saturating_sub(rest.len());
        self.phase.receive(frame).map(Some)
    }

    pub(super) const fn established(&self) -> Option<&Negotiated> {
        match &self.phase {
            Phase::Established(terms) => Some(terms),
            Phase::OpenSent | Phase::OpenConfirm(_) => None,
        }
    }
}

impl Phase {
    /// Reads what is due in this phase; refuses the rest (RFC 4271 §8.2.2, RFC 6608).
    fn receive(&self, frame: Frame<'_>) -> Result<Received, Notification> {
        match (frame.kind, self) {
            (MessageType::NOTIFICATION, _) => Ok(Received::Notification(Notification::parse(frame.body))),
            (MessageType::OPEN, Self::OpenSent) => Open::parse(frame.body).map(Received::Open),
            (MessageType::KEEPALIVE, Self::OpenConfirm(_) | Self::Established(_)) => Ok(Received::Keepalive),
            (MessageType::UPDATE, Self::Established(terms)) => {
                Update::parse(frame.body, terms.session).map(Received::Update)
            }
            (MessageType::ROUTE_REFRESH, Self::Established(_)) => {
                Ok(Received::RouteRefresh(RouteRefresh::parse(frame.body)))
            }
            (MessageType(kind), _) => {
                let subcode = match self {
                    Self::OpenSent => state_error::OPEN_SENT,
                    Self::OpenConfirm(_) => state_error::OPEN_CONFIRM,
                    Self::Established(_) => state_error::ESTABLISHED,
                };
                Err(Notification { data: vec![kind], ..Notification::new(ErrorCode::STATE_MACHINE, subcode) })
            }
        }
    }
}

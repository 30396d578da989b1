//! The handshake that an IKE SA goes back to, through all its rekeys: by it two that both ends started at once are told
//! from one that follows another (RFC 7296 §2.8.1).

use crate::Time;

/// When it was made, by whom, and its nonce that decides.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    started: Time,
    authenticated: Time,
    initiator: bool,
    lowest_nonce: Vec<u8>,
}

impl Handshake {
    /// One that is authenticated at this moment. `initiator`: we are; the nonces are the initiator's and the responder's.
    pub(crate) fn new(started: Time, now: Time, initiator: bool, nonces: (Vec<u8>, Vec<u8>)) -> Self {
        Self { started, authenticated: now, initiator, lowest_nonce: nonces.0.min(nonces.1) }
    }

    /// Whether the other end made `other` at the same time.
    pub(crate) fn crosses(&self, other: &Self) -> bool {
        let at_once = self.started < other.authenticated && other.started < self.authenticated;
        at_once && self.initiator != other.initiator
    }

    /// Of two that cross the one with the lowest of the four nonces is closed.
    pub(crate) fn loses_to(&self, other: &Self) -> bool {
        self.lowest_nonce < other.lowest_nonce
    }
}

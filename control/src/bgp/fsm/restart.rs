//! Graceful restart (RFC 4724, RFC 8538): what of the peer's routes is stale, and what is to be said of our own restart.

use super::negotiate::Negotiated;
use crate::bgp::codec::{Families, Family};

/// Both ends' restarts, as this end sees them.
#[derive(Debug)]
pub(super) struct Restart {
    /// Families whose routes are those of a session that is lost.
    stale: Families,
    /// This daemon has restarted and has had no session since.
    restarting: bool,
    /// Families whose packets we have forwarded while there was no session.
    preserved: Families,
}

impl Restart {
    /// `preserved`: what a restarted daemon found in the kernel.
    pub(super) const fn new(preserved: Families) -> Self {
        Self { stale: Families::NONE, restarting: !preserved.is_empty(), preserved }
    }

    /// The session is lost; routes of `kept` are stale.
    pub(super) const fn lost(&mut self, kept: Families) {
        self.stale = kept;
    }

    /// The session is established. Returns what the peer has not preserved, or no longer speaks: that is not stale but
    /// gone (RFC 4724 §4.2).
    pub(super) fn regained(&mut self, terms: &Negotiated) -> Families {
        // From here on packets are forwarded, session or not, as long as their routes are kept.
        (self.restarting, self.preserved) = (false, Families::ALL);
        let preserved = terms.restart.map(|restart| restart.preserved).unwrap_or_default();
        let gone = self.stale.without(preserved.intersection(terms.kept()));
        self.stale = self.stale.without(gone);
        gone
    }

    /// The peer has told all routes of `family`; returns whether stale ones may be left.
    pub(super) const fn told(&mut self, family: Family) -> bool {
        let was = self.stale.contains(family);
        self.stale.remove(family);
        was
    }

    /// Waits no longer; returns what is stale.
    pub(super) const fn take_stale(&mut self) -> Families {
        core::mem::replace(&mut self.stale, Families::NONE)
    }

    pub(super) const fn is_waiting(&self) -> bool {
        !self.stale.is_empty()
    }

    pub(super) const fn restarting(&self) -> bool {
        self.restarting
    }

    pub(super) const fn preserved(&self) -> Families {
        self.preserved
    }
}

//! One IKE SA takes another's place: by a rekey of either end, or with a new authentication (RFC 7296 §2.8, RFC 4478).

use super::Endpoint;
use super::table::Slot;
use crate::Time;
use crate::config::PeerId;
use crate::error::{Failure, Sa};
use crate::exchange::established::{self, Outcome};
use crate::limits;
use crate::sa::ike_sa::IkeSa;

impl Endpoint {
    /// Rekeys the peer's child SA now (RFC 7296 §1.3.3). Nothing where none is up or a rekey is under way; what came of
    /// it is told by [`ChildUp`](crate::Event::ChildUp) or [`RekeyFailed`](crate::Event::RekeyFailed).
    pub fn rekey_child(&mut self, now: Time, id: PeerId) {
        self.ask_current(now, id, IkeSa::rekey_child);
    }

    /// Rekeys the peer's IKE SA now (RFC 7296 §1.3.2). Nothing where none is up or a rekey is under way; what came of it
    /// is told by [`IkeRekeyed`](crate::Event::IkeRekeyed) or [`RekeyFailed`](crate::Event::RekeyFailed).
    pub fn rekey_ike(&mut self, now: Time, id: PeerId) {
        self.ask_current(now, id, IkeSa::rekey_ike);
    }

    /// Does what a message or a deadline of an established SA asks for beyond that SA.
    pub(super) fn follow(&mut self, now: Time, spi: u64, outcome: Outcome) {
        match outcome {
            Outcome::Done | Outcome::Pending(_) => {}
            Outcome::Kept(sa) => self.take_in(now, sa),
            Outcome::Adopt { candidate } => self.adopt(now, spi, candidate),
            Outcome::Deleted { candidate } => self.replace_deleted(now, spi, candidate),
            Outcome::Lost { ours, candidate } => {
                if let Some(candidate) = candidate {
                    self.adopt(now, spi, candidate);
                }
                self.take_in(now, ours);
            }
            Outcome::Reauthenticate => self.reauthenticate(now, spi),
        }
    }

    /// Makes an attempt to bring up another IKE SA, beside what there is.
    pub(super) fn attempt(&mut self, now: Time, id: PeerId) {
        let Some(peer) = self.table.peer(id).cloned() else { return };
        let spi = self.means.cx(now).ike_spi();
        self.start(now, spi, peer);
    }

    /// Keeps a new IKE SA, and sends what it has to say.
    fn take_in(&mut self, now: Time, mut sa: Box<IkeSa>) {
        established::send_next(&mut sa, &mut self.means.cx(now));
        self.make_room(now, sa.peer.id);
        self.keep(now, sa.channel.local_spi(), sa);
    }

    /// The peer's candidate takes the place of the SA that both ends rekeyed at once.
    fn adopt(&mut self, now: Time, spi: u64, candidate: u64) {
        let successor = self.hand_over(now, spi, candidate);
        let mut cx = self.means.cx(now);
        let Some(old) = self.table.established(spi) else { return };
        if let Some(successor) = successor {
            old.make_redundant(now + limits::REDUNDANT_LIFETIME);
            self.take_in(now, successor);
        } else {
            // Its peer has deleted what should have survived.
            old.close(Failure::Replaced, &mut cx);
            established::send_next(old, &mut cx);
        }
    }

    /// As [`Self::adopt`], where the peer has deleted the SA. It may have meant the tunnel: then the candidate is deleted
    /// as well, or follows.
    fn replace_deleted(&mut self, now: Time, spi: u64, candidate: u64) {
        let successor = self.hand_over(now, spi, candidate);
        let mut cx = self.means.cx(now);
        let Some(old) = self.table.established(spi) else { return };
        if let Some(successor) = successor {
            old.linger(now);
            self.take_in(now, successor);
        } else {
            old.end(Failure::PeerDeleted { what: Sa::Ike }, &mut cx);
        }
    }

    /// Moves children and tasks to the candidate, if that still waits.
    fn hand_over(&mut self, now: Time, spi: u64, candidate: u64) -> Option<Box<IkeSa>> {
        if !self.table.established(candidate)?.is_candidate() {
            return None;
        }
        let Some(Slot::Established(mut successor)) = self.table.take(candidate) else { return None };
        let old = self.table.established(spi)?;
        old.hand_over_to(&mut successor, &mut self.means.cx(now));
        Some(successor)
    }

    fn reauthenticate(&mut self, now: Time, spi: u64) {
        let Some(id) = self.table.established(spi).map(|sa| sa.peer.id) else { return };
        if self.table.attempt(id).is_none() {
            self.attempt(now, id);
        }
    }

    /// Asks something of the IKE SA that carries the peer's tunnel, and sends what that has to say.
    pub(super) fn ask_current(&mut self, now: Time, id: PeerId, ask: impl FnOnce(&mut IkeSa)) {
        let Some(spi) = self.table.current(id) else { return };
        let mut cx = self.means.cx(now);
        if let Some(sa) = self.table.established(spi) {
            ask(sa);
            established::send_next(sa, &mut cx);
        }
        self.settle(now, spi);
    }
}

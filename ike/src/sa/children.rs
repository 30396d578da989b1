//! The child SAs of an IKE SA: the pair in use, its successor, and those that wait for their end.

use super::child_sa::ChildSa;
use super::{Cx, Path, Peer};
use crate::Time;
use crate::limits;

/// All of them, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Children(Vec<ChildSa>);

/// What the end of a child's time asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// To be rekeyed, by our SPI.
    pub(crate) rekey: Vec<u32>,
    /// To be deleted by us, by our SPI: the peer was to do it and has not.
    pub(crate) left_behind: Vec<u32>,
    /// The pair in use has reached its hard end.
    pub(crate) expired: bool,
}

impl Children {
    /// Adds one. Of those that only wait for late packets the oldest goes where there are too many: a peer that rekeys
    /// without end costs no more than one that does not.
    pub(crate) fn add(&mut self, child: ChildSa, peer: &Peer, cx: &mut Cx<'_>) {
        let waiting = self.0.iter().filter(|child| child.is_deleted()).count();
        if waiting >= limits::CHILDREN_IN_GRACE
            && let Some(oldest) = self.0.iter().position(ChildSa::is_deleted)
        {
            self.0.remove(oldest).remove(peer, cx);
        }
        self.0.push(child);
    }

    /// Does what is due by itself, and tells what else is.
    pub(crate) fn handle_timeout(&mut self, peer: &Peer, cx: &mut Cx<'_>) -> Due {
        let now = cx.now;
        for over in self.0.extract_if(.., |child| child.is_over(now)) {
            over.remove(peer, cx);
        }
        let mut due = Due::default();
        for child in &mut self.0 {
            if child.is_expired(now) {
                due.expired |= child.is_live();
                // Its Delete is under way, or was never answered: the peer's half has ended as well.
                child.delete(peer, cx);
            } else if child.is_left_behind(now) {
                due.left_behind.push(child.terms.spi_in);
            } else if child.take_soft(now) {
                due.rekey.push(child.terms.spi_in);
            }
        }
        due
    }

    /// Hands over every outbound half that waits.
    pub(crate) fn switch(&mut self, cx: &mut Cx<'_>) {
        for child in &mut self.0 {
            child.switch(cx);
        }
    }

    /// Hands over the outbound halves that have waited long enough.
    pub(crate) fn switch_due(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        for child in self.0.iter_mut().filter(|child| child.is_to_switch(now)) {
            child.switch(cx);
        }
    }

    /// Lets the outbound halves that have waited long enough wait on.
    pub(crate) fn put_off_switch(&mut self, now: Time) {
        self.0.iter_mut().for_each(|child| child.put_off_switch(now));
    }

    /// Hands over no outbound half that waits.
    pub(crate) fn stay(&mut self) {
        self.0.iter_mut().for_each(ChildSa::stay);
    }

    /// No time ends the wait of an outbound half for a sign that the peer is ready.
    pub(crate) fn wait(&mut self) {
        self.0.iter_mut().for_each(ChildSa::wait);
    }

    /// An answer that may tell of a new child has left.
    pub(crate) fn announce(&mut self, now: Time) {
        self.0.iter_mut().for_each(|child| child.announce(now));
    }

    /// The peer's address changed.
    pub(crate) fn moved(&mut self, path: Path) {
        self.0.iter_mut().for_each(|child| child.moved(path));
    }

    /// Sends with none of them any more; their inbound lives for a grace.
    pub(crate) fn delete_all(&mut self, peer: &Peer, cx: &mut Cx<'_>) {
        self.0.iter_mut().for_each(|child| child.delete(peer, cx));
    }

    /// Ends all at once.
    pub(crate) fn remove_all(&mut self, peer: &Peer, cx: &mut Cx<'_>) {
        for child in self.0.drain(..) {
            child.remove(peer, cx);
        }
    }

    /// The child that we receive with this SPI.
    pub(crate) fn get(&self, spi_in: u32) -> Option<&ChildSa> {
        self.0.iter().find(|child| child.terms.spi_in == spi_in)
    }

    /// As [`Self::get`], to change it.
    pub(crate) fn by_spi_in(&mut self, spi_in: u32) -> Option<&mut ChildSa> {
        self.0.iter_mut().find(|child| child.terms.spi_in == spi_in)
    }

    /// The child that the peer receives with this SPI, unless it is deleted.
    pub(crate) fn by_spi_out(&mut self, spi_out: u32) -> Option<&mut ChildSa> {
        self.0.iter_mut().find(|child| child.terms.spi_out == spi_out && !child.is_deleted())
    }

    /// The newest that carries packets, or is about to.
    pub(crate) fn live(&self) -> Option<&ChildSa> {
        self.0.iter().rfind(|child| child.is_live())
    }

    /// There is none, not even one that waits for late packets.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more is within the bound.
    pub(crate) fn has_room(&self) -> bool {
        self.0.iter().filter(|child| !child.is_deleted()).count() < limits::CHILDREN
    }

    /// When [`Self::handle_timeout`] or [`Self::switch_due`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.iter().map(ChildSa::deadline).min()
    }
}

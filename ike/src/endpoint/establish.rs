//! An IKE SA is authenticated: which of a peer's SAs carries its tunnel (RFC 7296 §2.4, §2.8.1).

use super::Endpoint;
use super::table::Slot;
use crate::Time;
use crate::config::PeerId;
use crate::event::Event;
use crate::exchange::auth::{Authenticated, Child};
use crate::exchange::established;
use crate::limits;
use crate::sa::ike_sa::IkeSa;
use crate::sa::sealed::Sealed;

/// What becomes of the peer's SA that is up already.
#[derive(Clone, Copy)]
enum Rival {
    /// The peer has lost it: it said INITIAL_CONTACT.
    Lost,
    /// The newer takes its place.
    Older,
    /// Both ends started at once, and it has the lowest nonce.
    Loses,
    /// Both ends started at once, and the newer has the lowest nonce.
    Wins,
}

impl Endpoint {
    /// Takes in an authenticated IKE SA. `response` is the one that tells the peer so, where we are its responder: it
    /// leaves when the child's inbound is installed.
    pub(super) fn establish(
        &mut self,
        now: Time,
        authenticated: Authenticated,
        response: Option<(u32, Sealed)>,
    ) {
        let Authenticated { mut sa, child, initial_contact } = authenticated;
        let (spi, peer) = (sa.channel.local_spi(), sa.peer.id);
        let child = match child {
            Ok(child) => child,
            Err(reason) => {
                let alone = self.table.current(peer).is_none();
                let mut cx = self.means.cx(now);
                if let Some((id, response)) = response {
                    sa.adopt_response(id, response, &mut cx);
                }
                sa.delete(None);
                established::send_next(&mut sa, &mut cx);
                if alone {
                    cx.event(Event::Failed { peer, reason });
                }
                self.make_room(now, peer);
                self.keep(now, spi, sa);
                return;
            }
        };
        let rival = self.rival(&sa, initial_contact);
        let initiator = response.is_none();
        let mut cx = self.means.cx(now);
        let Child { terms, keys } = child;
        sa.add_child(terms, keys, None, &mut cx);
        if let Some((id, response)) = response {
            sa.adopt_response(id, response, &mut cx);
        }
        if matches!(rival, Some((_, Rival::Wins))) {
            give_way(&mut sa, now);
        } else {
            sa.announce(&mut cx);
            if initiator || !matches!(rival, Some((_, Rival::Older | Rival::Loses))) {
                sa.switch_outbound(&mut cx);
            } else {
                sa.ask_for_proof();
                established::send_next(&mut sa, &mut cx);
            }
            self.end_untried_attempt(peer);
        }
        self.make_room(now, peer);
        self.keep(now, spi, sa);
        if let Some((other, rival)) = rival {
            self.end_rival(now, other, rival, initiator);
        }
    }

    /// Puts an established SA into the tables.
    pub(super) fn keep(&mut self, now: Time, spi: u64, sa: Box<IkeSa>) {
        self.table.insert(spi, Slot::Established(sa));
        self.settle(now, spi);
    }

    fn rival(&mut self, sa: &IkeSa, initial_contact: bool) -> Option<(u64, Rival)> {
        let spi = self.table.current(sa.peer.id)?;
        let other = self.table.established(spi)?;
        let rival = if sa.handshake.crosses(&other.handshake) {
            if sa.handshake.loses_to(&other.handshake) { Rival::Wins } else { Rival::Loses }
        } else if initial_contact {
            Rival::Lost
        } else {
            Rival::Older
        };
        Some((spi, rival))
    }

    fn end_rival(&mut self, now: Time, spi: u64, rival: Rival, initiator: bool) {
        let mut cx = self.means.cx(now);
        if let Some(sa) = self.table.established(spi) {
            match rival {
                Rival::Lost => sa.vanish(&mut cx),
                // Who started deletes the old one, when both send with the new one.
                Rival::Older if initiator => sa.make_redundant(now + limits::OVERLAP),
                Rival::Older => sa.make_redundant(now + limits::REDUNDANT_LIFETIME),
                Rival::Loses => give_way(sa, now),
                Rival::Wins => {}
            }
        }
        self.settle(now, spi);
    }

    /// The peer's attempt has succeeded before ours has shown who we are: nobody misses ours.
    fn end_untried_attempt(&mut self, peer: PeerId) {
        if let Some(spi) = self.table.attempt(peer)
            && matches!(self.table.slot(spi), Some(Slot::Starting(_) | Slot::InitSent(_)))
        {
            self.abandon(spi);
        }
    }

    /// Keeps the number of the peer's SAs within its bound: of those that carry no tunnel the oldest is forgotten, so
    /// that a peer which authenticates or rekeys without end costs no more than one which does not.
    pub(super) fn make_room(&mut self, now: Time, peer: PeerId) {
        let spis = self.table.spis_of(peer);
        let excess = (spis.len() + 1).saturating_sub(limits::IKE_SAS_PER_PEER);
        let spare = spis.into_iter().filter_map(|spi| {
            let sa = self.table.established(spi)?;
            (!sa.is_up()).then(|| (sa.born(), spi))
        });
        let mut spare: Vec<_> = spare.collect();
        spare.sort_unstable();
        for (_, spi) in spare.into_iter().take(excess) {
            let mut cx = self.means.cx(now);
            if let Some(sa) = self.table.established(spi) {
                sa.vanish(&mut cx);
            }
            self.settle(now, spi);
        }
    }
}

/// An SA that lost is deleted by the end that made it (RFC 7296 §2.8.1), but not before the other end has had the time
/// to see the one that won: the message that shows it may be under way.
fn give_way(sa: &mut IkeSa, now: Time) {
    let ours = sa.channel.original_initiator();
    sa.make_redundant(now + if ours { limits::GIVE_WAY } else { limits::REDUNDANT_LIFETIME });
}

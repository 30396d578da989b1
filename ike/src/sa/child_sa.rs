//! A child SA as IKE sees it (RFC 7296 §2.8, §2.17): two SPIs, what they carry, and where the pair stands between its
//! installation and its end. Packets are the data plane's business.

use std::collections::BTreeSet;

use super::lifetime::{Lifetime, Margin};
use super::{Cx, Path, Peer};
use crate::Time;
use crate::codec::payload::ts::TrafficSelector;
use crate::config::Encapsulation;
use crate::event::{self, EspKeys, Event, Install};
use crate::limits;
use crate::suite::EspSuite;

/// What two ends agreed on for a child SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Transforms.
    pub(crate) suite: EspSuite,
    /// Extended sequence numbers.
    pub(crate) esn: bool,
    /// The SPI that we receive with.
    pub(crate) spi_in: u32,
    /// The SPI that the peer receives with.
    pub(crate) spi_out: u32,
    /// Inner addresses on our side.
    pub(crate) ts_local: Vec<TrafficSelector>,
    /// Inner addresses on the peer's side.
    pub(crate) ts_remote: Vec<TrafficSelector>,
}

/// One pair of ESP SAs.
pub(crate) struct ChildSa {
    pub(crate) terms: Terms,
    encapsulation: Encapsulation,
    /// The outbound half until it is handed over.
    outbound: Option<event::ChildSa>,
    switch_at: Option<Time>,
    /// When the rekey began that makes it; `None` where it replaces no other.
    rekey_begun: Option<Time>,
    lifetime: Lifetime,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The pair in use, or the next one.
    Live,
    /// It has a successor, and the peer is to delete it, or we do it at the end of that time.
    Rekeyed { until: Time },
    /// Our Delete waits or is in flight: the peer may send with it until it has read that.
    Closing,
    /// Deleted; its inbound takes what is still under way.
    Deleted { until: Time },
}

impl ChildSa {
    /// Installs the inbound half of a new pair; the outbound half follows with [`Self::switch`].
    pub(crate) fn install(
        terms: Terms,
        (inbound, outbound): (EspKeys, EspKeys),
        (path, encapsulation): (Path, Encapsulation),
        rekey_begun: Option<Time>,
        peer: &Peer,
        cx: &mut Cx<'_>,
    ) -> Self {
        let half = |spi, keys| event::ChildSa {
            peer: peer.id,
            spi,
            suite: terms.suite,
            keys,
            esn: terms.esn,
            ts_local: terms.ts_local.clone(),
            ts_remote: terms.ts_remote.clone(),
            encapsulation,
            local: path.local,
            remote: path.remote,
        };
        let inbound = half(terms.spi_in, inbound);
        let outbound = Some(half(terms.spi_out, outbound));
        cx.install(Install::Inbound(inbound));
        let length = peer.config.child_lifetime;
        let lifetime = Lifetime::start(length, Margin::of(&peer.config), cx.now, cx.random);
        let stage = Stage::Live;
        Self { terms, encapsulation, outbound, switch_at: None, rekey_begun, lifetime, stage }
    }

    /// Hands the outbound half over, if that has not happened yet: the peer is ready to receive.
    pub(crate) fn switch(&mut self, cx: &mut Cx<'_>) {
        self.switch_at = None;
        let Some(outbound) = self.outbound.take() else { return };
        let peer = outbound.peer;
        cx.install(Install::Outbound(outbound));
        cx.event(Event::ChildUp {
            peer,
            suite: self.terms.suite,
            spi_in: self.terms.spi_in,
            spi_out: self.terms.spi_out,
            esn: self.terms.esn,
            encapsulation: self.encapsulation,
            rekey: self.rekey_begun.map(|begun| cx.now - begun),
        });
    }

    /// Counts from here to the switch: the answer that tells the peer of this pair has left, maybe once more.
    pub(crate) fn announce(&mut self, now: Time) {
        if self.outbound.is_some() {
            self.switch_at = Some(now + limits::SWITCH_OUTBOUND);
        }
    }

    /// Waits longer for the switch.
    pub(crate) fn put_off_switch(&mut self, now: Time) {
        if self.is_to_switch(now) {
            self.announce(now);
        }
    }

    /// No time ends the wait for a sign that the peer is ready.
    pub(crate) const fn wait(&mut self) {
        self.switch_at = None;
    }

    /// The switch is off: another pair carries the tunnel.
    pub(crate) fn stay(&mut self) {
        self.outbound = None;
        self.switch_at = None;
    }

    /// The peer's address changed before the outbound half was handed over.
    pub(crate) fn moved(&mut self, path: Path) {
        if let Some(outbound) = &mut self.outbound {
            outbound.local = path.local;
            outbound.remote = path.remote;
        }
    }

    /// Another pair takes its place, and the peer is to delete this one.
    pub(crate) fn rekeyed(&mut self, now: Time) {
        if self.stage == Stage::Live {
            self.stage = Stage::Rekeyed { until: now + limits::REDUNDANT_LIFETIME };
        }
    }

    /// We delete it: nothing is sent with it from here on, and its inbound lives until the peer has confirmed.
    pub(crate) fn close(&mut self, peer: &Peer, cx: &mut Cx<'_>) {
        if !self.is_deleted() {
            self.stage = Stage::Closing;
            self.stop_sending(peer, cx);
        }
    }

    /// Deleted at both ends: its inbound lives for a grace.
    pub(crate) fn delete(&mut self, peer: &Peer, cx: &mut Cx<'_>) {
        if !self.is_deleted() {
            self.stage = Stage::Deleted { until: cx.now + limits::INBOUND_GRACE };
            self.stop_sending(peer, cx);
        }
    }

    /// Ends both directions at once.
    pub(crate) fn remove(mut self, peer: &Peer, cx: &mut Cx<'_>) {
        self.delete(peer, cx);
        cx.remove_inbound(peer.id, self.terms.spi_in);
    }

    /// The time to hand the outbound half over has come.
    pub(crate) fn is_to_switch(&self, now: Time) -> bool {
        self.switch_at.is_some_and(|at| at <= now)
    }

    /// When it wants to be looked at.
    pub(crate) fn deadline(&self) -> Time {
        let in_stage = match self.stage {
            Stage::Live => self.lifetime.deadline(),
            Stage::Rekeyed { until } => until.min(self.lifetime.hard()),
            Stage::Closing => self.lifetime.hard(),
            Stage::Deleted { until } => until,
        };
        self.switch_at.map_or(in_stage, |at| at.min(in_stage))
    }

    /// A rekey of it has failed: the next is due then.
    pub(crate) const fn retry_rekey_at(&mut self, at: Time) {
        self.lifetime.retry_at(at);
    }

    /// Whether it is to be rekeyed; true once.
    pub(crate) fn take_soft(&mut self, now: Time) -> bool {
        self.is_live() && self.lifetime.take_soft(now)
    }

    pub(crate) const fn hard(&self) -> Time {
        self.lifetime.hard()
    }

    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live)
    }

    pub(crate) const fn is_deleted(&self) -> bool {
        matches!(self.stage, Stage::Deleted { .. })
    }

    /// The hard lifetime of a pair that is not deleted has ended.
    pub(crate) fn is_expired(&self, now: Time) -> bool {
        !self.is_deleted() && self.lifetime.is_over(now)
    }

    /// It has a successor, and the peer has not deleted it in time.
    pub(crate) fn is_left_behind(&self, now: Time) -> bool {
        matches!(self.stage, Stage::Rekeyed { until } if until <= now)
    }

    /// Deleted, and its grace is over.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        matches!(self.stage, Stage::Deleted { until } if until <= now)
    }

    fn stop_sending(&mut self, peer: &Peer, cx: &mut Cx<'_>) {
        self.stay();
        self.lifetime.stop_rekeying();
        cx.install(Install::RemoveOutbound { peer: peer.id, spi: self.terms.spi_out });
    }
}

/// The inbound ESP SPIs in use: unique in an endpoint, since a packet is found by its SPI alone (RFC 4301 §4.1).
#[derive(Debug, Default)]
pub(crate) struct EspSpis(BTreeSet<u32>);

impl EspSpis {
    /// Takes the first free SPI from `start` on; the lowest 256 are reserved (RFC 4303 §2.1).
    pub(crate) fn take(&mut self, start: u32) -> u32 {
        let mut spi = start.max(FIRST_SPI);
        while !self.0.insert(spi) {
            spi = spi.wrapping_add(1).max(FIRST_SPI);
        }
        spi
    }

    pub(crate) fn release(&mut self, spi: u32) {
        self.0.remove(&spi);
    }
}

const FIRST_SPI: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esp_spis_are_unique_and_never_reserved() {
        let mut spis = EspSpis::default();
        assert_eq!(spis.take(0), 256);
        assert_eq!(spis.take(256), 257);
        assert_eq!(spis.take(u32::MAX), u32::MAX);
        assert_eq!(spis.take(u32::MAX), 258);
        spis.release(257);
        assert_eq!(spis.take(3), 257);
    }
}

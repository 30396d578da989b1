//! The hot part of an outbound SA: what sealing a packet reads, and the counter that it writes.

use super::lifetime::{LimitState, Octets};
use super::selectors::Admission;
use super::sequence::{Reservation, Sequence};
use super::spec::{OutboundSpec, TunnelId};
use super::{SpecError, check_spi};
use crate::drop_reason::DropReason;
use crate::esp::cipher::Sealer;
use crate::esp::trailer;
use crate::esp::transform::Transform;

/// An SA for packets that leave. Workers share it behind an `Arc`: all but the sequence is constant.
///
/// The outer path is not here: it changes when the peer moves, and the SA must not be built twice.
#[derive(Debug)]
pub struct OutboundSa {
    tunnel: TunnelId,
    spi: u32,
    transform: Transform,
    sealer: Sealer,
    selectors: Admission,
    /// Where the numbers come from.
    pub sequence: Sequence,
    octets: Octets,
}

impl OutboundSa {
    /// Builds the SA. Its sequence starts at 1, so the same keys must not be built twice in the life of the process:
    /// [`super::ledger::KeyLedger`] sees to it.
    pub fn new(spec: &OutboundSpec) -> Result<Self, SpecError> {
        check_spi(spec.spi)?;
        Ok(Self {
            tunnel: spec.tunnel,
            spi: spec.spi,
            transform: spec.transform,
            sealer: Sealer::new(spec.transform, &spec.keys, spec.esn)?,
            selectors: Admission::outbound(&spec.selectors)?,
            sequence: Sequence::new(spec.transform, spec.esn, spec.peer_window, spec.lifetime.packets),
            octets: Octets::new(spec.lifetime.octets),
        })
    }

    /// Sequence numbers for a batch of `packets` with `octets()` inside, as [`Sequence::reserve`] gives them.
    #[inline]
    pub fn reserve(
        &self,
        worker: usize,
        packets: u64,
        octets: impl FnOnce() -> u64,
    ) -> Result<Reservation<'_>, DropReason> {
        if !self.octets.charge(octets) {
            return Err(DropReason::SequenceExhausted);
        }
        self.sequence.reserve(worker, packets)
    }

    /// How far it is used up.
    #[inline]
    pub fn limit_state(&self) -> LimitState {
        self.sequence.limit_state().max(self.octets.limit_state())
    }

    /// Whose packets it seals.
    pub const fn tunnel(&self) -> TunnelId {
        self.tunnel
    }

    /// The peer's SPI.
    pub const fn spi(&self) -> u32 {
        self.spi
    }

    /// Cipher and integrity.
    pub const fn transform(&self) -> Transform {
        self.transform
    }

    /// Which inner packets it carries.
    pub const fn selectors(&self) -> &Admission {
        &self.selectors
    }

    /// Octets that sealing adds before the inner packet.
    pub const fn headroom(&self) -> usize {
        self.transform.header_len()
    }

    /// Octets that sealing adds behind the inner packet, at most.
    pub const fn tailroom(&self) -> usize {
        self.transform.block_len() - 1 + trailer::LEN + self.transform.icv_len()
    }

    pub(crate) const fn sealer(&self) -> &Sealer {
        &self.sealer
    }
}

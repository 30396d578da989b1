//! The inbound line: an ESP packet becomes its inner packet in place (RFC 4303 §3.4, tunnel mode).
//!
//! [`decapsulate`] is the whole line for a worker that owns the SA's replay window. Where several workers open the
//! packets of one SA, each takes a number from a window's copy, calls [`open`] and [`unwrap`] beside the others, and
//! the owner of the window commits with [`ReplayWindow::mark`], which refuses what another packet has taken.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::ecn::{self, Ecn};
use super::header::EspHeader;
use super::trailer;
use crate::drop_reason::DropReason;
use crate::packet::Packet;
use crate::packet::ip::{IpHeader, IpVersion};
use crate::replay::ReplayWindow;
use crate::sa::inbound::InboundSa;

/// What the outer header says that the inner packet must learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OuterInfo {
    /// ECN of the outer header.
    pub ecn: Ecn,
}

/// What was inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// IPv4 or IPv6.
    pub version: IpVersion,
}

/// Opens `pkt`: in comes an ESP packet, out goes the inner packet. A forged or damaged packet leaves no trace in
/// `window`. After an error the content of the packet is undefined.
#[inline]
pub fn decapsulate(
    sa: &InboundSa,
    window: &mut ReplayWindow,
    pkt: &mut Packet<'_>,
    outer: OuterInfo,
) -> Result<Inner, DropReason> {
    let header = EspHeader::parse(pkt.as_slice()).ok_or(DropReason::Runt)?;
    let seq = window.infer(header.seq)?;
    window.check(seq)?;
    open(sa, seq, pkt)?; // nothing below is trusted before this line
    window.mark(seq)?;
    unwrap(sa, pkt, outer)
}

/// Verifies and decrypts `pkt`, and leaves payload, padding and trailer.
#[inline]
pub fn open(sa: &InboundSa, seq: u64, pkt: &mut Packet<'_>) -> Result<(), DropReason> {
    let transform = sa.transform();
    let frame = transform.header_len().saturating_add(transform.icv_len());
    let ciphertext_len = pkt.len().checked_sub(frame).filter(|len| *len > 0).ok_or(DropReason::Runt)?;
    // A power of two: a mask, where the remainder by a number from memory is a division.
    if ciphertext_len & transform.block_len().wrapping_sub(1) != 0 {
        return Err(DropReason::Misaligned);
    }
    sa.opener().open(seq, pkt.as_mut_slice())?;
    pkt.pull_front(transform.header_len()).ok_or(DropReason::Runt)?;
    pkt.truncate(ciphertext_len);
    Ok(())
}

/// Takes padding and trailer off an opened packet, and admits or refuses what is inside.
#[inline]
pub fn unwrap(sa: &InboundSa, pkt: &mut Packet<'_>, outer: OuterInfo) -> Result<Inner, DropReason> {
    let (payload_len, next_header) = trailer::strip(pkt.as_slice())?;
    pkt.truncate(payload_len);
    let announced = match next_header {
        trailer::IPV4 => IpVersion::V4,
        trailer::IPV6 => IpVersion::V6,
        trailer::NONE => return Err(DropReason::DummyPacket),
        _ => return Err(DropReason::NextHeader),
    };
    if IpVersion::of(pkt.as_slice()).is_some_and(|version| version != announced) {
        return Err(DropReason::InnerVersion);
    }
    let header = IpHeader::parse(pkt.as_slice()).ok_or(DropReason::InnerHeader)?;
    if header.total_len > pkt.len() {
        return Err(DropReason::InnerLength);
    }
    // What follows the inner packet is padding against traffic analysis (RFC 4303 §2.7).
    pkt.truncate(header.total_len);
    if !sa.selectors().admits(header.source, header.destination) {
        return Err(DropReason::Selectors);
    }
    ecn::merge(outer.ecn, &header, pkt.as_mut_slice())?;
    Ok(Inner { version: announced })
}

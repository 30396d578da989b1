//! The inbound line: an ESP packet becomes its inner packet in place (RFC 4303 §3.4, tunnel mode).
//!
//! [`decapsulate`] is the whole line for a worker that owns the SA's replay window. Where several workers open the
//! packets of one SA, each calls [`open_batch`] with a copy of the window beside the others, and the window's owner
//! calls [`commit_batch`] in order, which refuses what another packet has taken.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::cipher::{BATCH, Numbered};
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
    let seq = number(window, pkt)?;
    open(sa, seq, pkt)?; // nothing below is trusted before this line
    window.mark(seq)?;
    unwrap(sa, pkt, outer)
}

/// One packet of a batch: goes in as an ESP packet, comes out as its inner packet where `result` says so.
#[derive(Debug)]
pub struct Opening<'p> {
    /// The packet; after an error its content is undefined.
    pub packet: Packet<'p>,
    /// What its outer header says.
    pub outer: OuterInfo,
    /// What was inside.
    pub result: Result<Inner, DropReason>,
}

impl<'p> Opening<'p> {
    /// An ESP packet that is to be opened.
    pub fn new(packet: Packet<'p>, outer: OuterInfo) -> Self {
        Self { packet, outer, result: Err(DropReason::Runt) }
    }
}

impl Default for Opening<'_> {
    /// No packet.
    fn default() -> Self {
        Self::new(Packet::new(&mut [], 0..0), OuterInfo::default())
    }
}

/// [`decapsulate`] for a batch of one SA's packets, in their order.
///
/// The numbers are inferred from the window as it is before the batch and marked in it when all ICVs are known, so that
/// of a packet that the batch holds twice the second is refused. A loop over [`decapsulate`] accepts the same packets, but
/// where an ESN advances by nearly 2^32 within the batch.
pub fn decapsulate_batch(sa: &InboundSa, window: &mut ReplayWindow, packets: &mut [Opening<'_>]) {
    for packets in packets.chunks_mut(BATCH) {
        let opened = open_batch(sa, window, packets);
        commit_batch(sa, window, packets, &opened);
    }
}

/// What became of each packet of a batch that was opened: its whole sequence number, or why it was not opened.
pub type Opened = [Result<u64, DropReason>; BATCH];

/// The first half of [`decapsulate_batch`], for at most [`BATCH`] packets: opens what `window` admits, which may be a copy
/// from before the batch, so that several batches are opened beside each other.
pub fn open_batch(sa: &InboundSa, window: &ReplayWindow, packets: &mut [Opening<'_>]) -> Opened {
    let mut opened = [Err(DropReason::Runt); BATCH];
    let mut numbered: [Numbered<'_>; BATCH] = core::array::from_fn(|_| Numbered::default());
    let mut places = [0; BATCH];
    let mut count = 0_usize;
    let mut slots = numbered.iter_mut().zip(&mut places);
    for ((place, opening), opened) in packets.iter_mut().enumerate().zip(&mut opened) {
        *opened =
            number(window, &opening.packet).and_then(|seq| check_len(sa, &opening.packet).map(|()| seq));
        let Ok(seq) = *opened else { continue };
        let Some((slot, origin)) = slots.next() else { break };
        *slot = Numbered::new(seq, opening.packet.as_mut_slice());
        *origin = place;
        count = count.saturating_add(1);
    }
    let numbered = numbered.get_mut(..count).unwrap_or_default();
    sa.opener().open_batch(numbered);
    for (packet, place) in numbered.iter().zip(places) {
        if let (Err(reason), Some(opened)) = (packet.result, opened.get_mut(place)) {
            *opened = Err(reason);
        }
    }
    opened
}

/// The second half, in the packets' order: enters what was opened into the SA's one window, and brings out what is inside.
pub fn commit_batch(sa: &InboundSa, window: &mut ReplayWindow, packets: &mut [Opening<'_>], opened: &Opened) {
    for (opening, opened) in packets.iter_mut().zip(opened) {
        opening.result = match *opened {
            Ok(seq) => commit(sa, window, seq, opening),
            // What the packets before it have made a replay is counted as that.
            Err(reason) => Err(number(window, &opening.packet).err().unwrap_or(reason)),
        };
    }
}

/// Enters an opened packet into the window, and brings out what is inside.
#[inline]
fn commit(
    sa: &InboundSa,
    window: &mut ReplayWindow,
    seq: u64,
    opening: &mut Opening<'_>,
) -> Result<Inner, DropReason> {
    window.mark(seq)?;
    strip_header(sa, &mut opening.packet)?;
    unwrap(sa, &mut opening.packet, opening.outer)
}

/// The whole number of a packet that the window admits.
#[inline]
fn number(window: &ReplayWindow, pkt: &Packet<'_>) -> Result<u64, DropReason> {
    let header = EspHeader::parse(pkt.as_slice()).ok_or(DropReason::Runt)?;
    let seq = window.infer(header.seq)?;
    window.check(seq)?;
    Ok(seq)
}

/// Verifies and decrypts `pkt`, and leaves payload, padding and trailer.
#[inline]
pub fn open(sa: &InboundSa, seq: u64, pkt: &mut Packet<'_>) -> Result<(), DropReason> {
    check_len(sa, pkt)?;
    sa.opener().open(seq, pkt.as_mut_slice())?;
    strip_header(sa, pkt)
}

/// Whether there are header, IV, whole blocks of ciphertext and ICV.
#[inline]
fn check_len(sa: &InboundSa, pkt: &Packet<'_>) -> Result<(), DropReason> {
    let transform = sa.transform();
    let frame = transform.header_len().saturating_add(transform.icv_len());
    let ciphertext_len = pkt.len().checked_sub(frame).filter(|len| *len > 0).ok_or(DropReason::Runt)?;
    // A power of two: a mask, where the remainder by a number from memory is a division.
    if ciphertext_len & transform.block_len().wrapping_sub(1) != 0 {
        return Err(DropReason::Misaligned);
    }
    Ok(())
}

/// Takes header, IV and ICV off an opened packet.
#[inline]
fn strip_header(sa: &InboundSa, pkt: &mut Packet<'_>) -> Result<(), DropReason> {
    let transform = sa.transform();
    let ciphertext_end = pkt.len().checked_sub(transform.icv_len()).ok_or(DropReason::Runt)?;
    pkt.truncate(ciphertext_end);
    pkt.pull_front(transform.header_len()).ok_or(DropReason::Runt)?;
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

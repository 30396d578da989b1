//! The outbound line: an inner packet becomes an ESP packet in its own buffer (RFC 4303 §3.3, tunnel mode).

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::cbc_hmac::CbcSealer;
use super::cipher::{BATCH, Numbered, Sealer};
use super::header::{self, EspHeader};
use super::trailer;
use crate::drop_reason::DropReason;
use crate::packet::Packet;
use crate::packet::ip::IpVersion;
use crate::sa::outbound::OutboundSa;
use crate::sa::sequence::Sequences;

/// Seals `pkt`: in comes an inner packet, out goes header, IV, ciphertext and ICV.
///
/// `seq` comes from [`OutboundSa::sequence`] and is used for this packet only. The buffer needs
/// [`OutboundSa::headroom`] octets before the packet and [`OutboundSa::tailroom`] behind it. After an error the
/// content of the packet is undefined.
#[inline]
pub fn encapsulate(sa: &OutboundSa, seq: u64, pkt: &mut Packet<'_>) -> Result<(), DropReason> {
    seal(sa, seq, pkt, |iv| sa.sealer().write_iv(seq, iv))
}

/// [`encapsulate`] for a batch: `packets` take the numbers of `sequences`, in order, of which there must be as many.
///
/// All are sealed or none may leave: after an error the content of every packet is undefined.
pub fn encapsulate_batch(
    sa: &OutboundSa,
    sequences: Sequences,
    packets: &mut [Packet<'_>],
) -> Result<(), DropReason> {
    let mut sequences = sequences;
    match sa.sealer() {
        // Each packet keeps the core busy by itself.
        Sealer::Aead(_) => packets.iter_mut().try_for_each(|pkt| {
            let seq = sequences.next().ok_or(DropReason::SequenceExhausted)?;
            encapsulate(sa, seq, pkt)
        }),
        Sealer::Cbc(cbc) => {
            packets.chunks_mut(BATCH).try_for_each(|packets| seal_together(sa, cbc, &mut sequences, packets))
        }
    }
}

/// Seals at most [`BATCH`] packets.
fn seal_together(
    sa: &OutboundSa,
    cbc: &CbcSealer,
    sequences: &mut Sequences,
    packets: &mut [Packet<'_>],
) -> Result<(), DropReason> {
    let ivs = cbc.ivs(sequences.clone().take(packets.len()));
    let mut numbered: [Numbered<'_>; BATCH] = core::array::from_fn(|_| Numbered::default());
    let count = packets.len();
    for ((slot, pkt), iv) in numbered.iter_mut().zip(packets).zip(&ivs) {
        let seq = sequences.next().ok_or(DropReason::SequenceExhausted)?;
        wrap(sa, seq, pkt, |into| into.copy_from_slice(iv))?;
        *slot = Numbered::new(seq, pkt.as_mut_slice());
    }
    let numbered = numbered.get_mut(..count).unwrap_or_default();
    cbc.seal_batch(numbered);
    numbered.iter().try_for_each(|packet| packet.result)
}

/// [`encapsulate`] with a chosen IV, as published packets need it.
#[inline]
pub(super) fn seal(
    sa: &OutboundSa,
    seq: u64,
    pkt: &mut Packet<'_>,
    write_iv: impl FnOnce(&mut [u8]),
) -> Result<(), DropReason> {
    wrap(sa, seq, pkt, write_iv)?;
    sa.sealer().seal(seq, pkt.as_mut_slice())
}

/// Writes all that surrounds the inner packet, but for the ICV.
#[inline]
fn wrap(
    sa: &OutboundSa,
    seq: u64,
    pkt: &mut Packet<'_>,
    write_iv: impl FnOnce(&mut [u8]),
) -> Result<(), DropReason> {
    let transform = sa.transform();
    let version = IpVersion::of(pkt.as_slice()).ok_or(DropReason::InnerHeader)?;

    let trailer_len = transform.pad_len(pkt.len()).saturating_add(trailer::LEN);
    let behind = pkt.push_back(trailer_len.saturating_add(transform.icv_len())).ok_or(DropReason::NoRoom)?;
    let (trailer, _icv) = behind.split_at_mut_checked(trailer_len).ok_or(DropReason::NoRoom)?;
    trailer::emit(trailer, trailer::next_header(version));

    let before = pkt.push_front(transform.header_len()).ok_or(DropReason::NoRoom)?;
    let (header, iv) = before.split_first_chunk_mut().ok_or(DropReason::NoRoom)?;
    *header = EspHeader { spi: sa.spi(), seq: header::low_half(seq) }.to_bytes();
    write_iv(iv);
    Ok(())
}

//! The outbound line: an inner packet becomes an ESP packet in its own buffer (RFC 4303 §3.3, tunnel mode).

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::header::{self, EspHeader};
use super::trailer;
use crate::drop_reason::DropReason;
use crate::packet::Packet;
use crate::packet::ip::IpVersion;
use crate::sa::outbound::OutboundSa;

/// Seals `pkt`: in comes an inner packet, out goes header, IV, ciphertext and ICV.
///
/// `seq` comes from [`OutboundSa::sequence`] and is used for this packet only. The buffer needs
/// [`OutboundSa::headroom`] octets before the packet and [`OutboundSa::tailroom`] behind it. After an error the
/// content of the packet is undefined.
#[inline]
pub fn encapsulate(sa: &OutboundSa, seq: u64, pkt: &mut Packet<'_>) -> Result<(), DropReason> {
    seal(sa, seq, pkt, |iv| sa.sealer().write_iv(seq, iv))
}

/// [`encapsulate`] with a chosen IV, as published packets need it.
#[inline]
pub(super) fn seal(
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

    sa.sealer().seal(seq, pkt.as_mut_slice())
}

//! The outer header's DSCP and ECN: copied out of the inner packet (RFC 4301 §5.1.2), ECN merged back (RFC 6040 §4.2).

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::drop_reason::DropReason;
use crate::packet::checksum;
use crate::packet::ip::{IpHeader, IpVersion};

/// The ECN field (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Ecn {
    /// Takes no part.
    #[default]
    NotEct = 0b00,
    /// Takes part, codepoint ECT(1).
    Ect1 = 0b01,
    /// Takes part, codepoint ECT(0).
    Ect0 = 0b10,
    /// Congestion was experienced.
    Ce = 0b11,
}

impl Ecn {
    /// The ECN field of a TOS octet or traffic class.
    #[inline]
    pub const fn of_tos(tos: u8) -> Self {
        match tos & MASK {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }
}

/// The outer TOS octet or traffic class of `inner`: its DSCP and ECN, as they are (RFC 6040 §4.1, normal mode).
///
/// 0 where there is no IP header.
#[inline]
pub fn outer_tos(inner: &[u8]) -> u8 {
    match (IpVersion::of(inner), inner) {
        (Some(IpVersion::V4), [_, tos, ..]) => *tos,
        (Some(IpVersion::V6), [first, second, ..]) => (first << 4) | (second >> 4),
        _ => 0,
    }
}

/// Brings a congestion mark of the outer header into the inner packet, whose header is `header`.
#[inline]
pub(super) fn merge(outer: Ecn, header: &IpHeader, inner: &mut [u8]) -> Result<(), DropReason> {
    let merged = match (Ecn::of_tos(header.tos), outer) {
        (Ecn::NotEct, Ecn::Ce) => return Err(DropReason::CongestionNotEct),
        (Ecn::Ect0 | Ecn::Ect1, Ecn::Ce) => Ecn::Ce,
        (Ecn::Ect0, Ecn::Ect1) => Ecn::Ect1,
        (unchanged, Ecn::NotEct | Ecn::Ect0 | Ecn::Ect1 | Ecn::Ce) => unchanged,
    };
    let tos = (header.tos & !MASK) | merged as u8;
    if tos != header.tos {
        write_tos(header.version, tos, inner);
    }
    Ok(())
}

/// Replaces TOS octet or traffic class; the IPv4 header checksum follows.
fn write_tos(version: IpVersion, tos: u8, packet: &mut [u8]) {
    match (version, packet) {
        (IpVersion::V4, [first, old, _, _, _, _, _, _, _, _, sum_0, sum_1, ..]) => {
            let sum = u16::from_be_bytes([*sum_0, *sum_1]);
            let before = u16::from_be_bytes([*first, *old]);
            let after = u16::from_be_bytes([*first, tos]);
            *old = tos;
            [*sum_0, *sum_1] = checksum::update(sum, before, after).to_be_bytes();
        }
        (IpVersion::V6, [first, second, ..]) => {
            *first = (*first & 0xf0) | (tos >> 4);
            *second = (*second & 0x0f) | (tos << 4);
        }
        _ => {}
    }
}

const MASK: u8 = 0b11;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6040 figure 4: rows are the inner field, columns the outer one; `None` is a drop.
    const FIGURE_4: [(Ecn, [Option<Ecn>; 4]); 4] = [
        (Ecn::NotEct, [Some(Ecn::NotEct), Some(Ecn::NotEct), Some(Ecn::NotEct), None]),
        (Ecn::Ect0, [Some(Ecn::Ect0), Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce)]),
        (Ecn::Ect1, [Some(Ecn::Ect1), Some(Ecn::Ect1), Some(Ecn::Ect1), Some(Ecn::Ce)]),
        (Ecn::Ce, [Some(Ecn::Ce), Some(Ecn::Ce), Some(Ecn::Ce), Some(Ecn::Ce)]),
    ];

    #[test]
    fn every_cell_of_rfc_6040_figure_4_holds_for_both_versions() {
        const DSCP: u8 = 0b1011_1000;
        for (inner, row) in FIGURE_4 {
            for (outer, expected) in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce].into_iter().zip(row) {
                for mut packet in [v4(DSCP | inner as u8), v6(DSCP | inner as u8)] {
                    let header = IpHeader::parse(&packet).unwrap();
                    let merged = merge(outer, &header, &mut packet).ok().map(|()| outer_tos(&packet));
                    assert_eq!(merged, expected.map(|ecn| DSCP | ecn as u8), "{inner:?} in {outer:?}");
                    if header.version == IpVersion::V4 && merged.is_some() {
                        assert_eq!(checksum::finish(checksum::add(0, &packet)), 0);
                    }
                }
            }
        }
    }

    fn v4(tos: u8) -> Vec<u8> {
        let mut packet = vec![0x45, tos, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let sum = checksum::finish(checksum::add(0, &packet));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    fn v6(class: u8) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x60 | (class >> 4);
        packet[1] = (class << 4) | 0x0a; // with a flow label
        packet[6] = 59;
        packet
    }
}

//! AS_PATH and AS4_PATH (RFC 4271 §4.3, RFC 6793), read, joined and written.

use super::iana::AS_TRANS;
use super::reader::Reader;
use crate::bgp::route::{AsPath, AsSegment, MAX_SEGMENT};

/// Octets of an AS number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Two,
    Four,
}

/// The path that fills `value`; `None` for what RFC 7606 §7.2 calls malformed, and for AS 0 (RFC 7607 §2).
///
/// Segments of confederations count as unknown ones: no peer is in a confederation with us (RFC 5065 §5).
pub(super) fn parse(width: Width, value: &[u8]) -> Option<AsPath> {
    let mut r = Reader::new(value);
    let mut segments = Vec::new();
    while !r.is_empty() {
        let (kind, count) = (r.u8()?, r.u8()?);
        let asns: Vec<u32> = (0..count).map(|_| number(width, &mut r)).collect::<Option<_>>()?;
        if asns.is_empty() || asns.contains(&0) {
            return None;
        }
        segments.push(match kind {
            SET => AsSegment::Set(asns),
            SEQUENCE => AsSegment::Sequence(asns),
            _ => return None,
        });
    }
    Some(AsPath(segments))
}

/// The whole way, of the AS_PATH and the AS4_PATH that came over a two-octet session (RFC 6793 §4.2.3): what AS_PATH has
/// in front of the other, and then the other. An AS4_PATH with more hops than AS_PATH is not of this route.
pub(super) fn join(as_path: AsPath, as4_path: AsPath) -> AsPath {
    let Some(mut lead) = as_path.hops().checked_sub(as4_path.hops()) else { return as_path };
    let mut joined: Vec<AsSegment> = Vec::new();
    for segment in as_path.0 {
        match segment {
            _ if lead == 0 => break,
            AsSegment::Set(asns) => {
                joined.push(AsSegment::Set(asns));
                lead = lead.saturating_sub(1);
            }
            AsSegment::Sequence(mut asns) => {
                asns.truncate(lead);
                lead = lead.saturating_sub(asns.len());
                joined.push(AsSegment::Sequence(asns));
            }
        }
    }
    for segment in as4_path.0 {
        match (joined.last_mut(), segment) {
            (Some(AsSegment::Sequence(head)), AsSegment::Sequence(tail))
                if head.len().saturating_add(tail.len()) <= MAX_SEGMENT =>
            {
                head.extend(tail);
            }
            (_, segment) => joined.push(segment),
        }
    }
    AsPath(joined)
}

/// The value of an AS_PATH; over two octets what does not fit is AS_TRANS.
pub(super) fn write(width: Width, path: &AsPath) -> Vec<u8> {
    let mut out = Vec::new();
    for segment in &path.0 {
        let kind = match segment {
            AsSegment::Set(_) => SET,
            AsSegment::Sequence(_) => SEQUENCE,
        };
        for asns in segment.asns().chunks(MAX_SEGMENT) {
            out.extend_from_slice(&[kind, super::writer::length8(asns.len())]);
            for asn in asns {
                match width {
                    Width::Two => out.extend(u16::try_from(*asn).unwrap_or(AS_TRANS).to_be_bytes()),
                    Width::Four => out.extend(asn.to_be_bytes()),
                }
            }
        }
    }
    out
}

/// Whether AS numbers are in it that two octets do not hold.
pub(super) fn is_wide(path: &AsPath) -> bool {
    path.0.iter().flat_map(AsSegment::asns).any(|asn| u16::try_from(*asn).is_err())
}

/// The next AS number.
pub(super) fn number(width: Width, r: &mut Reader<'_>) -> Option<u32> {
    match width {
        Width::Two => r.u16().map(u32::from),
        Width::Four => r.u32(),
    }
}

/// Segment type AS_SET.
const SET: u8 = 1;
/// Segment type AS_SEQUENCE.
const SEQUENCE: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(asns: &[u32]) -> AsSegment {
        AsSegment::Sequence(asns.to_vec())
    }

    #[test]
    fn a_path_is_read_as_it_is_written() {
        let path = AsPath(vec![sequence(&[64512, 4_200_000_000]), AsSegment::Set(vec![1, 2])]);
        assert_eq!(parse(Width::Four, &write(Width::Four, &path)), Some(path.clone()));
        assert_eq!(parse(Width::Two, &write(Width::Two, &path)).unwrap().to_string(), "64512 23456 {1 2}");
        assert!(is_wide(&path) && !is_wide(&AsPath(vec![sequence(&[65535])])));
        assert_eq!(parse(Width::Two, &[]), Some(AsPath::default()));
    }

    #[test]
    fn what_rfc_7606_section_7_2_calls_malformed_is_refused() {
        for value in [
            &[2][..],      // one octet left over
            &[2, 0],       // an empty segment
            &[0, 1, 0, 1], // unknown types
            &[5, 1, 0, 1],
            &[3, 1, 0, 1],    // a confederation's
            &[2, 2, 0, 1],    // an overrun
            &[2, 1, 0, 1, 2], // an underrun
            &[2, 1, 0, 0],    // AS 0
            &[2, 255, 0, 1],
        ] {
            assert_eq!(parse(Width::Two, value), None, "{value:?}");
        }
    }

    #[test]
    fn the_two_paths_join_to_the_whole_way() {
        let old = AsPath(vec![sequence(&[64512, 23456, 23456])]);
        let new = AsPath(vec![sequence(&[70000, 80000])]);
        assert_eq!(join(old.clone(), new).to_string(), "64512 70000 80000");
        assert_eq!(join(old.clone(), AsPath::default()), old);
        let longer = AsPath(vec![sequence(&[1, 2, 3, 4])]);
        assert_eq!(join(old.clone(), longer), old);
        let with_set = AsPath(vec![AsSegment::Set(vec![1, 2]), sequence(&[23456])]);
        assert_eq!(join(with_set, AsPath(vec![sequence(&[70000])])).to_string(), "{1 2} 70000");
    }
}

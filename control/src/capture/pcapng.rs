//! The few blocks of pcapng that a capture needs (draft-ietf-opsawg-pcapng): a section, one interface, packets with their
//! direction and comment, and what was lost. Big-endian, as the section says.

use core::time::Duration;

/// The section and its interface, which gives IP packets without a link layer.
pub fn head(interface: &str) -> Vec<u8> {
    let mut section = BYTE_ORDER.to_be_bytes().to_vec();
    // Version 1.0, and a length that is not known beforehand.
    section.extend([0, 1, 0, 0]);
    section.extend([0xff; 8]);
    option(&mut section, SHB_USERAPPL, concat!("gotthard ", env!("CARGO_PKG_VERSION")).as_bytes());
    end_of_options(&mut section);

    let mut described = LINKTYPE_RAW.to_be_bytes().to_vec();
    described.extend([0; 6]);
    option(&mut described, IF_NAME, interface.as_bytes());
    option(&mut described, IF_TSRESOL, &[NANOSECONDS]);
    end_of_options(&mut described);
    [block(SECTION_HEADER, &section), block(INTERFACE_DESCRIPTION, &described)].concat()
}

/// A packet, seen so long after 1970.
pub fn packet(time: Duration, outbound: bool, octets: &[u8], comment: Option<&str>) -> Vec<u8> {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let length = u32::try_from(octets.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut body = vec![0; 4];
    body.extend(nanoseconds.to_be_bytes());
    body.extend(length.into_iter().chain(length));
    body.extend(octets);
    pad(&mut body);
    option(&mut body, EPB_FLAGS, &(if outbound { OUTBOUND } else { INBOUND }).to_be_bytes());
    if let Some(comment) = comment {
        option(&mut body, COMMENT, comment.as_bytes());
    }
    end_of_options(&mut body);
    block(ENHANCED_PACKET, &body)
}

/// How many packets were taken and how many were lost, at the end.
pub fn statistics(time: Duration, taken: u64, lost: u64) -> Vec<u8> {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut body = vec![0; 4];
    body.extend(nanoseconds.to_be_bytes());
    option(&mut body, ISB_IFRECV, &taken.saturating_add(lost).to_be_bytes());
    option(&mut body, ISB_IFDROP, &lost.to_be_bytes());
    end_of_options(&mut body);
    block(INTERFACE_STATISTICS, &body)
}

/// Type, length of the whole, body, and the length again.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len().saturating_add(AROUND)).unwrap_or(u32::MAX).to_be_bytes();
    [&kind.to_be_bytes()[..], &length, body, &length].concat()
}

/// Code, length, value, padding. A value that is too long for its length is cut.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(code.to_be_bytes().into_iter().chain(length.to_be_bytes()));
    body.extend(value);
    pad(body);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

/// To 32 bits: every block and option begins so.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Packets begin with their IPv4 or IPv6 header.
const LINKTYPE_RAW: u16 = 101;
const COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const NANOSECONDS: u8 = 9;
const EPB_FLAGS: u16 = 2;
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;
/// Octets of a block around its body.
const AROUND: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    /// Types and bodies of the blocks, their lengths checked against each other.
    fn blocks(mut file: &[u8]) -> Vec<(u32, &[u8])> {
        let word = |octets: &[u8]| u32::from_be_bytes(octets[..4].try_into().unwrap());
        let mut found = Vec::new();
        while !file.is_empty() {
            let (kind, length) = (word(file), word(&file[4..]) as usize);
            assert!(length % 4 == 0 && word(&file[length - 4..]) as usize == length);
            found.push((kind, &file[8..length - 4]));
            file = &file[length..];
        }
        found
    }

    #[test]
    fn a_file_is_a_section_an_interface_packets_and_their_count() {
        let time = Duration::new(1_700_000_000, 5);
        let file =
            [head("gth0"), packet(time, true, b"seven..", Some("why")), statistics(time, 1, 2)].concat();
        let found = blocks(&file);
        let kinds: Vec<u32> = found.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION_HEADER, INTERFACE_DESCRIPTION, ENHANCED_PACKET, INTERFACE_STATISTICS]);
        let body = found[2].1;
        assert_eq!(body[4..12], 1_700_000_000_000_000_005_u64.to_be_bytes());
        assert_eq!(body[12..28], *b"\0\0\0\x07\0\0\0\x07seven..\0");
        assert_eq!(body[28..], *b"\0\x02\0\x04\0\0\0\x02\0\x01\0\x03why\0\0\0\0\0");
    }
}

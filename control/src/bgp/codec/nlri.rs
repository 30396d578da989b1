//! Prefixes as NLRI and withdrawn routes have them (RFC 4271 §4.3, RFC 4760 §5): a length in bits, and as many octets as
//! hold them.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::family::Family;
use super::reader::Reader;

/// The prefixes that fill `field`; `None` where a length is beyond the address or a prefix beyond the field (RFC 7606 §5.3).
///
/// Bits behind the length mean nothing (RFC 4271 §4.3) and come out as zero.
pub(super) fn parse(family: Family, field: &[u8]) -> Option<Vec<IpNet>> {
    let mut r = Reader::new(field);
    let mut prefixes = Vec::new();
    while !r.is_empty() {
        prefixes.push(prefix(family, &mut r)?);
    }
    Some(prefixes)
}

/// Appends one prefix.
pub(super) fn write(out: &mut Vec<u8>, prefix: IpNet) {
    let length = prefix.prefix_len();
    out.push(length);
    match prefix {
        IpNet::V4(net) => out.extend(net.network().octets().into_iter().take(octets(length))),
        IpNet::V6(net) => out.extend(net.network().octets().into_iter().take(octets(length))),
    }
}

/// Octets that `prefix` takes.
pub(super) fn size(prefix: IpNet) -> usize {
    octets(prefix.prefix_len()).saturating_add(1)
}

fn prefix(family: Family, r: &mut Reader<'_>) -> Option<IpNet> {
    let length = r.u8()?;
    let present = r.take(octets(length))?;
    Some(match family {
        Family::Ipv4 => Ipv4Net::new(Ipv4Addr::from(filled(present)?), length).ok()?.trunc().into(),
        Family::Ipv6 => Ipv6Net::new(Ipv6Addr::from(filled(present)?), length).ok()?.trunc().into(),
    })
}

/// An address that begins with `present` and ends with zeros; `None` if they are more than an address has.
fn filled<const N: usize>(present: &[u8]) -> Option<[u8; N]> {
    let mut address = [0; N];
    address.get_mut(..present.len())?.copy_from_slice(present);
    Some(address)
}

const fn octets(bits: u8) -> usize {
    bits.div_ceil(8) as usize
}

/// The most that one prefix takes.
pub(super) const LONGEST: usize = 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_of_every_length_are_read_as_they_are_written() {
        for length in 0..=32 {
            let prefix = IpNet::V4(Ipv4Net::new(Ipv4Addr::new(203, 0, 113, 255), length).unwrap().trunc());
            let mut field = Vec::new();
            write(&mut field, prefix);
            assert_eq!(field.len(), size(prefix));
            assert_eq!(parse(Family::Ipv4, &field), Some(vec![prefix]));
        }
        for length in 0..=128 {
            let address = Ipv6Addr::from_bits(u128::MAX / 3);
            let prefix = IpNet::V6(Ipv6Net::new(address, length).unwrap().trunc());
            let mut field = Vec::new();
            write(&mut field, prefix);
            assert!(field.len() == size(prefix) && field.len() <= LONGEST);
            assert_eq!(parse(Family::Ipv6, &field), Some(vec![prefix]));
        }
    }

    #[test]
    fn bits_behind_the_length_are_zero_on_receipt() {
        assert_eq!(parse(Family::Ipv4, &[9, 10, 0xff]), Some(vec![net("10.128.0.0/9")]));
        assert_eq!(parse(Family::Ipv6, &[1, 0xff]), Some(vec![net("8000::/1")]));
    }

    #[test]
    fn a_length_beyond_the_address_or_the_field_spoils_the_field() {
        for field in [&[33, 10, 0, 0, 0, 0][..], &[255], &[24, 10, 0], &[8, 10, 16], &[32]] {
            assert_eq!(parse(Family::Ipv4, field), None, "{field:?}");
        }
        assert_eq!(parse(Family::Ipv6, &[[129].as_slice(), &[0; 17]].concat()), None);
        assert_eq!(parse(Family::Ipv6, &[]), Some(vec![]));
    }
}

//! A protected message of ours as it leaves: one datagram, or fragments no larger than the path takes (RFC 7383 §2.5).

use std::net::IpAddr;

use super::{Cx, Path};
use crate::codec::header::Header;
use crate::crypto::protect::{Chain, SkCipher};
use crate::limits;

/// A message that is kept to be sent again, octet for octet, as long as it or its answer may be lost.
#[cfg_attr(test, derive(Default))]
pub(crate) struct Sealed {
    datagrams: Vec<Vec<u8>>,
    transmissions: u32,
    /// What it says, where smaller fragments may yet carry it over a narrow path.
    uncut: Option<Box<Uncut>>,
}

struct Uncut {
    header: Header,
    chain: Chain,
}

impl Sealed {
    /// Seals a message; `sizes` are those of the path, `None` where the peer takes no fragments.
    pub(crate) fn new(
        header: Header,
        chain: Chain,
        sizes: Option<FragmentSizes>,
        cipher: &mut SkCipher,
        cx: &mut Cx<'_>,
    ) -> Self {
        let max_len = sizes.map_or(usize::MAX, |sizes| sizes.first);
        let datagrams = chain.seal(header, cipher, cx.random, max_len);
        let narrows =
            sizes.is_some_and(|sizes| datagrams.iter().any(|datagram| datagram.len() > sizes.least));
        let uncut = narrows.then(|| Box::new(Uncut { header, chain }));
        Self { datagrams, transmissions: 0, uncut }
    }

    /// Sends the message, for the first time or again.
    ///
    /// After [`limits::WIDE_TRANSMISSIONS`] in vain the path may be too narrow: the message is cut anew into the smallest
    /// fragments, more of them, by which the peer tells the two sets apart (RFC 7383 §2.5.2).
    pub(crate) fn transmit(
        &mut self,
        sizes: Option<FragmentSizes>,
        cipher: &mut SkCipher,
        path: Path,
        cx: &mut Cx<'_>,
    ) {
        if self.transmissions >= limits::WIDE_TRANSMISSIONS
            && let (Some(uncut), Some(sizes)) = (self.uncut.take(), sizes)
        {
            let Uncut { header, chain } = *uncut;
            let smaller = chain.seal(header, cipher, cx.random, sizes.least);
            if smaller.len() > self.datagrams.len() {
                self.datagrams = smaller;
            }
        }
        self.transmissions = self.transmissions.saturating_add(1);
        for datagram in &self.datagrams {
            cx.transmit(path, datagram.clone());
        }
    }
}

/// The longest IKE messages in octets that leave in one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FragmentSizes {
    /// What a path is expected to carry.
    first: usize,
    /// What every path carries.
    least: usize,
}

impl FragmentSizes {
    /// For IP datagrams to `remote` of at most `datagram` octets. Room for the non-ESP marker is always left: the
    /// exchange may float.
    pub(crate) fn new(datagram: u16, remote: IpAddr) -> Self {
        let (ip, least) = match remote {
            IpAddr::V4(_) => (20, limits::LEAST_DATAGRAM_V4),
            IpAddr::V6(_) => (40, limits::LEAST_DATAGRAM_V6),
        };
        let len = |datagram: u16| usize::from(datagram).saturating_sub(ip + UDP_AND_MARKER);
        Self { first: len(datagram.max(least)), least: len(least) }
    }
}

/// UDP header, and the marker that IKE has on port 4500 (RFC 3948 §2.2).
const UDP_AND_MARKER: usize = 8 + 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_of_1280_octets_holds_ip_udp_marker_and_message() {
        let v4 = FragmentSizes::new(1280, IpAddr::from([192, 0, 2, 1]));
        assert_eq!((v4.first, v4.least), (1280 - 20 - 12, 576 - 20 - 12));
        let v6 = FragmentSizes::new(1280, IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]));
        assert_eq!((v6.first, v6.least), (1280 - 40 - 12, 1280 - 40 - 12));
    }

    #[test]
    fn no_path_is_narrower_than_the_protocol_permits() {
        let sizes = FragmentSizes::new(0, IpAddr::from([192, 0, 2, 1]));
        assert_eq!(sizes.first, sizes.least);
    }
}

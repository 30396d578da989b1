//! NAT detection (RFC 7296 §2.23): each end says where it thinks the datagram comes from and goes to, as a hash, and the
//! other compares. What follows from it (port 4500, ESP in UDP) is decided by the exchanges.

use std::net::{IpAddr, SocketAddr};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::Path;
use crate::codec::iana::NotifyType;
use crate::codec::payload::Payload;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::config::Encapsulation;
use crate::crypto::Random;
use crate::event::Nat;

/// The two hashes that we send.
pub(crate) struct Detection {
    source: [u8; HASH_LEN],
    destination: [u8; HASH_LEN],
}

impl Detection {
    /// For a message that takes `path`. Where UDP encapsulation is forced the source is a random number, so that the
    /// peer sees a NAT before us.
    pub(crate) fn new(
        spi_i: u64,
        spi_r: u64,
        path: Path,
        encapsulation: Encapsulation,
        random: &mut dyn Random,
    ) -> Self {
        let mut source = address_hash(spi_i, spi_r, path.local);
        if encapsulation == Encapsulation::Udp {
            random.fill(&mut source);
        }
        Self { source, destination: address_hash(spi_i, spi_r, path.remote) }
    }

    pub(crate) fn payloads(&self) -> [Payload<'_>; 2] {
        [
            Payload::Notify(Notify::new(NotifyType::NAT_DETECTION_SOURCE_IP, &self.source)),
            Payload::Notify(Notify::new(NotifyType::NAT_DETECTION_DESTINATION_IP, &self.destination)),
        ]
    }
}

/// Compares the peer's hashes with the addresses of the datagram that brought them; `None` if it sent none, that is,
/// does not know NAT traversal. Its source may be any of several (RFC 7296 §2.23).
pub(crate) fn detect(payloads: Select<'_, '_>, spi_i: u64, spi_r: u64, path: Path) -> Option<Nat> {
    let said = |kind, address| {
        let hash = address_hash(spi_i, spi_r, address);
        let mut of_kind = payloads.notifies().filter(|notify| notify.kind == kind).peekable();
        of_kind.peek()?;
        Some(of_kind.any(|notify| notify.data == hash))
    };
    let source = said(NotifyType::NAT_DETECTION_SOURCE_IP, path.remote)?;
    let destination = said(NotifyType::NAT_DETECTION_DESTINATION_IP, path.local)?;
    Some(Nat { local: !destination, remote: !source })
}

/// SHA-1 over SPIs, address and port. It hides nothing and authenticates nothing.
fn address_hash(spi_i: u64, spi_r: u64, address: SocketAddr) -> [u8; HASH_LEN] {
    let mut octets = Vec::with_capacity(34);
    octets.extend_from_slice(&spi_i.to_be_bytes());
    octets.extend_from_slice(&spi_r.to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => octets.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => octets.extend_from_slice(&ip.octets()),
    }
    octets.extend_from_slice(&address.port().to_be_bytes());
    let mut hash = [0; HASH_LEN];
    for (to, from) in hash.iter_mut().zip(digest(&SHA1_FOR_LEGACY_USE_ONLY, &octets).as_ref()) {
        *to = *from;
    }
    hash
}

const HASH_LEN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Random for Fixed {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0x5a);
        }
    }

    fn path(local: &str, remote: &str) -> Path {
        Path { local: local.parse().unwrap(), remote: remote.parse().unwrap() }
    }

    fn seen(sent: Path, arrived: Path, encapsulation: Encapsulation) -> Option<Nat> {
        let detection = Detection::new(1, 2, sent, encapsulation, &mut Fixed);
        detect(Select(&detection.payloads()), 1, 2, arrived)
    }

    #[test]
    fn without_a_translator_both_hashes_agree() {
        let sent = path("192.0.2.1:500", "198.51.100.1:500");
        let arrived = path("198.51.100.1:500", "192.0.2.1:500");
        assert_eq!(seen(sent, arrived, Encapsulation::Auto), Some(Nat { local: false, remote: false }));
    }

    #[test]
    fn a_translated_source_is_a_nat_before_the_sender() {
        let sent = path("10.0.0.1:500", "198.51.100.1:500");
        let arrived = path("198.51.100.1:500", "192.0.2.1:1024");
        assert_eq!(seen(sent, arrived, Encapsulation::Auto), Some(Nat { local: false, remote: true }));
    }

    #[test]
    fn forced_encapsulation_looks_like_a_nat_before_the_sender() {
        let sent = path("192.0.2.1:500", "198.51.100.1:500");
        let arrived = path("198.51.100.1:500", "192.0.2.1:500");
        assert_eq!(seen(sent, arrived, Encapsulation::Udp), Some(Nat { local: false, remote: true }));
    }

    #[test]
    fn a_peer_that_says_nothing_knows_no_nat_traversal() {
        assert_eq!(detect(Select(&[]), 1, 2, path("192.0.2.1:500", "198.51.100.1:500")), None);
    }
}

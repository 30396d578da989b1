//! What the packet-path tests share: SAs with keys drawn from a seed, and inner packets.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]
#![allow(clippy::cast_possible_truncation, reason = "octets that count up")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::decapsulate::{Inner, OuterInfo, decapsulate};
use gotthard_dataplane::esp::encapsulate::encapsulate;
use gotthard_dataplane::esp::transform::Transform;
use gotthard_dataplane::packet::Packet;
use gotthard_dataplane::replay::ReplayWindow;
use gotthard_dataplane::sa::inbound::InboundSa;
use gotthard_dataplane::sa::outbound::OutboundSa;
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, Lifetime, OutboundSpec, OuterPath, Selectors, TunnelId,
};

/// The SPI of [`Ends`].
pub(crate) const SPI: u32 = 0xc0ff_ee01;

/// Both ends of one SA. The sender's local side is 10.0.0.0/8 and fd00::/16, the receiver's 172.16.0.0/12 and fd01::/16.
pub(crate) struct Ends {
    pub(crate) outbound: OutboundSa,
    pub(crate) inbound: InboundSa,
    pub(crate) window: ReplayWindow,
    pub(crate) keys: Keys,
}

impl Ends {
    pub(crate) fn new(transform: Transform, esn: bool) -> Self {
        Self::with_window(transform, esn, 1024)
    }

    pub(crate) fn with_window(transform: Transform, esn: bool, replay_window: u32) -> Self {
        let keys = keys(transform);
        let (near, far) = (near(), far());
        let outbound = OutboundSa::new(&OutboundSpec {
            tunnel: TunnelId(1),
            spi: SPI,
            transform,
            keys: keys.clone(),
            esn,
            peer_window: 1024,
            lifetime: Lifetime::default(),
            selectors: Selectors { local: near.clone(), remote: far.clone() },
            path: OuterPath {
                local: ([192, 0, 2, 1], 4500).into(),
                remote: ([192, 0, 2, 2], 4500).into(),
                encapsulation: Encapsulation::Udp,
            },
        })
        .unwrap();
        let inbound = InboundSa::new(&InboundSpec {
            tunnel: TunnelId(1),
            spi: SPI,
            transform,
            keys: keys.clone(),
            esn,
            replay_window,
            selectors: Selectors { local: far, remote: near },
        })
        .unwrap();
        let window = inbound.replay_window();
        Self { outbound, inbound, window, keys }
    }

    /// The ESP packet of `inner` with the number `seq`.
    pub(crate) fn sealed(&self, seq: u64, inner: &[u8]) -> Vec<u8> {
        let headroom = self.outbound.headroom();
        let mut buf = vec![0xee; headroom + inner.len() + self.outbound.tailroom()];
        buf[headroom..headroom + inner.len()].copy_from_slice(inner);
        let mut pkt = Packet::new(&mut buf, headroom..headroom + inner.len());
        encapsulate(&self.outbound, seq, &mut pkt).unwrap();
        pkt.as_slice().to_vec()
    }

    /// The inner packet of `esp`.
    pub(crate) fn opened(&mut self, esp: &[u8]) -> Result<Vec<u8>, DropReason> {
        self.opened_from(esp, OuterInfo::default()).map(|(_, inner)| inner)
    }

    pub(crate) fn opened_from(
        &mut self,
        esp: &[u8],
        outer: OuterInfo,
    ) -> Result<(Inner, Vec<u8>), DropReason> {
        let mut buf = esp.to_vec();
        let mut pkt = Packet::new(&mut buf, 0..esp.len());
        let inner = decapsulate(&self.inbound, &mut self.window, &mut pkt, outer)?;
        Ok((inner, pkt.as_slice().to_vec()))
    }
}

/// Keys of the transform's lengths.
pub(crate) fn keys(transform: Transform) -> Keys {
    let octets = |salt: u8, len: usize| (0..len).map(|i| (i as u8).wrapping_mul(37) ^ salt).collect();
    Keys {
        encryption: octets(0x5a, transform.key_len() + transform.salt_len()),
        integrity: octets(0xc3, transform.integrity_key_len()),
    }
}

/// An IPv4 packet of the sender's side with `payload` octets behind its header.
pub(crate) fn v4(payload: usize) -> Vec<u8> {
    v4_between(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(172, 16, 0, 1), payload)
}

pub(crate) fn v4_between(source: Ipv4Addr, destination: Ipv4Addr, payload: usize) -> Vec<u8> {
    let len = u16::try_from(20 + payload).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend((0..payload).map(|i| i as u8));
    packet
}

/// An IPv6 packet of the sender's side with `payload` octets behind its header.
pub(crate) fn v6(payload: usize) -> Vec<u8> {
    let len = u16::try_from(payload).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], 17, 64];
    packet.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets());
    packet.extend(Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 1).octets());
    packet.extend((0..payload).map(|i| i as u8));
    packet
}

fn near() -> Vec<AddressRange> {
    vec![range("10.0.0.0", "10.255.255.255"), range("fd00::", "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
}

fn far() -> Vec<AddressRange> {
    vec![range("172.16.0.0", "172.31.255.255"), range("fd01::", "fd01:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
}

fn range(start: &str, end: &str) -> AddressRange {
    let parse = |text: &str| text.parse::<IpAddr>().unwrap();
    AddressRange { start: parse(start), end: parse(end) }
}

//! Hostile datagrams and how they are sent: from a stranger's own address, or with a peer's address forged.
//!
//! The kinds are rows of the list of hostile input: a flood (H1), lengths (H4), next payloads (H5), state (H10), ESP (H20), replay
//! (H21), BGP (H30). Every datagram is drawn from a seed that the scenario prints.

use core::net::SocketAddrV4;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Netns;

pub mod bgp;
pub mod esp;
pub mod flood;
pub mod ike;

/// A raw socket in a host; the IP header is ours, so the source address is what we say.
#[derive(Debug)]
pub struct Forger {
    socket: Socket,
}

impl Forger {
    /// Opens it.
    pub fn new(host: &Netns) -> Result<Self> {
        let open = || Ok(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?);
        Ok(Self { socket: host.enter(open)? })
    }

    /// Sends a UDP datagram.
    pub fn send(&self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Result<()> {
        self.send_packet(&datagram(from, to, payload)?, to)
    }

    /// Sends a packet that [`datagram`] has made.
    fn send_packet(&self, packet: &[u8], to: SocketAddrV4) -> Result<()> {
        self.socket
            .send_to(packet, &to.into())
            .with_context(|| format!("{} octets to {to}", packet.len()))?;
        Ok(())
    }
}

/// A UDP datagram with its IP header. Without a checksum, as RFC 3948 §2.1 has it for ESP; the rest of the header is
/// right.
fn datagram(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(payload.len() + 8)?;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]; // the kernel fills length, id and checksum
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    Ok(packet)
}

/// A small generator (SplitMix64): the same seed, the same datagrams.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.word() >> 1).unwrap_or_default() % bound.max(1)
    }

    /// Octets.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = core::iter::repeat_with(|| self.word().to_be_bytes());
        words.take(count.div_ceil(8)).flatten().take(count).collect()
    }

    /// Between `least` and `most` octets.
    pub fn some_bytes(&mut self, least: usize, most: usize) -> Vec<u8> {
        let count = least + self.below(most - least + 1);
        self.bytes(count)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

const IPPROTO_RAW: i32 = 255;
/// Offsets in a packet of [`datagram`].
const SOURCE_AT: usize = 12;
const UDP_PAYLOAD_AT: usize = 28;

//! The cold part of an SA and of a tunnel: plain, owned descriptions that the control plane sends.
//!
//! What a packet touches is built from them once: [`super::outbound`] and [`super::inbound`].

use std::net::{IpAddr, SocketAddr};

use zeroize::ZeroizeOnDrop;

pub use super::lifetime::Lifetime;
use crate::esp::transform::Transform;

/// Names a tunnel; chosen by the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(pub u32);

/// One tunnel: its TUN device, and how packets enter it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelSpec {
    /// Names the tunnel.
    pub id: TunnelId,
    /// Name of the TUN device to create, at most 15 octets.
    pub interface: String,
    /// Cap of the inner MTU in octets; the SA's own limit may be lower.
    pub mtu_cap: u16,
    /// MTU of the outer path in octets (1500 where nothing else is known).
    pub outer_mtu: u16,
}

/// The keys of one direction.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Keys {
    /// Cipher key, with the 4-octet salt behind it for an AEAD (RFC 4106 §8.1, RFC 7634 §4).
    pub encryption: Vec<u8>,
    /// Integrity key; empty for an AEAD.
    pub integrity: Vec<u8>,
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// How ESP crosses the outer network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// In UDP (RFC 3948).
    Udp,
    /// As IP protocol 50.
    Esp,
}

/// The outer addresses; the ports count in UDP only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuterPath {
    /// Ours.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// In UDP or as IP protocol 50.
    pub encapsulation: Encapsulation,
}

/// A closed range of inner addresses of one family (RFC 7296 §3.13.1; ports and protocols are not selected on).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The first address.
    pub start: IpAddr,
    /// The last address, of the same family.
    pub end: IpAddr,
}

/// Which inner packets an SA carries. Empty = none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// Addresses on our side.
    pub local: Vec<AddressRange>,
    /// Addresses on the peer's side.
    pub remote: Vec<AddressRange>,
}

/// An SA for packets that arrive.
#[derive(Clone, Debug)]
pub struct InboundSpec {
    /// The tunnel whose TUN device receives the inner packets.
    pub tunnel: TunnelId,
    /// Our SPI.
    pub spi: u32,
    /// Cipher and integrity.
    pub transform: Transform,
    /// Keys of this direction.
    pub keys: Keys,
    /// Extended sequence numbers (RFC 4303 appendix A).
    pub esn: bool,
    /// Width of the anti-replay window in packets (RFC 4303 §3.4.3).
    pub replay_window: u32,
    /// What may be inside.
    pub selectors: Selectors,
}

/// An SA for packets that leave.
#[derive(Clone, Debug)]
pub struct OutboundSpec {
    /// The tunnel whose packets it seals.
    pub tunnel: TunnelId,
    /// The peer's SPI.
    pub spi: u32,
    /// Cipher and integrity.
    pub transform: Transform,
    /// Keys of this direction.
    pub keys: Keys,
    /// Extended sequence numbers (RFC 4303 §2.2.1).
    pub esn: bool,
    /// Width of the peer's anti-replay window in packets: workers that share the SA reorder within a quarter of it.
    pub peer_window: u32,
    /// How much it may carry.
    pub lifetime: Lifetime,
    /// What may be inside.
    pub selectors: Selectors,
    /// Where to.
    pub path: OuterPath,
}

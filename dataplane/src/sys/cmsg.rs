//! Control messages and socket addresses in the kernel's layout, written and read as plain octets: no unsafe code here.
//!
//! Layouts: `struct cmsghdr` (RFC 3542 §4.2 and ABI), `in_pktinfo`, `in6_pktinfo`, `sockaddr_in`, `sockaddr_in6` of
//! 64-bit Linux.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Ancillary data of one message.
#[repr(C, align(8))]
#[derive(Clone)]
pub struct Control {
    bytes: [u8; CONTROL_LEN],
    len: usize,
}

/// What came with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The address it was sent to.
    pub local: Option<IpAddr>,
    /// The TOS or traffic class octet of the outer header.
    pub tos: u8,
    /// It is several datagrams of this size, the last may be shorter (`UDP_GRO`).
    pub segment: Option<u16>,
}

impl Control {
    /// Nothing in it.
    pub const fn new() -> Self {
        Self { bytes: [0; CONTROL_LEN], len: 0 }
    }

    /// What an outgoing message of `family` needs: its source address, its TOS octet and its segment size.
    pub fn outgoing(from: Option<IpAddr>, tos: u8, v6: bool, segment: Option<u16>) -> Self {
        let mut control = Self::new();
        match from {
            Some(IpAddr::V4(from)) if !from.is_unspecified() => {
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&from.octets());
                control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            Some(IpAddr::V6(from)) if !from.is_unspecified() => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&from.octets());
                control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            _ => {}
        }
        let tos = libc::c_int::from(tos).to_ne_bytes();
        if v6 {
            control.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &tos);
        } else {
            control.push(libc::IPPROTO_IP, libc::IP_TOS, &tos);
        }
        if let Some(segment) = segment {
            control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
        }
        control
    }

    /// What came with a message.
    pub fn incoming(&self) -> Incoming {
        Incoming::parse(self.bytes.get(..self.len).unwrap_or_default())
    }

    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let start = self.len;
        let end = start + HEADER_LEN + data.len();
        debug_assert!(end <= CONTROL_LEN);
        self.bytes[start..start + 8].copy_from_slice(&(HEADER_LEN + data.len()).to_ne_bytes());
        self.bytes[start + 8..start + 12].copy_from_slice(&level.to_ne_bytes());
        self.bytes[start + 12..start + 16].copy_from_slice(&kind.to_ne_bytes());
        self.bytes[start + 16..end].copy_from_slice(data);
        self.len = end.next_multiple_of(8).min(CONTROL_LEN);
    }

    /// For the system call: where the octets are.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// After the system call: how many octets the kernel wrote.
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len.min(CONTROL_LEN);
    }
}

impl Incoming {
    /// Reads control data.
    pub fn parse(control: &[u8]) -> Self {
        let Self { mut local, mut tos, mut segment } = Self::default();
        for (level, kind, data) in messages(control) {
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    local = octets::<4>(data, 8).map(|a| IpAddr::V4(Ipv4Addr::from(a))).or(local);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    local = octets::<16>(data, 0).map(|a| IpAddr::V6(Ipv6Addr::from(a))).or(local);
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => tos = data.first().copied().unwrap_or(tos),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    // A c_int of 0..=255.
                    tos = octets::<4>(data, 0).map_or(tos, |o| i32::from_ne_bytes(o).to_le_bytes()[0]);
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = octets::<4>(data, 0).map(i32::from_ne_bytes);
                    segment = size.and_then(|size| u16::try_from(size).ok()).filter(|size| *size > 0);
                }
                _ => {}
            }
        }
        Self { local, tos, segment }
    }
}

/// A socket address in the kernel's layout.
#[repr(C, align(8))]
#[derive(Clone)]
pub struct Name([u8; NAME_LEN]);

impl Name {
    /// No address.
    pub const fn new() -> Self {
        Self([0; NAME_LEN])
    }

    /// The octets of `address`, and how many of them count.
    pub fn encode(address: SocketAddr) -> (Self, libc::socklen_t) {
        let mut name = Self::new();
        let port = address.port().to_be_bytes();
        match address {
            SocketAddr::V4(v4) => {
                name.0[..2].copy_from_slice(&family(libc::AF_INET));
                name.0[2..4].copy_from_slice(&port);
                name.0[4..8].copy_from_slice(&v4.ip().octets());
                (name, 16)
            }
            SocketAddr::V6(v6) => {
                name.0[..2].copy_from_slice(&family(libc::AF_INET6));
                name.0[2..4].copy_from_slice(&port);
                name.0[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
                name.0[8..24].copy_from_slice(&v6.ip().octets());
                name.0[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                (name, 28)
            }
        }
    }

    /// The address, where it is an IPv4 or IPv6 one.
    pub fn decode(&self) -> Option<SocketAddr> {
        Self::decode_from(&self.0)
    }

    /// The address that `name` holds, where it is an IPv4 or IPv6 one.
    pub fn decode_from(name: &[u8]) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(octets(name, 2)?);
        let kind: [u8; 2] = octets(name, 0)?;
        if kind == family(libc::AF_INET) {
            Some((Ipv4Addr::from(octets::<4>(name, 4)?), port).into())
        } else if kind == family(libc::AF_INET6) {
            let ip = Ipv6Addr::from(octets::<16>(name, 8)?);
            Some(SocketAddrV6::new(ip, port, 0, u32::from_ne_bytes(octets(name, 24)?)).into())
        } else {
            None
        }
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }
}

const fn family(family: libc::c_int) -> [u8; 2] {
    let [low, high, ..] = family.to_le_bytes();
    u16::from_le_bytes([low, high]).to_ne_bytes()
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::new()
    }
}

fn messages(control: &[u8]) -> impl Iterator<Item = (libc::c_int, libc::c_int, &[u8])> {
    let mut rest = control;
    std::iter::from_fn(move || {
        let len = usize::from_ne_bytes(octets(rest, 0)?);
        let level = libc::c_int::from_ne_bytes(octets(rest, 8)?);
        let kind = libc::c_int::from_ne_bytes(octets(rest, 12)?);
        let data = rest.get(HEADER_LEN..len)?;
        rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
        Some((level, kind, data))
    })
}

fn octets<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..)?.first_chunk().copied()
}

/// Octets kept for control data: all that [`Control::outgoing`] writes, or the kernel sends for the options we set.
pub(super) const CONTROL_LEN: usize = 128;

/// `sizeof(struct sockaddr_in6)`, rounded up.
pub(super) const NAME_LEN: usize = 32;

/// The same, as the kernel's interface has it.
pub(super) const NAME_SOCKLEN: libc::socklen_t = 32;

/// `sizeof(struct cmsghdr)`.
const HEADER_LEN: usize = 16;

const _: () = assert!(HEADER_LEN == size_of::<libc::cmsghdr>());
const _: () = assert!(NAME_LEN >= size_of::<libc::sockaddr_in6>() && NAME_LEN == NAME_SOCKLEN as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_kernels_layout() {
        for address in ["192.0.2.1:4500", "[2001:db8::1]:500", "0.0.0.0:0"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(Name::encode(address).0.decode(), Some(address));
        }
        assert_eq!(Name::new().decode(), None);
    }

    #[test]
    fn a_control_message_that_is_cut_short_ends_the_list() {
        let mut control =
            Control::outgoing(Some("2001:db8::1".parse().unwrap()), 0x2e << 2, true, Some(1400));
        let expected = Incoming { local: Some("2001:db8::1".parse().unwrap()), tos: 0xb8, segment: None };
        assert_eq!(control.incoming(), expected);
        for len in 0..control.len() {
            control.set_len(len);
            let _ = control.incoming();
        }
        control.set_len(usize::MAX);
        assert_eq!(control.incoming().tos, 0xb8);
    }
}

//! Traffic Selector payload (RFC 7296 §3.13). Narrowing is in `sa::narrow`.

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::codec::iana::TsType;
use crate::codec::reader::Reader;
use crate::codec::writer::{Writer, length8};
use crate::codec::{DecodeError, Flaw};

/// TSi or TSr payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficSelectors<'a> {
    /// Address ranges, in their order.
    pub selectors: Vec<TrafficSelector>,
    /// Selectors of types that we do not know. They never match a packet of ours.
    pub unknown: Vec<UnknownSelector<'a>>,
}

/// A selector of a type that we do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSelector<'a> {
    /// TS Type.
    pub kind: TsType,
    /// The octet that is IP Protocol ID in the types that we know.
    pub protocol: u8,
    /// All behind the length field.
    pub body: &'a [u8],
}

impl<'a> TrafficSelectors<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::from(r.u8()?);
        r.skip(3)?; // RESERVED
        if count == 0 {
            return Err(r.malformed(Flaw::Empty));
        }
        let mut payload = Self::default();
        for _ in 0..count {
            let kind = TsType(r.u8()?);
            let protocol = r.u8()?;
            let mut body = r.block(2)?;
            match kind {
                TsType::IPV4_ADDR_RANGE => {
                    payload.selectors.push(TrafficSelector::parse::<4>(protocol, &mut body)?);
                }
                TsType::IPV6_ADDR_RANGE => {
                    payload.selectors.push(TrafficSelector::parse::<16>(protocol, &mut body)?);
                }
                _ => payload.unknown.push(UnknownSelector { kind, protocol, body: body.rest() }),
            }
        }
        Ok(payload)
    }

    pub(super) fn emit(&self, w: &mut Writer<'_>) {
        w.u8(length8(self.selectors.len().saturating_add(self.unknown.len())));
        w.zeros(3);
        for selector in &self.selectors {
            selector.emit(w);
        }
        for unknown in &self.unknown {
            w.block([unknown.kind.0, unknown.protocol], |w| w.bytes(unknown.body));
        }
    }
}

impl From<Vec<TrafficSelector>> for TrafficSelectors<'_> {
    fn from(selectors: Vec<TrafficSelector>) -> Self {
        Self { selectors, unknown: Vec::new() }
    }
}

/// A range of addresses of one family, with an IP protocol and a range of ports (RFC 7296 §3.13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrafficSelector {
    /// IP Protocol ID; 0 is any.
    pub protocol: u8,
    /// First port, or ICMP type and code. 65535 with an end of 0 is OPAQUE: only packets whose ports are not known.
    pub start_port: u16,
    /// Last port.
    pub end_port: u16,
    /// First address.
    pub start: IpAddr,
    /// Last address, of the same family.
    pub end: IpAddr,
}

impl TrafficSelector {
    /// All of IPv4.
    pub const fn any_v4() -> Self {
        Self::any(IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST))
    }

    /// All of IPv6.
    pub const fn any_v6() -> Self {
        Self::any(IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)))
    }

    /// All protocols and ports of the network of `address` with a prefix of `prefix_len` bits; host bits are ignored,
    /// and a prefix longer than the address is that of the address alone.
    pub fn from_prefix(address: IpAddr, prefix_len: u8) -> Self {
        let host_bits = |width: u32| width.saturating_sub(u32::from(prefix_len));
        match address {
            IpAddr::V4(address) => {
                let hosts = u32::MAX.checked_shr(u32::BITS.saturating_sub(host_bits(u32::BITS))).unwrap_or(0);
                let start = Ipv4Addr::from_bits(address.to_bits() & !hosts);
                Self::any(start.into(), Ipv4Addr::from_bits(address.to_bits() | hosts).into())
            }
            IpAddr::V6(address) => {
                let hosts =
                    u128::MAX.checked_shr(u128::BITS.saturating_sub(host_bits(u128::BITS))).unwrap_or(0);
                let start = Ipv6Addr::from_bits(address.to_bits() & !hosts);
                Self::any(start.into(), Ipv6Addr::from_bits(address.to_bits() | hosts).into())
            }
        }
    }

    /// Ports that are not known: 65535 to 0 (RFC 7296 §3.13.1).
    pub const fn is_opaque(&self) -> bool {
        self.start_port == u16::MAX && self.end_port == 0
    }

    /// The prefix that has exactly these addresses.
    fn prefix_len(&self) -> Option<u32> {
        let (start, end, width) = match (self.start, self.end) {
            (IpAddr::V4(start), IpAddr::V4(end)) => (start.to_bits().into(), end.to_bits().into(), u32::BITS),
            (IpAddr::V6(start), IpAddr::V6(end)) => (start.to_bits(), end.to_bits(), u128::BITS),
            _ => return None,
        };
        let differing: u128 = start ^ end;
        let host_bits = u128::BITS.saturating_sub(differing.leading_zeros());
        let exact = start & differing == 0 && differing.count_ones() == host_bits;
        exact.then(|| width.saturating_sub(host_bits))
    }

    const fn any(start: IpAddr, end: IpAddr) -> Self {
        Self { protocol: 0, start_port: 0, end_port: u16::MAX, start, end }
    }

    /// Reads a range whose addresses have `N` octets.
    fn parse<const N: usize>(protocol: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError>
    where
        IpAddr: From<[u8; N]>,
    {
        let (start_port, end_port) = (r.u16()?, r.u16()?);
        let (start, end) = (r.array::<N>()?.into(), r.array::<N>()?.into());
        let selector = Self { protocol, start_port, end_port, start, end };
        r.finish()?;
        let ports = start_port <= end_port || selector.is_opaque();
        if ports && selector.start <= selector.end { Ok(selector) } else { Err(r.malformed(Flaw::Range)) }
    }

    fn emit(&self, w: &mut Writer<'_>) {
        let kind = if self.start.is_ipv4() && self.end.is_ipv4() {
            TsType::IPV4_ADDR_RANGE
        } else {
            TsType::IPV6_ADDR_RANGE
        };
        w.block([kind.0, self.protocol], |w| {
            w.u16(self.start_port);
            w.u16(self.end_port);
            for address in [self.start, self.end] {
                match address {
                    IpAddr::V4(address) if kind == TsType::IPV4_ADDR_RANGE => w.bytes(&address.octets()),
                    // Of two families only one can be meant; the parser refuses such a range at the other end.
                    IpAddr::V4(address) => w.bytes(&address.to_ipv6_mapped().octets()),
                    IpAddr::V6(address) => w.bytes(&address.octets()),
                }
            }
        });
    }
}

/// `192.0.2.0/24`, or `192.0.2.1-192.0.2.9` where no prefix says it; with ` proto 6 port 80-90` where not any.
impl fmt::Display for TrafficSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_len() {
            Some(prefix_len) => write!(f, "{}/{prefix_len}", self.start)?,
            None => write!(f, "{}-{}", self.start, self.end)?,
        }
        if self.protocol != 0 {
            write!(f, " proto {}", self.protocol)?;
        }
        match (self.start_port, self.end_port) {
            (0, u16::MAX) => Ok(()),
            _ if self.is_opaque() => f.write_str(" port opaque"),
            (start, end) if start == end => write!(f, " port {start}"),
            (start, end) => write!(f, " port {start}-{end}"),
        }
    }
}

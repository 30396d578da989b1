//! Captured packets: the pcap file format, the headers a scenario looks at, the options of a SYN.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// One captured packet, from its network header on.
#[derive(Clone, Debug)]
pub struct Packet {
    /// EtherType: 0x0800 IPv4, 0x86dd IPv6, 0x0806 ARP.
    pub ether_type: u16,
    /// The octets from the network header on.
    pub data: Vec<u8>,
}

/// What an IP packet says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Ip<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol (IPv4) or next header (IPv6).
    pub protocol: u8,
    /// True for any fragment.
    pub fragment: bool,
    /// Length of the whole packet by its header.
    pub length: usize,
    /// What follows the header.
    pub payload: &'a [u8],
}

impl Packet {
    /// The IP header, where there is a whole one.
    pub fn ip(&self) -> Option<Ip<'_>> {
        Ip::parse(&self.data)
    }
}

impl<'a> Ip<'a> {
    /// Reads an IPv4 or IPv6 header.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        match data.first()? >> 4 {
            4 => Self::parse_v4(data),
            6 => Self::parse_v6(data),
            _ => None,
        }
    }

    fn parse_v4(data: &'a [u8]) -> Option<Self> {
        let header = usize::from(data.first()? & 0x0f) * 4;
        let flags = be16(data, 6)?;
        Some(Self {
            source: v4(data, 12)?.into(),
            destination: v4(data, 16)?.into(),
            protocol: *data.get(9)?,
            fragment: flags & 0x3fff != 0,
            length: usize::from(be16(data, 2)?),
            payload: data.get(header..)?,
        })
    }

    fn parse_v6(data: &'a [u8]) -> Option<Self> {
        let protocol = *data.get(6)?;
        Some(Self {
            source: v6(data, 8)?.into(),
            destination: v6(data, 24)?.into(),
            protocol,
            fragment: protocol == 44,
            length: usize::from(be16(data, 4)?) + 40,
            payload: data.get(40..)?,
        })
    }

    /// Source and destination port, and what follows the UDP header.
    pub fn udp(&self) -> Option<(u16, u16, &'a [u8])> {
        if self.protocol != UDP || self.fragment {
            return None;
        }
        Some((be16(self.payload, 0)?, be16(self.payload, 2)?, self.payload.get(8..)?))
    }

    /// The maximum segment size a SYN or SYN-ACK announces (RFC 9293 §3.7.1).
    pub fn syn_mss(&self) -> Option<u16> {
        let tcp = (self.protocol == TCP).then_some(self.payload)?;
        let flags = *tcp.get(13)?;
        if flags & SYN == 0 {
            return None;
        }
        let end = usize::from(tcp.get(12)? >> 4) * 4;
        let mut options = tcp.get(20..end)?;
        loop {
            match options {
                [1, rest @ ..] => options = rest,
                [2, 4, high, low, ..] => return Some(u16::from_be_bytes([*high, *low])),
                [0, ..] | [] | [_] => return None,
                [_, length, ..] => options = options.get(usize::from(*length).max(2)..)?,
            }
        }
    }
}

/// Reads a pcap file as tcpdump writes it on a little-endian machine.
pub fn read(path: &Path) -> Result<Vec<Packet>> {
    let file = std::fs::read(path).with_context(|| path.display().to_string())?;
    if file.get(..4) != Some(&[0xd4, 0xc3, 0xb2, 0xa1]) {
        bail!("{}: not a pcap file of microseconds, little endian", path.display());
    }
    let link = le32(&file, 20).context("link type")?;
    let mut packets = Vec::new();
    let mut rest = file.get(24..).unwrap_or_default();
    // A record cut short is one that tcpdump was writing when it was stopped.
    while let Some(length) = le32(rest, 8).and_then(|length| usize::try_from(length).ok()) {
        let Some(frame) = rest.get(16..16 + length) else { break };
        packets.extend(packet(link, frame));
        rest = rest.get(16 + length..).unwrap_or_default();
    }
    Ok(packets)
}

fn packet(link: u32, frame: &[u8]) -> Option<Packet> {
    match link {
        LINK_ETHERNET => Some(Packet { ether_type: be16(frame, 12)?, data: frame.get(14..)?.to_vec() }),
        LINK_RAW => {
            let ether_type = if frame.first()? >> 4 == 6 { IPV6 } else { IPV4 };
            Some(Packet { ether_type, data: frame.to_vec() })
        }
        _ => None,
    }
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn le32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

fn v4(data: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(<[u8; 4]>::try_from(data.get(at..at + 4)?).ok()?.into())
}

fn v6(data: &[u8], at: usize) -> Option<Ipv6Addr> {
    Some(<[u8; 16]>::try_from(data.get(at..at + 16)?).ok()?.into())
}

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// IP protocol number.
pub const ICMP: u8 = 1;
/// IP protocol number.
pub const TCP: u8 = 6;
/// IP protocol number.
pub const UDP: u8 = 17;
/// IP protocol number.
pub const ESP: u8 = 50;
/// IP protocol number.
pub const ICMPV6: u8 = 58;

const SYN: u8 = 0x02;
const LINK_ETHERNET: u32 = 1;
const LINK_RAW: u32 = 101;

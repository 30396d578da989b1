//! What crosses a link, taken by tcpdump, and the judgement that no inner packet crosses the outside in clear.

use core::fmt::Write as _;
use core::time::Duration;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::pcap::{self, Ip, Packet};
use crate::{Netns, Process, Run, wait};

/// A running tcpdump.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Process,
    file: PathBuf,
}

impl Capture {
    /// Captures a device of a host, whole packets; returns when tcpdump listens.
    pub fn start(run: &Run, host: &Netns, device: &str, name: &str) -> Result<Self> {
        let file = run.dir().join(format!("{name}.pcap"));
        let mut command = host.command("tcpdump");
        // -Z root: it writes into our folder. Immediate mode: nothing lingers in a block of the ring.
        command.args(["-n", "-U", "-Z", "root", "--immediate-mode", "-B", BUFFER_KIB, "-s", "0"]);
        command.args(["-i", device, "-w"]).arg(&file);
        let tcpdump = Process::spawn(&mut command, name, run.dir())?;
        let listening = || Ok(tcpdump.log().contains("listening on"));
        wait::until_true(START, format!("tcpdump on {device} of {}", host.name()), listening)?;
        Ok(Self { tcpdump, file })
    }

    /// The pcap file; it is whole when the capture is finished.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Stops when the link has been quiet for a moment, and returns all packets. Fails if tcpdump missed any.
    pub fn finish(mut self) -> Result<Vec<Packet>> {
        self.settle()?;
        self.tcpdump.signal(Signal::INT)?;
        self.tcpdump.success(STOP)?;
        let said = self.tcpdump.log();
        let dropped = said.lines().find_map(|line| line.strip_suffix(" packets dropped by kernel"));
        if dropped != Some("0") {
            bail!("the capture is not whole: {dropped:?} packets dropped\n{said}");
        }
        pcap::read(&self.file)
    }

    /// Finishes and fails if an inner packet crossed in clear.
    pub fn expect_no_inner_packet(self) -> Result<Vec<Packet>> {
        let packets = self.finish()?;
        expect_no_inner_packet(&packets)?;
        Ok(packets)
    }

    /// Waits until the file stops growing, or for [`SETTLE`] where periodic packets keep it growing.
    fn settle(&self) -> Result<()> {
        let mut last = (0, std::time::Instant::now());
        let start = std::time::Instant::now();
        wait::until_true(STOP, "the capture to settle", || {
            let length = self.file.metadata().context("capture file")?.len();
            if length != last.0 {
                last = (length, std::time::Instant::now());
            }
            Ok(last.1.elapsed() > QUIET || start.elapsed() > SETTLE)
        })
    }
}

/// Fails if any packet of the outside link is, or holds, an inner packet in clear, and if there is no packet at all:
/// an empty capture proves nothing.
pub fn expect_no_inner_packet(packets: &[Packet]) -> Result<()> {
    if packets.is_empty() {
        bail!("the capture is empty");
    }
    let mut found = String::new();
    let offenders = packets.iter().filter_map(|packet| Some((packet, offence(packet)?)));
    for (packet, offence) in offenders.take(SHOWN) {
        let head = packet.data.get(..packet.data.len().min(80)).unwrap_or_default();
        writeln!(found, "{offence}: {head:02x?}")?;
    }
    if !found.is_empty() {
        bail!("in clear on the outside, among {} packets:\n{found}", packets.len());
    }
    Ok(())
}

/// Why this packet must not be on the outside link.
fn offence(packet: &Packet) -> Option<String> {
    if packet.ether_type == pcap::ARP {
        return None;
    }
    let Some(ip) = packet.ip() else { return Some("neither ARP nor IP".to_owned()) };
    if is_inner(ip.source) || is_inner(ip.destination) {
        return Some(format!("inner packet {} -> {}", ip.source, ip.destination));
    }
    if !is_allowed(&ip) {
        return Some(format!("protocol {} from {} to {}", ip.protocol, ip.source, ip.destination));
    }
    if packet.data.windows(MARKER.len()).any(|window| window == MARKER) {
        return Some("an inner payload".to_owned());
    }
    (0..ip.payload.len())
        .filter_map(|at| ip.payload.get(at..))
        .any(holds_inner_header)
        .then(|| "an inner header inside a packet".to_owned())
}

/// IKE, ESP, and what a link itself needs: neighbour discovery, multicast listeners, errors.
fn is_allowed(ip: &Ip<'_>) -> bool {
    match ip.protocol {
        pcap::ESP => true,
        pcap::UDP => ip.udp().is_some_and(|(source, destination, payload)| {
            let ports = [source, destination];
            ports.contains(&500) || (ports.contains(&4500) && is_ike_or_esp(payload))
        }),
        pcap::ICMP => matches!(ip.payload.first(), Some(3 | 11 | 12)),
        pcap::ICMPV6 => matches!(ip.payload.first(), Some(1..=4 | 130..=137 | 143)),
        // Multicast listener reports come behind a hop-by-hop header.
        0 => ip.source.is_ipv6() && ip.payload.first() == Some(&pcap::ICMPV6),
        _ => false,
    }
}

/// What RFC 3948 lets cross port 4500: the marker and IKE, a keepalive, ESP (whose SPI is no marker).
fn is_ike_or_esp(payload: &[u8]) -> bool {
    match payload {
        [0xff] => true,
        [0, 0, 0, 0, ike @ ..] => ike.get(17) == Some(&0x20),
        esp => esp.len() > 16 && !holds_inner_header(esp),
    }
}

/// True if an IP header with an inner address begins here. In IPv4 its checksum must be right: ciphertext has every
/// four octets sooner or later, but not these twenty.
fn holds_inner_header(data: &[u8]) -> bool {
    match data.first() {
        Some(0x45) => {
            let inner = Ip::parse(data).is_some_and(|ip| is_inner(ip.source) || is_inner(ip.destination));
            inner && data.get(..20).is_some_and(has_right_checksum)
        }
        Some(0x60..=0x6f) => {
            Ip::parse(data).is_some_and(|ip| is_inner(ip.source) || is_inner(ip.destination))
        }
        _ => false,
    }
}

fn has_right_checksum(header: &[u8]) -> bool {
    let words = header.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
    let sum: u32 = words.map(u32::from).sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

/// The prefixes that exist only inside tunnels and on the LANs behind them; no scenario's outside uses them.
fn is_inner(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => INNER_V4.iter().any(|prefix| address.octets().starts_with(prefix)),
        IpAddr::V6(address) => INNER_V6.iter().any(|prefix| address.segments().starts_with(prefix)),
    }
}

/// In the payload of pings and numbered flows: must never be seen outside.
pub const MARKER: &[u8; 16] = b"IN-CLEAR-IS-LOST";

const INNER_V4: [[u8; 2]; 3] = [[10, 10], [10, 200], [169, 254]];
const INNER_V6: [[u16; 3]; 2] = [[0x2001, 0xdb8, 0x10], [0x2001, 0xdb8, 0x200]];

const BUFFER_KIB: &str = "65536";
const SHOWN: usize = 5;
const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_millis(300);
const SETTLE: Duration = Duration::from_secs(3);

//! Where IKE and the packet path meet: the only file that names both.
//!
//! [`DataPlane`] takes what the IKE endpoint wants installed and speaks of tunnels by their [`PeerId`]; of the data plane's
//! own types [`Report`] alone, which is plain text and numbers, leaves this file.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::{
    BackendChoice, Captured, Command, Handle, Layer, Notice as Raw, Options, Outer, Reply,
};
use gotthard_dataplane::mtu;
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation as Wire, InboundSpec, Keys, Lifetime, OutboundSpec, OuterPath, Selectors,
    TunnelId, TunnelSpec,
};
use gotthard_dataplane::stats::TunnelStats;
use gotthard_ike::codec::iana::IntegrityAlgorithm;
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::config::{Encapsulation, PeerId};
use gotthard_ike::event::ChildSa;
use gotthard_ike::suite::{Cipher, EspSuite};
use gotthard_ike::{Install, Transmit};
use tokio::sync::{mpsc, oneshot};

use crate::capture::queue::Inlet;
use crate::capture::{Packet, framing};
use crate::config::model::{Backend, PacketPath, Workers};
use crate::intake::Inbox;

pub use gotthard_dataplane::handle::Report;

/// The running packet path.
pub struct DataPlane {
    handle: Handle,
    settings: PacketPath,
}

/// What the packet path reports.
#[derive(Debug)]
pub enum Notice {
    /// An outbound SA must be replaced soon.
    SoftLimit {
        /// Whose.
        peer: PeerId,
        /// The peer's SPI.
        spi: u32,
    },
    /// An outbound SA sends nothing more.
    HardLimit {
        /// Whose.
        peer: PeerId,
        /// The peer's SPI.
        spi: u32,
    },
    /// A device or a worker failed.
    Broken {
        /// Whose; `None`: the packet path as a whole.
        peer: Option<PeerId>,
        /// What failed.
        why: String,
    },
}

/// What a tunnel carried since its device was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Inner packets received and delivered.
    pub rx_packets: u64,
    /// Their octets.
    pub rx_bytes: u64,
    /// Inner packets sent.
    pub tx_packets: u64,
    /// Their octets.
    pub tx_bytes: u64,
    /// TCP segments sent that open a connection.
    pub tx_openings: u64,
    /// TCP segments sent with data, or that end a connection: the other end must acknowledge each (RFC 9293 §3.4).
    pub tx_segments: u64,
    /// TCP segments received that acknowledge and do nothing else, or that answer one that opens a connection.
    pub rx_answers: u64,
    /// Packets dropped as seen before or too old.
    pub replay: u64,
    /// Packets dropped for a wrong ICV.
    pub icv: u64,
    /// Packets dropped for other reasons, by name; those that occurred.
    pub drops: BTreeMap<&'static str, u64>,
    /// How long ago the last authentic packet arrived.
    pub last_rx_age: Option<Duration>,
}

impl Traffic {
    /// The sum of two devices of one tunnel, `self` the earlier.
    #[must_use]
    pub fn plus(&self, later: &Self) -> Self {
        let mut drops = self.drops.clone();
        for (reason, count) in &later.drops {
            let sum = drops.entry(reason).or_default();
            *sum = sum.wrapping_add(*count);
        }
        Self {
            rx_packets: self.rx_packets.wrapping_add(later.rx_packets),
            rx_bytes: self.rx_bytes.wrapping_add(later.rx_bytes),
            tx_packets: self.tx_packets.wrapping_add(later.tx_packets),
            tx_bytes: self.tx_bytes.wrapping_add(later.tx_bytes),
            tx_openings: self.tx_openings.wrapping_add(later.tx_openings),
            tx_segments: self.tx_segments.wrapping_add(later.tx_segments),
            rx_answers: self.rx_answers.wrapping_add(later.rx_answers),
            replay: self.replay.wrapping_add(later.replay),
            icv: self.icv.wrapping_add(later.icv),
            drops,
            last_rx_age: later.last_rx_age,
        }
    }
}

/// What has arrived through a tunnel since its device was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// Inner packets received and delivered.
    pub packets: u64,
    /// How long ago the last authentic packet arrived.
    pub age: Option<Duration>,
}

/// What is configured of a tunnel's ESP SAs, beyond what is negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspSettings {
    /// Our anti-replay window in packets (RFC 4303 §3.4.3).
    pub window: u32,
    /// The peer's.
    pub peer_window: u32,
    /// Packets that an outbound SA may carry, where they are limited.
    pub packets: Option<u64>,
    /// Octets of inner packets that it may carry, where they are limited.
    pub octets: Option<u64>,
}

/// The packet path refused; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl DataPlane {
    /// Opens UDP 4500 and protocol 50 and starts the workers. IKE messages go into `inbox`, notices into a queue of their
    /// own that nobody outside can fill, copies of packets that are asked for into `copies`.
    pub fn start(
        settings: PacketPath,
        inbox: Inbox,
        notices: mpsc::Sender<Notice>,
        copies: Inlet,
    ) -> io::Result<Self> {
        let tell = move |notice| drop(notices.try_send(notice));
        let sink = move |raw| match raw {
            Raw::Ike { local, remote, payload } => drop(inbox.offer(local, remote, &payload)),
            Raw::SoftLimit { tunnel, spi } => tell(Notice::SoftLimit { peer: PeerId(tunnel.0), spi }),
            Raw::HardLimit { tunnel, spi } => tell(Notice::HardLimit { peer: PeerId(tunnel.0), spi }),
            Raw::Captured(captured) => drop(copy(captured).map(|packet| copies.offer(packet))),
            Raw::Broken { tunnel, why } => {
                tell(Notice::Broken { peer: tunnel.map(|id| PeerId(id.0)), why });
            }
        };
        Ok(Self { handle: Handle::start(&options(settings), sink)?, settings })
    }

    /// What runs.
    pub fn report(&self) -> Report {
        self.handle.report()
    }

    /// What it was started with.
    pub const fn settings(&self) -> PacketPath {
        self.settings
    }

    /// Makes a tunnel's TUN device.
    pub async fn add_tunnel(
        &self,
        peer: PeerId,
        interface: &str,
        mtu_cap: u16,
        outer_mtu: u16,
    ) -> Result<(), Refused> {
        let spec = TunnelSpec { id: TunnelId(peer.0), interface: interface.to_owned(), mtu_cap, outer_mtu };
        self.done(Command::AddTunnel(spec)).await
    }

    /// Removes a tunnel's TUN device and SAs.
    pub async fn remove_tunnel(&self, peer: PeerId) -> Result<(), Refused> {
        self.done(Command::RemoveTunnel(TunnelId(peer.0))).await
    }

    /// Carries out what the endpoint asks; when this returns, every worker has it.
    pub async fn install(&self, install: Install, settings: EspSettings) -> Result<(), Refused> {
        self.done(command(install, settings)?).await
    }

    /// Sends an IKE message from UDP 4500.
    pub async fn send_ike(&self, transmit: Transmit) -> Result<(), Refused> {
        let Transmit { local, remote, payload } = transmit;
        self.done(Command::SendIke { local, remote, payload }).await
    }

    /// Sends a NAT keepalive from UDP 4500.
    pub async fn send_keepalive(&self, local: SocketAddr, remote: SocketAddr) -> Result<(), Refused> {
        self.done(Command::SendKeepalive { local, remote }).await
    }

    /// Has copies of a tunnel's packets made from here on: of those inside, or of the outer ones. `None`: no longer.
    pub async fn capture(&self, peer: PeerId, outer: Option<bool>) -> Result<(), Refused> {
        let layer = outer.map(|outer| if outer { Layer::Outer } else { Layer::Inner });
        self.done(Command::Capture { tunnel: TunnelId(peer.0), layer }).await
    }

    /// What every tunnel carried.
    pub async fn traffic(&self) -> Vec<(PeerId, Traffic)> {
        let all = self.stats(Command::Stats).await;
        all.into_iter().map(|(id, stats)| (PeerId(id.0), traffic(&stats))).collect()
    }

    /// What has arrived through these tunnels: of [`Self::traffic`] what is asked for often.
    pub async fn arrivals(&self, of: Vec<PeerId>) -> Vec<(PeerId, Arrivals)> {
        let arrivals = |stats: TunnelStats| Arrivals { packets: stats.rx_packets, age: stats.last_rx_age };
        let asked = self.stats(Command::StatsOf(of.into_iter().map(|id| TunnelId(id.0)).collect())).await;
        asked.into_iter().map(|(id, stats)| (PeerId(id.0), arrivals(stats))).collect()
    }

    async fn stats(&self, command: Command) -> Vec<(TunnelId, TunnelStats)> {
        match self.ask(command).await {
            Reply::Stats(all) => all,
            Reply::Done | Reply::GatewayStats(_) | Reply::Refused(_) => Vec::new(),
        }
    }

    async fn done(&self, command: Command) -> Result<(), Refused> {
        match self.ask(command).await {
            Reply::Refused(why) => Err(Refused(why)),
            Reply::Done | Reply::Stats(_) | Reply::GatewayStats(_) => Ok(()),
        }
    }

    async fn ask(&self, command: Command) -> Reply {
        let (sender, receiver) = oneshot::channel();
        // Who asks may be gone by then, at the end of the daemon.
        self.handle.send(command, Box::new(move |reply| drop(sender.send(reply))));
        receiver.await.unwrap_or_else(|_| Reply::Refused("the packet path gave no answer".to_owned()))
    }
}

/// The largest inner packet in octets: the SA's own limit on this outer path, capped by the configuration.
pub fn inner_mtu(
    suite: &EspSuite,
    encapsulation: Encapsulation,
    peer: IpAddr,
    outer_mtu: u16,
    cap: u16,
) -> Option<u16> {
    let own = mtu::inner_mtu(outer_mtu, peer.is_ipv6(), wire(encapsulation)?, transform(suite)?);
    Some(own.min(cap))
}

/// What the MSS of TCP over IPv4 is clamped to for an inner MTU.
pub const fn mss(mtu: u16) -> u16 {
    mtu::mss(mtu, false)
}

/// MTU of the outer path where nothing smaller is known: beyond our own link no path is wider for sure.
pub const OUTER_MTU: u16 = 1500;

fn options(settings: PacketPath) -> Options {
    let default = Options::default();
    Options {
        backend: match settings.backend {
            Backend::Auto => BackendChoice::Auto,
            Backend::IoUring => BackendChoice::IoUring,
            Backend::Syscalls => BackendChoice::Syscalls,
        },
        workers: match settings.workers {
            Workers::Auto => default.workers,
            Workers::Count(count) => count,
        },
        offloads: settings.offloads,
        ..default
    }
}

fn command(install: Install, settings: EspSettings) -> Result<Command, Refused> {
    Ok(match install {
        Install::Inbound(sa) => Command::InstallInbound(InboundSpec {
            tunnel: TunnelId(sa.peer.0),
            spi: sa.spi,
            transform: transform(&sa.suite).ok_or_else(|| unknown(&sa.suite))?,
            keys: keys(&sa),
            esn: sa.esn,
            replay_window: settings.window,
            selectors: selectors(&sa),
        }),
        Install::Outbound(sa) => Command::InstallOutbound(OutboundSpec {
            tunnel: TunnelId(sa.peer.0),
            spi: sa.spi,
            transform: transform(&sa.suite).ok_or_else(|| unknown(&sa.suite))?,
            keys: keys(&sa),
            esn: sa.esn,
            peer_window: settings.peer_window,
            lifetime: Lifetime {
                packets: settings.packets.unwrap_or(u64::MAX),
                octets: settings.octets.unwrap_or(u64::MAX),
            },
            selectors: selectors(&sa),
            path: OuterPath {
                local: sa.local,
                remote: sa.remote,
                encapsulation: wire(sa.encapsulation)
                    .ok_or_else(|| Refused("no encapsulation agreed".to_owned()))?,
            },
        }),
        Install::RemoveInbound { peer, spi } => Command::RemoveInbound { tunnel: TunnelId(peer.0), spi },
        Install::RemoveOutbound { peer, spi } => Command::RemoveOutbound { tunnel: TunnelId(peer.0), spi },
        Install::Path { peer, local, remote } => Command::UpdatePath {
            tunnel: TunnelId(peer.0),
            // Only what is in UDP can be translated and so move.
            path: OuterPath { local, remote, encapsulation: Wire::Udp },
        },
    })
}

fn keys(sa: &ChildSa) -> Keys {
    Keys { encryption: sa.keys.encryption.clone(), integrity: sa.keys.integrity.clone() }
}

fn selectors(sa: &ChildSa) -> Selectors {
    Selectors { local: ranges(&sa.ts_local), remote: ranges(&sa.ts_remote) }
}

fn ranges(selectors: &[TrafficSelector]) -> Vec<AddressRange> {
    selectors.iter().map(|ts| AddressRange { start: ts.start, end: ts.end }).collect()
}

fn transform(suite: &EspSuite) -> Option<Transform> {
    let hmac = match suite.integrity {
        Some(IntegrityAlgorithm::HMAC_SHA2_256_128) => Some(Hmac::Sha256),
        Some(IntegrityAlgorithm::HMAC_SHA2_384_192) => Some(Hmac::Sha384),
        Some(IntegrityAlgorithm::HMAC_SHA2_512_256) => Some(Hmac::Sha512),
        Some(_) => return None,
        None => None,
    };
    Some(match (suite.cipher, hmac) {
        (Cipher::AES_128_GCM_16, None) => Transform::Aes128Gcm16,
        (Cipher::AES_256_GCM_16, None) => Transform::Aes256Gcm16,
        (Cipher::CHACHA20_POLY1305, None) => Transform::ChaCha20Poly1305,
        (Cipher::AES_128_CBC, Some(hmac)) => Transform::Aes128Cbc(hmac),
        (Cipher::AES_256_CBC, Some(hmac)) => Transform::Aes256Cbc(hmac),
        _ => return None,
    })
}

const fn wire(encapsulation: Encapsulation) -> Option<Wire> {
    match encapsulation {
        Encapsulation::Udp => Some(Wire::Udp),
        Encapsulation::Esp => Some(Wire::Esp),
        Encapsulation::Auto => None,
    }
}

fn unknown(suite: &EspSuite) -> Refused {
    Refused(format!("the packet path has no {suite}"))
}

/// A whole IP packet again, seen now; `None`: its headers cannot be told.
fn copy(captured: Captured) -> Option<Packet> {
    let Captured { tunnel, outbound, octets, outer, drop } = captured;
    let octets = match outer {
        None => octets,
        Some(Outer { local, remote }) if outbound => framing::esp(local, remote, &octets)?,
        Some(Outer { local, remote }) => framing::esp(remote, local, &octets)?,
    };
    Some(Packet {
        peer: PeerId(tunnel.0),
        time: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        outbound,
        octets,
        drop: drop.map(|reason| (reason.name(), reason.sentence())),
    })
}

fn traffic(stats: &TunnelStats) -> Traffic {
    let other = stats
        .drops
        .iter()
        .filter(|(reason, n)| *n > 0 && *reason != DropReason::Replay && *reason != DropReason::Icv);
    Traffic {
        rx_packets: stats.rx_packets,
        rx_bytes: stats.rx_bytes,
        tx_packets: stats.tx_packets,
        tx_bytes: stats.tx_bytes,
        tx_openings: stats.demands.openings,
        tx_segments: stats.demands.segments,
        rx_answers: stats.answers,
        replay: stats.drops.of(DropReason::Replay),
        icv: stats.drops.of(DropReason::Icv),
        drops: other.map(|(reason, n)| (reason.name(), n)).collect(),
        last_rx_age: stats.last_rx_age,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_esp_suite_has_its_transform_and_the_mtu_that_aws_publishes() {
        for (suite, encapsulation, expected) in [
            ("aes256gcm16", Encapsulation::Esp, 1446),
            ("aes128gcm16-modp2048", Encapsulation::Udp, 1438),
            ("chacha20poly1305", Encapsulation::Udp, 1438),
            ("aes256-sha256-modp2048", Encapsulation::Udp, 1422),
            ("aes128-sha512", Encapsulation::Esp, 1422),
        ] {
            let suite = suite.parse().expect("a suite");
            let peer = "198.51.100.11".parse().expect("an address");
            assert_eq!(inner_mtu(&suite, encapsulation, peer, 1500, 9000), Some(expected), "{suite}");
            assert_eq!(inner_mtu(&suite, encapsulation, peer, 1500, 1400), Some(1400));
        }
    }

    #[test]
    fn selectors_keep_their_ranges() {
        let ranges = ranges(&[TrafficSelector::any_v4(), TrafficSelector::any_v6()]);
        assert_eq!(ranges[0].start, IpAddr::from([0, 0, 0, 0]));
        assert_eq!(ranges[0].end, IpAddr::from([255, 255, 255, 255]));
        assert!(ranges[1].end.is_ipv6());
    }
}

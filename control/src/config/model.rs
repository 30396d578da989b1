//! A configuration that has been checked: every default is filled in, every value is of its own type.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use gotthard_ike::codec::payload::id::Identity;
use gotthard_ike::config::{Encapsulation, Mode};
use gotthard_ike::suite::{EspSuite, IkeSuite};
use ipnet::{IpNet, Ipv6Net};
use zeroize::Zeroizing;

use super::bgp::{Bgp, Policy};
use super::ceilings::Ceilings;
use super::certificates::Certificates;
use super::lifetimes::Lifetimes;
use super::presets::Cloud;
use super::prices::Prices;

/// The whole of a gateway's configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// What concerns all connections.
    pub gateway: Gateway,
    /// The connections, by name.
    pub connections: Vec<Connection>,
}

/// What concerns all connections; the default is what a configuration without `[gateway]` has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Our outer address.
    pub local: Local,
    /// Our BGP AS number.
    pub asn: Option<u32>,
    /// Prefixes that we offer to every connection.
    pub advertise: Vec<IpNet>,
    /// Where our routes are.
    pub routes: RoutePlace,
    /// How the packet path runs.
    pub packet_path: PacketPath,
    /// The file that takes the keys of every SA, for a person who decrypts a capture.
    pub debug_keys: Option<PathBuf>,
    /// Where the metrics are served on TCP, beside the control socket.
    pub metrics: Option<SocketAddr>,
    /// The folder of the operator's hooks; `None`: `hooks.d` beside the configuration file, if it is there.
    pub hooks: Option<PathBuf>,
    /// Where the status page is served; `None`: nowhere.
    pub web: Option<SocketAddr>,
    /// What the clouds bill.
    pub prices: Prices,
}

/// Where our routes are, and how packets come to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutePlace {
    /// The table of the routes to remote prefixes.
    pub table: u32,
    /// The priority of the rule that leads to it; `None`: there is none of ours.
    pub rule_priority: Option<u32>,
    /// The kernel may be told to spread packets over several tunnels by flow.
    pub hash_by_flow: bool,
}

impl Default for RoutePlace {
    fn default() -> Self {
        Self { table: MAIN_TABLE, rule_priority: None, hash_by_flow: true }
    }
}

/// The table that packets take where no rule says otherwise (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

/// How the packet path runs; taken once, when the daemon starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketPath {
    /// What moves the packets.
    pub backend: Backend,
    /// How many threads share the work.
    pub workers: Workers,
    /// Whether the kernel hands over many packets as one, where it can.
    pub offloads: bool,
}

impl Default for PacketPath {
    fn default() -> Self {
        Self { backend: Backend::Auto, workers: Workers::Auto, offloads: true }
    }
}

/// What moves the packets between kernel and workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The fastest that the host permits.
    Auto,
    /// io_uring; the daemon does not start where the host forbids it.
    IoUring,
    /// Plain system calls.
    Syscalls,
}

/// How many threads move packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// What the packet path finds best on this host.
    Auto,
    /// This many.
    Count(usize),
}

/// Our outer address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Local {
    /// The source address of the kernel's route to the peer.
    #[default]
    Auto,
    /// This one.
    Address(IpAddr),
}

impl Local {
    /// The address, where the configuration names it.
    pub const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Auto => None,
            Self::Address(address) => Some(address),
        }
    }
}

/// A connection: one cloud gateway, its tunnels, and what is routed into them.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Its name, from the table's key.
    pub name: String,
    /// Whose gateway it is.
    pub cloud: Cloud,
    /// Where routes come from.
    pub routing: Routing,
    /// Static routing: prefixes behind the peer.
    pub remote: Vec<IpNet>,
    /// What its BGP sessions take and offer, ours or another daemon's; `None` where routing is static.
    pub policy: Option<Policy>,
    /// Its sessions; `None` where they are not ours.
    pub bgp: Option<Bgp>,
    /// Tunnels that are equally good share the traffic.
    pub ecmp: bool,
    /// Which end starts.
    pub mode: Mode,
    /// How ESP crosses the outer network.
    pub encapsulation: Encapsulation,
    /// IKE suites, the preferred first.
    pub suites: Vec<IkeSuite>,
    /// ESP suites, the preferred first.
    pub esp: Vec<EspSuite>,
    /// Cap of the inner MTU in octets.
    pub mtu: u16,
    /// When its SAs are rekeyed and end.
    pub lifetimes: Lifetimes,
    /// Silence after which the peer is asked whether it lives.
    pub dpd_interval: Duration,
    /// Time between two probes inside the tunnel.
    pub probe_interval: Duration,
    /// Anti-replay window in packets.
    pub replay_window: u32,
    /// The peer's anti-replay window in packets: how far our workers may put packets out of order.
    pub peer_replay_window: u32,
    /// What a tunnel carries at most.
    pub ceilings: Ceilings,
    /// Its tunnels, in the order of the file.
    pub tunnels: Vec<Tunnel>,
}

/// Where routes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// `remote` of the connection.
    Static,
    /// The embedded BGP speaker.
    Bgp,
    /// FRR or BIRD beside us.
    External,
}

impl Routing {
    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Bgp => "bgp",
            Self::External => "external",
        }
    }
}

/// One tunnel.
#[derive(Clone, Debug, PartialEq)]
pub struct Tunnel {
    /// Its name, unique in the connection.
    pub name: String,
    /// Outer address of the peer.
    pub peer: IpAddr,
    /// Our address inside the tunnel with its prefix length.
    pub inside: Option<IpNet>,
    /// Our IPv6 address beside an IPv4 one.
    pub inside6: Option<Ipv6Net>,
    /// The peer's address inside the tunnel.
    pub peer_inside: Option<IpAddr>,
    /// The peer's BGP AS number.
    pub peer_asn: Option<u32>,
    /// How both ends prove who they are.
    pub auth: TunnelAuth,
    /// The identity that we show; default: our outer address.
    pub local_id: Option<Identity>,
    /// The identity that the peer shows; default: its outer address.
    pub peer_id: Identity,
    /// Name of the TUN device.
    pub interface: String,
}

impl Tunnel {
    /// Our addresses inside the tunnel with their prefix lengths, the one of the BGP session first.
    pub fn insides(&self) -> impl Iterator<Item = IpNet> {
        self.inside.into_iter().chain(self.inside6.map(IpNet::V6))
    }
}

/// How both ends of a tunnel prove who they are.
#[derive(Clone, Debug, PartialEq)]
pub enum TunnelAuth {
    /// By a pre-shared key.
    Psk(Psk),
    /// By the certificates of the connection.
    Certificates(Certificates),
}

/// A pre-shared key: never shown, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Psk(pub Zeroizing<Vec<u8>>);

impl core::fmt::Debug for Psk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Psk(..)")
    }
}

impl Config {
    /// Every tunnel with its connection, in the order of the file.
    pub fn tunnels(&self) -> impl Iterator<Item = (&Connection, &Tunnel)> {
        self.connections.iter().flat_map(|c| c.tunnels.iter().map(move |t| (c, t)))
    }
}

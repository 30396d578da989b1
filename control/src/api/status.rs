//! How the gateway is: the object behind `gotthard status --output json`.
//!
//! A contract: keys are never renamed, every key is always there (`null` where there is nothing to say), times are
//! seconds, sizes octets, counters only ever grow. Keys may be added without a new [`SCHEMA_VERSION`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Version of the object's meaning; a reader refuses what it does not know.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// How packets are moved.
    pub dataplane: DataplaneStatus,
    /// IKE datagrams of which nothing came since the daemon started, by reason; every reason is there.
    #[serde(default)]
    pub ike_refused: BTreeMap<String, u64>,
    /// What the clouds bill of it.
    #[serde(default)]
    pub traffic: TrafficStatus,
    /// The connections, in the order of the configuration.
    pub connections: Vec<ConnectionStatus>,
}

impl Status {
    /// The status of these connections, where no IKE datagram has been refused.
    pub fn new(dataplane: DataplaneStatus, connections: Vec<ConnectionStatus>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            dataplane,
            ike_refused: BTreeMap::new(),
            traffic: TrafficStatus::default(),
            connections,
        }
    }

    /// The tunnels of all connections, each with its connection.
    pub fn tunnels(&self) -> impl Iterator<Item = (&ConnectionStatus, &TunnelStatus)> {
        let of = |connection| move |tunnel| (connection, tunnel);
        self.connections.iter().flat_map(move |connection| connection.tunnels.iter().map(of(connection)))
    }

    /// A tunnel by the names of its connection and its own.
    pub fn tunnel(&self, connection: &str, tunnel: &str) -> Option<&TunnelStatus> {
        let connection = self.connections.iter().find(|found| found.name == connection)?;
        connection.tunnels.iter().find(|found| found.name == tunnel)
    }
}

/// How packets are moved: what the host permits of what the configuration asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataplaneStatus {
    /// `io_uring` or `syscalls`.
    pub backend: String,
    /// Threads that move packets.
    pub workers: usize,
    /// What the kernel does for many packets at once: `tso`, `uso`, `udp_segment`, `udp_gro`.
    pub offloads: Vec<String>,
    /// What encrypts and authenticates AES-CBC with HMAC.
    pub cbc: String,
}

/// What the clouds bill, by the calendar's months in UTC. It outlives the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficStatus {
    /// The month so far.
    pub this_month: MonthTraffic,
    /// The one before, at the present prices; `None`: nothing is known of it.
    pub last_month: Option<MonthTraffic>,
}

/// A month's traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MonthTraffic {
    /// Such as `2026-11`.
    pub month: String,
    /// By cloud; those that there were connections to.
    pub clouds: Vec<CloudTraffic>,
}

/// A month's traffic with one cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudTraffic {
    /// As in the configuration.
    pub cloud: String,
    /// Octets that came from the cloud, as on the wire: what it bills as data transfer out.
    pub in_bytes: u64,
    /// Octets that went to the cloud, as on the wire.
    pub out_bytes: u64,
    /// Seconds that its connections have been configured, in sum.
    pub connection_s: u64,
    /// About what that costs; 0 where no price is known.
    pub cost: f64,
    /// Of the cost (ISO 4217).
    pub currency: String,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Its name.
    pub name: String,
    /// The sum of its tunnels.
    pub state: ConnectionState,
    /// Its tunnels, in the order of the configuration.
    pub tunnels: Vec<TunnelStatus>,
}

/// The sum of a connection's tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// Every tunnel carries traffic.
    Up,
    /// Some do.
    Degraded,
    /// None does.
    Down,
}

/// One tunnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunnelStatus {
    /// Its name, unique in the connection.
    pub name: String,
    /// Outer address of the peer.
    pub peer: IpAddr,
    /// Name of the TUN device.
    pub interface: String,
    /// Whether it carries traffic.
    pub state: TunnelState,
    /// True where routes point into it.
    pub active: bool,
    /// What it is for at the moment.
    #[serde(default)]
    pub duty: Duty,
    /// Seconds in this state.
    pub since_s: u64,
    /// The IKE SA.
    pub ike: IkeStatus,
    /// The child SA and the counters of the tunnel.
    pub esp: EspStatus,
    /// The probe inside the tunnel.
    pub probe: ProbeStatus,
    /// The BGP session; `None` where routing is not `"bgp"`.
    pub bgp: Option<BgpStatus>,
    /// Routes that point into it.
    pub routes: RouteStatus,
    /// The first broken link of the chain; `None` where all hold.
    pub broken: Option<BrokenLink>,
    /// What breaks nothing and should be known: a ceiling that is near, packets that are dropped.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// Whether a tunnel carries traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TunnelState {
    /// It does.
    Up,
    /// An attempt is under way.
    Connecting,
    /// It does not; the next attempt waits for its time.
    Down,
    /// The operator took it down.
    AdminDown,
}

/// What a tunnel is for, as it was decided last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// To carry.
    Carrying,
    /// To stand by: it lives, and another carries.
    Standby,
    /// To prove itself: it fell a short while ago, and carries only where no other can.
    Held,
    /// To deliver what is under way: its traffic is being moved away.
    Draining,
    /// Nothing: it is down.
    #[default]
    None,
}

/// The IKE SA of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IkeStatus {
    /// How far it is.
    pub state: IkeState,
    /// Negotiated transforms, in strongSwan's keywords.
    pub suite: Option<String>,
    /// Initiator's SPI, 16 hexadecimal digits.
    pub spi_i: Option<String>,
    /// Responder's SPI, 16 hexadecimal digits.
    pub spi_r: Option<String>,
    /// Rekeys since the tunnel was configured.
    pub rekeys: u64,
    /// Where a NAT was seen.
    pub nat: Option<NatStatus>,
}

/// How far an IKE SA is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IkeState {
    /// Authenticated.
    Established,
    /// In IKE_SA_INIT or IKE_AUTH.
    Connecting,
    /// There is none.
    Down,
}

/// Where NAT detection saw a translator (RFC 7296 §2.23).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatStatus {
    /// Nowhere.
    None,
    /// Before us.
    Local,
    /// Before the peer.
    Remote,
    /// Before both.
    Both,
}

/// The child SA of a tunnel, and what the tunnel carried since it was configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EspStatus {
    /// Whether there is a child SA.
    pub state: LinkState,
    /// Negotiated transforms, in strongSwan's keywords.
    pub suite: Option<String>,
    /// `"udp"` or `"esp"`.
    pub encapsulation: Option<String>,
    /// Largest inner packet in octets.
    pub mtu: Option<u16>,
    /// What the MSS of inner TCP over IPv4 is clamped to.
    pub mss: Option<u16>,
    /// Extended sequence numbers.
    pub esn: Option<bool>,
    /// The SPI that we receive with, in hexadecimal.
    pub spi_in: Option<String>,
    /// The SPI that the peer receives with, in hexadecimal.
    pub spi_out: Option<String>,
    /// Rekeys since the tunnel was configured.
    pub rekeys: u64,
    /// Packets received and delivered.
    pub rx_packets: u64,
    /// Their inner octets.
    pub rx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Their inner octets.
    pub tx_bytes: u64,
    /// Packets dropped, by reason.
    pub drops: Drops,
}

/// Packets dropped, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// Seen before, or too old for the replay window.
    pub replay: u64,
    /// Integrity check failed.
    pub icv: u64,
    /// Further reasons, by the data plane's name of them.
    #[serde(flatten)]
    pub other: BTreeMap<String, u64>,
}

impl Drops {
    /// For whatever reason.
    pub fn total(&self) -> u64 {
        self.other
            .values()
            .fold(self.replay.saturating_add(self.icv), |sum, count| sum.saturating_add(*count))
    }
}

/// A link that is up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Up.
    Up,
    /// Down.
    Down,
}

/// The probe inside a tunnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// What it says.
    pub state: ProbeState,
    /// Round trip in milliseconds.
    pub rtt_ms: Option<f64>,
}

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeState {
    /// The peer answers.
    Up,
    /// It does not.
    Down,
    /// No probe runs; liveness of the IKE SA decides.
    Off,
}

/// The BGP session of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BgpStatus {
    /// State of the session (RFC 4271 §8.2.2), in lower case.
    pub state: String,
    /// The peer's AS number.
    pub peer_asn: u32,
    /// Prefixes received.
    pub received: u64,
    /// Prefixes sent.
    pub sent: u64,
    /// Seconds of silence after which the peer is lost, as agreed; `None` without a session.
    #[serde(default)]
    pub hold_time_s: Option<u64>,
    /// Seconds since it is established; `None`: it is not.
    #[serde(default)]
    pub since_s: Option<u64>,
    /// Why it is not established.
    #[serde(default)]
    pub error: Option<String>,
}

/// Routes that point into a tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// How many the kernel has.
    pub installed: u64,
    /// Of these, how many another daemon has made (`"bird"`, `"zebra"`, …); empty unless routing is `"external"`.
    #[serde(default)]
    pub by: BTreeMap<String, u64>,
}

impl RouteStatus {
    /// So many of our own.
    pub const fn ours(installed: u64) -> Self {
        Self { installed, by: BTreeMap::new() }
    }

    /// Those of other daemons, by their names.
    pub fn of_others(by: BTreeMap<String, u64>) -> Self {
        Self { installed: by.values().sum(), by }
    }
}

/// The first broken link of the chain IKE, ESP, probe, BGP, routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenLink {
    /// Which.
    pub link: Link,
    /// Stable code, such as `GTH-IKE-03`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What breaks nothing and should be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Stable code, such as `GTH-ESP-08`.
    pub code: String,
    /// What is seen.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// A link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// The IKE SA.
    Ike,
    /// The child SA.
    Esp,
    /// The probe.
    Probe,
    /// The BGP session.
    Bgp,
    /// The routes.
    Routes,
}

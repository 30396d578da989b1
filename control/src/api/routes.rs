//! What is behind the peers: the object behind `gotthard routes --output json`.
//!
//! A contract as [`super::status`] is: keys are never renamed, every key is always there, keys may be added.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::status::SCHEMA_VERSION;

/// The prefixes behind all peers, or behind those of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// In their order: by family, address and length.
    pub routes: Vec<PrefixStatus>,
    /// What the peers announce and we do not take, the first of each peer.
    pub not_taken: Vec<NotTaken>,
    /// Prefixes that two networks claim; those of all connections.
    pub overlaps: Vec<OverlapStatus>,
}

impl RouteTable {
    /// A table of these prefixes.
    pub const fn new(
        routes: Vec<PrefixStatus>,
        not_taken: Vec<NotTaken>,
        overlaps: Vec<OverlapStatus>,
    ) -> Self {
        Self { schema_version: SCHEMA_VERSION, routes, not_taken, overlaps }
    }
}

/// A prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixStatus {
    /// The prefix.
    pub prefix: IpNet,
    /// What becomes of its packets.
    pub state: PrefixState,
    /// Why it is not routed.
    pub refused: Option<RefusedStatus>,
    /// The ways to it, in the order of the configuration.
    pub paths: Vec<PathStatus>,
}

/// What becomes of a prefix's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrefixState {
    /// They go through the tunnels of the paths that are used.
    Routed,
    /// No tunnel carries them: they are answered with ICMP unreachable.
    Unreachable,
    /// They go where somebody else's routes say.
    Refused,
}

/// Why a prefix is not routed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedStatus {
    /// Stable code, such as `GTH-RTE-01`.
    pub code: String,
    /// What is in the way, and what to do.
    pub message: String,
}

/// A prefix that a peer announces and that we do not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotTaken {
    /// The prefix.
    pub prefix: IpNet,
    /// Name of the connection.
    pub connection: String,
    /// Name of the tunnel whose peer announces it.
    pub tunnel: String,
    /// Stable code, such as `GTH-RTE-08`.
    pub code: String,
    /// Why.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// A prefix of two networks: the packets of one of them go to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapStatus {
    /// Stable code: `GTH-RTE-15` of two clouds, `GTH-RTE-16` with a network of ours.
    pub code: String,
    /// Which prefixes, and whose.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// A way to a prefix: one tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStatus {
    /// Name of the connection.
    pub connection: String,
    /// Name of the tunnel.
    pub tunnel: String,
    /// Its device.
    pub interface: String,
    /// Who says that the prefix is there.
    pub source: Source,
    /// Packets take it.
    pub used: bool,
    /// Why they do not; `null` where they do.
    pub not_used: Option<String>,
    /// What its peer announced; `null` where the configuration says it.
    pub bgp: Option<BgpPath>,
}

/// Who says that a prefix is behind a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `remote` of the connection.
    Static,
    /// The peer, over BGP.
    Bgp,
}

/// The attributes of a path, as the import policy left them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BgpPath {
    /// NEXT_HOP.
    pub next_hop: IpAddr,
    /// AS_PATH, the nearest AS first.
    pub as_path: String,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// Local preference.
    pub local_pref: u32,
    /// Standard and large communities, as `12076:51004` and `64512:1:2`.
    pub communities: Vec<String>,
}

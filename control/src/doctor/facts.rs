//! What was found out about a host: plain values, so that a judgement needs no host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::api::status::Status;

/// All that was found out; what could not be is `None` or empty.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Kernel settings that are looked at, by the name that `sysctl` has for them; one that the kernel lacks is absent.
    pub sysctls: BTreeMap<&'static str, u32>,
    /// `rp_filter` of each device, and of `all` and `default`.
    pub rp_filter: BTreeMap<String, u32>,
    /// What a UDP socket got that asked for as much as the packet path does.
    pub buffers: Option<Buffers>,
    /// Who has the ports of IKE and ESP.
    pub holders: Vec<Holder>,
    /// Programs of other IPsec stacks in this network namespace.
    pub stacks: Vec<Program>,
    /// IPsec policies in the kernel, none of which are ours.
    pub policies: Option<usize>,
    /// The wall clock is kept right by somebody.
    pub clock: Option<bool>,
    /// How each peer's outer address is reached.
    pub paths: Vec<Path>,
    /// What crosses each tunnel that is up.
    pub crossings: Vec<Crossing>,
    /// Prefixes that two networks claim, each with what to do about it.
    pub overlaps: Vec<(String, String)>,
    /// The rules of nftables, or of iptables where it is not that in disguise.
    pub ruleset: Option<String>,
    /// What the daemon's process may have open.
    pub open_files: Option<u64>,
    /// The running daemon's own account.
    pub status: Option<Status>,
}

/// What a socket got, and what the packet path asks for, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// To receive into.
    pub receive: usize,
    /// To send from.
    pub send: usize,
    /// Asked for, each.
    pub wanted: usize,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// Its process.
    pub pid: u32,
    /// Its name, at most 15 octets, as the kernel has it.
    pub name: String,
}

/// A socket on one of our ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The UDP port.
    pub port: u16,
    /// Whose; `None`: of a process that we cannot see.
    pub program: Option<Program>,
    /// Datagrams that found its buffer full.
    pub drops: u64,
}

/// What a way carries, measured by echoes that may not be fragmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody answers echoes of any size: nothing can be said.
    Silent,
    /// Packets of this many octets cross in both directions, and none that are larger.
    UpTo(u16),
    /// The largest that was tried crosses.
    Whole(u16),
}

/// The way to a peer's outer address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The peer.
    pub peer: IpAddr,
    /// What crosses.
    pub reach: Reach,
}

/// The way through a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Name of the connection.
    pub connection: String,
    /// Name of the tunnel.
    pub tunnel: String,
    /// What crosses, tried up to the tunnel's MTU.
    pub reach: Reach,
}

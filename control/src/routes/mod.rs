//! Routes, addresses and the state of our TUN devices in the kernel.
//!
//! [`plan`] says, without touching anything, which routes should be there; [`Table`] makes it so. It works on a
//! [`mirror`] of the kernel's network that [`watch`] keeps, so that a decision costs what it changes and not what is
//! there. [`netlink`] is the kernel behind both, and [`pipeline`] how many routes are changed at once.
//!
//! Everything carries our [`PROTOCOL`] number: what does not is never changed, and what does and is not wanted is
//! removed, also after a daemon that was killed. One daemon a network namespace, therefore.

pub mod flow_hash;
mod message;
pub mod mirror;
pub mod netlink;
pub mod pipeline;
pub mod plan;
pub mod table;
pub mod uplink;
pub mod watch;

use core::future::Future;
use std::net::IpAddr;

use ipnet::IpNet;

pub use self::table::{Outcome, Table};
pub use crate::config::model::MAIN_TABLE;

/// What of the kernel's network is needed here.
pub trait Kernel {
    /// Every link.
    fn links(&self) -> impl Future<Output = Result<Vec<Link>, RouteError>>;

    /// Every route of every table, both families.
    fn routes(&self) -> impl Future<Output = Result<Vec<KernelRoute>, RouteError>>;

    /// Our rules, both families.
    fn rules(&self) -> impl Future<Output = Result<Vec<Rule>, RouteError>>;

    /// Carries out the edits in their order, all of them, and says which were refused.
    fn edit(&self, edits: &[Edit]) -> impl Future<Output = Result<Vec<Failure>, RouteError>>;

    /// Gives a device its address, sets it up and accepts what returns on it from another tunnel.
    fn raise(&self, device: &str, addresses: &[IpNet]) -> impl Future<Output = Result<(), RouteError>>;

    /// Sets a device's MTU.
    fn set_mtu(&self, device: &str, mtu: u16) -> impl Future<Output = Result<(), RouteError>>;
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MTU in octets.
    pub mtu: u32,
    /// It is set up. The kernel takes the routes of a link with it that is set down.
    pub up: bool,
    /// There is somebody at its other end. The kernel keeps the routes of a link that has no carrier.
    pub carrier: bool,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The table that it is in.
    pub table: u32,
    /// Where packets go to.
    pub prefix: IpNet,
    /// Of two routes for one prefix the lower is taken.
    pub metric: u32,
    /// What is done with them.
    pub target: Target,
}

impl Route {
    /// What the kernel tells routes apart by.
    pub const fn key(&self) -> Key {
        (self.table, self.prefix, self.metric)
    }

    /// It leads through this link.
    pub fn leads_through(&self, index: u32) -> bool {
        matches!(&self.target, Target::Links(hops) if hops.iter().any(|hop| hop.index == index))
    }
}

/// Table, prefix and metric: what the kernel tells routes apart by.
pub type Key = (u32, IpNet, u32);

/// What a route does with its packets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Sent through one of these links. Of several each has an equal share, and a flow stays on one.
    Links(Vec<Hop>),
    /// Answered with ICMP unreachable.
    Unreachable,
    /// Something that we never make: blackhole, local, multicast.
    Other,
}

/// A link that a route leads through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    /// Its index.
    pub index: u32,
    /// The next hop; `None`: the destination is on the link.
    pub gateway: Option<IpAddr>,
}

/// A route as the kernel has it, with who made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelRoute {
    /// The route.
    pub route: Route,
    /// Who made it (`rtm_protocol` of rtnetlink(7)).
    pub protocol: u8,
}

/// A rule that has packets look into our table (ip-rule(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Whose packets.
    pub family: Family,
    /// The table.
    pub table: u32,
    /// Rules are asked in ascending order; the main table's has 32766.
    pub priority: u32,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// That of a prefix.
    pub const fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }
}

/// A change of a route or a rule of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Added; refused where any route has its key.
    Add(Route),
    /// Put in the place of ours with the same key, in one step.
    Replace(Route),
    /// Removed. One that is gone already is no failure, and nobody else's is touched.
    Withdraw(Route),
    /// A rule added; one that is there already is no failure.
    AddRule(Rule),
    /// A rule removed; one that is gone already is no failure.
    RemoveRule(Rule),
}

/// An edit that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The edit.
    pub edit: Edit,
    /// The kernel's answer.
    pub why: String,
}

/// What changed in the kernel's network, not by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A link is new or changed.
    Link(Link),
    /// A link is gone, by its index.
    LinkGone(u32),
    /// A route is new; `replaces`: in the place of another with the same key.
    Route {
        /// The route.
        route: KernelRoute,
        /// What had its key is gone.
        replaces: bool,
    },
    /// A route is gone.
    RouteGone(KernelRoute),
    /// A rule of ours is gone.
    RuleGone(Rule),
    /// More changed than was told: only reading everything says what.
    Lost,
}

/// Why the kernel's network could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// No netlink socket.
    #[error("netlink: {0}")]
    Socket(#[from] std::io::Error),
    /// There is no such device.
    #[error("there is no device {0}")]
    NoDevice(String),
    /// The kernel refused.
    #[error("{what}: {why}")]
    Kernel {
        /// What was asked.
        what: String,
        /// The kernel's answer.
        why: String,
    },
}

/// `rtm_protocol` of all our routes: `ip route show proto 71`. Not one of those that iproute2 or a routing daemon
/// registered.
pub const PROTOCOL: u8 = 71;

/// `RTPROT_KERNEL`: what an address on a link brings with it.
pub const KERNEL_PROTOCOL: u8 = 2;
/// Metric of routes into tunnels: behind what the kernel makes for connected networks (0), before DHCP's (100 and more).
pub const METRIC: u32 = 71;
/// Metric of the `unreachable` routes that keep inner packets in when no tunnel carries them: right behind the tunnels,
/// so that no other route for the same prefix comes between.
pub const FALLBACK_METRIC: u32 = 72;
/// The same of an IPv6 network inside a tunnel: the kernel gives the route of an IPv6 address 256, and that one is to be used
/// while the device is there.
pub const FALLBACK_METRIC_OF_LINKS_V6: u32 = 257;

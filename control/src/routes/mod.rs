//! Routes, addresses and the state of our TUN devices in the kernel.
//!
//! [`plan`] says, without touching anything, which routes should be there; [`Table`] makes it so through [`Kernel`],
//! which [`netlink`] implements. Everything carries our [`PROTOCOL`] number: what does not is never changed, and what
//! does and is not wanted is removed, also after a daemon that was killed. One daemon a network namespace, therefore.

pub mod netlink;
pub mod plan;

use core::future::Future;
use std::net::IpAddr;

use ipnet::IpNet;

use self::plan::{Plan, Refused, Wanted};

/// Keeps the kernel's routes as they are wanted.
#[derive(Debug)]
pub struct Table<K> {
    kernel: K,
}

impl<K: Kernel> Table<K> {
    /// A table that speaks to this kernel.
    pub const fn new(kernel: K) -> Self {
        Self { kernel }
    }

    /// Makes the kernel's routes those that are wanted, and says which prefixes it must not route and why.
    ///
    /// New routes are in place before old ones go, and a route that moves to another device is replaced in one step, so
    /// that no packet finds neither.
    pub async fn reconcile(&self, wanted: &Wanted) -> Result<Outcome, RouteError> {
        let (links, routes) = (self.kernel.links().await?, self.kernel.routes().await?);
        let (own, foreign): (Vec<_>, Vec<_>) = routes.into_iter().partition(|r| r.protocol == PROTOCOL);
        let own: Vec<Route> = own.into_iter().map(|r| r.route).collect();
        let Plan { routes, refused } = plan::plan(wanted, &links, &foreign);
        for route in routes.iter().filter(|route| !own.contains(route)) {
            self.kernel.install(route).await?;
        }
        // What has the same key as a wanted route was replaced by it.
        for route in own.iter().rev().filter(|old| !routes.iter().any(|new| new.key() == old.key())) {
            self.kernel.withdraw(route).await?;
        }
        Ok(Outcome { routes, refused })
    }

    /// The kernel behind it.
    pub const fn kernel(&self) -> &K {
        &self.kernel
    }
}

/// What [`Table::reconcile`] came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Our routes, all of them in the kernel.
    pub routes: Vec<Route>,
    /// Prefixes that are not routed, and why.
    pub refused: Vec<Refused>,
}

/// What of the kernel's network is needed here.
pub trait Kernel {
    /// Every link.
    fn links(&self) -> impl Future<Output = Result<Vec<Link>, RouteError>>;

    /// Every route of the main table, both families.
    fn routes(&self) -> impl Future<Output = Result<Vec<KernelRoute>, RouteError>>;

    /// Adds a route of ours, or replaces the one with the same key.
    fn install(&self, route: &Route) -> impl Future<Output = Result<(), RouteError>>;

    /// Removes a route of ours; one that is gone already is no error.
    fn withdraw(&self, route: &Route) -> impl Future<Output = Result<(), RouteError>>;

    /// Gives a device its address, sets it up and accepts what returns on it from another tunnel.
    fn raise(&self, device: &str, address: Option<IpNet>) -> impl Future<Output = Result<(), RouteError>>;

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
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where packets go to.
    pub prefix: IpNet,
    /// Of two routes for one prefix the lower is taken.
    pub metric: u32,
    /// What is done with them.
    pub target: Target,
}

impl Route {
    /// What the kernel tells routes apart by.
    pub const fn key(&self) -> (IpNet, u32) {
        (self.prefix, self.metric)
    }
}

/// What a route does with its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRoute {
    /// The route.
    pub route: Route,
    /// Who made it (`rtm_protocol` of rtnetlink(7)).
    pub protocol: u8,
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
/// Metric of routes into tunnels: behind what the kernel makes for connected networks (0), before DHCP's (100 and more).
pub const METRIC: u32 = 71;
/// Metric of the `unreachable` routes that keep inner packets in when no tunnel carries them: right behind the tunnels,
/// so that no other route for the same prefix comes between.
pub const FALLBACK_METRIC: u32 = 72;

//! Which routes should be in the kernel: set arithmetic over what is wanted and what others have put there.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::mirror::Surroundings;
use super::{
    FALLBACK_METRIC, FALLBACK_METRIC_OF_LINKS_V6, Family, Hop, KernelRoute, Key, MAIN_TABLE, METRIC, Route,
    Rule, Target,
};

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The table that the routes to the remote prefixes are in.
    pub table: u32,
    /// The priority of the rule that has packets look into it; `None`: the table is the main one, or others make the rules.
    pub rule_priority: Option<u32>,
    /// Our TUN devices: no outer path leads through them.
    pub devices: Vec<String>,
    /// Outer addresses of the peers: never routed into a tunnel.
    pub peers: Vec<IpAddr>,
    /// Prefixes behind the peers.
    pub remotes: Vec<Remote>,
    /// Inside addresses of peers that are on no connected network of their device.
    pub neighbours: Vec<(IpAddr, String)>,
    /// Networks inside the tunnels. The kernel routes them to the devices while these are there.
    pub insides: Vec<IpNet>,
}

impl Default for Wanted {
    fn default() -> Self {
        let (devices, peers, remotes) = Default::default();
        let (neighbours, insides) = Default::default();
        Self { table: MAIN_TABLE, rule_priority: None, devices, peers, remotes, neighbours, insides }
    }
}

/// A prefix behind a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The prefix.
    pub prefix: IpNet,
    /// The devices of the tunnels that share its traffic; none: no tunnel carries it.
    pub devices: Vec<String>,
}

/// Which routes should be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are to be installed.
    pub routes: Vec<Route>,
    /// The rules that lead to them.
    pub rules: BTreeSet<Rule>,
    /// Prefixes that must not be routed.
    pub refused: Vec<Refused>,
}

/// A prefix that is not routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The prefix.
    pub prefix: IpNet,
    /// What is in the way, and what to do.
    pub why: String,
}

/// Plans our routes beside those of others.
///
/// First come host routes to the peers whose outer path a prefix would take over, then the `unreachable` routes, then
/// those into tunnels: at no moment does an inner packet leave in clear, or an outer one turn into its own tunnel. The
/// `unreachable` ones outlive a daemon that is killed, and its devices; so the networks inside the tunnels need them too.
pub fn plan(wanted: &Wanted, around: &Surroundings) -> Plan {
    let mut planner = Planner::new(wanted, around);
    for remote in &wanted.remotes {
        match planner.needs(remote.prefix) {
            Ok(pins) => planner.take(remote, pins),
            Err(why) => planner.refused.push(Refused { prefix: remote.prefix, why }),
        }
    }
    planner.take_insides();
    let Planner { pins, fallbacks, tunnels, refused, .. } = planner;
    Plan { routes: [pins.routes, fallbacks.routes, tunnels.routes].concat(), rules: rules(wanted), refused }
}

/// One for each family that has prefixes: a host may have but one of the two.
fn rules(wanted: &Wanted) -> BTreeSet<Rule> {
    let Wanted { table, rule_priority: Some(priority), .. } = *wanted else { return BTreeSet::new() };
    let families = wanted.remotes.iter().map(|remote| Family::of(&remote.prefix));
    families.map(|family| Rule { family, table, priority }).collect()
}

struct Planner<'w> {
    wanted: &'w Wanted,
    around: &'w Surroundings,
    /// Index of each device of ours that there is.
    indices: HashMap<&'w str, u32>,
    /// Where each peer is reached without our tunnels.
    outer: Vec<(IpAddr, Option<&'w Route>)>,
    pins: Routes,
    fallbacks: Routes,
    tunnels: Routes,
    refused: Vec<Refused>,
}

impl<'w> Planner<'w> {
    fn new(wanted: &'w Wanted, around: &'w Surroundings) -> Self {
        let links = around.links_named(wanted.devices.iter().map(String::as_str));
        let indices: HashMap<&str, u32> = links.map(|link| (link.name.as_str(), link.index)).collect();
        let devices: Vec<u32> = indices.values().copied().collect();
        let path = |peer: &IpAddr| (*peer, around.path_to(MAIN_TABLE, *peer, &devices));
        let outer = wanted.peers.iter().map(path).collect();
        let (pins, fallbacks, tunnels) = Default::default();
        Self { wanted, around, indices, outer, pins, fallbacks, tunnels, refused: Vec::new() }
    }

    /// The host routes without which `prefix` would draw the outer packets to a peer into a tunnel; or why it must not be
    /// routed.
    fn needs(&self, prefix: IpNet) -> Result<Vec<Route>, String> {
        let mut pins = Vec::new();
        for (peer, path) in self.outer.iter().filter(|(peer, _)| prefix.contains(peer)) {
            let host = IpNet::from(*peer);
            if host == prefix {
                return Err(format!("{prefix} is the outer address of a peer: leave it out of `remote`"));
            }
            match path {
                Some(path) if self.is_beaten_by(path, prefix) => {}
                Some(Route { target: target @ Target::Links(_), .. }) => {
                    pins.push(self.route(host, METRIC, target.clone()));
                }
                Some(_) | None => {
                    return Err(format!(
                        "{prefix} holds the peer's outer address {peer}, and no other route leads there: \
                         add a route to {peer} through the uplink"
                    ));
                }
            }
        }
        match self.in_the_way(prefix) {
            Some(other) => Err(occupied(other)),
            None => Ok(pins),
        }
    }

    /// A route in the same table that is more specific is taken anyhow. One in another table is not even looked at.
    fn is_beaten_by(&self, path: &Route, prefix: IpNet) -> bool {
        path.table == self.wanted.table && path.prefix.prefix_len() > prefix.prefix_len()
    }

    fn take(&mut self, remote: &Remote, pins: Vec<Route>) {
        for pin in pins {
            self.pins.push(pin);
        }
        self.fallbacks.push(self.unreachable(remote.prefix));
        let carriers = remote.devices.iter().filter_map(|device| self.indices.get(device.as_str()).copied());
        let carriers: BTreeSet<u32> = carriers.collect();
        if !carriers.is_empty() {
            self.tunnels.push(self.through(remote.prefix, carriers));
        }
    }

    /// They are as the kernel's own routes to connected networks are: in the main table.
    fn take_insides(&mut self) {
        let links = self.wanted.insides.iter().map(|link| {
            let v6 = link.addr().is_ipv6();
            (*link, if v6 { FALLBACK_METRIC_OF_LINKS_V6 } else { FALLBACK_METRIC })
        });
        let neighbours =
            self.wanted.neighbours.iter().map(|(address, _)| (IpNet::from(*address), FALLBACK_METRIC));
        for (inside, metric) in links.chain(neighbours) {
            let fallback = Route { table: MAIN_TABLE, metric, ..self.unreachable(inside) };
            let mut others = self.around.routes_to(fallback.table, inside);
            if !others.any(|other| other.route.metric == fallback.metric) {
                self.fallbacks.push(fallback);
            }
        }
        for (address, device) in &self.wanted.neighbours {
            if let Some(index) = self.indices.get(device.as_str()) {
                let route = self.through(IpNet::from(*address), BTreeSet::from([*index]));
                self.tunnels.push(Route { table: MAIN_TABLE, ..route });
            }
        }
    }

    /// A route of somebody else for the very prefix that would be preferred to ours or be replaced by it.
    fn in_the_way(&self, prefix: IpNet) -> Option<&'w KernelRoute> {
        let mut others = self.around.routes_to(self.wanted.table, prefix);
        others.find(|other| other.route.metric <= FALLBACK_METRIC)
    }

    const fn route(&self, prefix: IpNet, metric: u32, target: Target) -> Route {
        Route { table: self.wanted.table, prefix, metric, target }
    }

    const fn unreachable(&self, prefix: IpNet) -> Route {
        self.route(prefix, FALLBACK_METRIC, Target::Unreachable)
    }

    /// In the order of the indices: the same devices are the same route, however they were named.
    fn through(&self, prefix: IpNet, devices: BTreeSet<u32>) -> Route {
        // The kernel shares IPv6 traffic among gateways, not among bare devices.
        let gateway = (prefix.addr().is_ipv6() && devices.len() > 1).then_some(IpAddr::V6(ANYBODY));
        let hops = devices.into_iter().map(|index| Hop { index, gateway }).collect();
        self.route(prefix, METRIC, Target::Links(hops))
    }
}

fn occupied(other: &KernelRoute) -> String {
    let Route { prefix, metric, .. } = other.route;
    format!(
        "{prefix} is routed already (metric {metric}, protocol {}), not by us: remove that route, raise its metric above \
         {FALLBACK_METRIC}, or take the prefix out of `remote`",
        other.protocol
    )
}

/// Routes in the order in which they came; the first of two claims on one prefix holds.
#[derive(Default)]
struct Routes {
    routes: Vec<Route>,
    keys: HashSet<Key>,
}

impl Routes {
    fn push(&mut self, route: Route) {
        if self.keys.insert(route.key()) {
            self.routes.push(route);
        }
    }
}

/// A neighbour on a TUN device: no address of it is ever resolved, so any link-local one will do.
const ANYBODY: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

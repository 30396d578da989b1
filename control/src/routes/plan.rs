//! Which routes should be in the kernel: set arithmetic over what is wanted and what others have put there.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{FALLBACK_METRIC, Hop, KernelRoute, Link, METRIC, Route, Target};

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
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
pub fn plan(wanted: &Wanted, links: &[Link], foreign: &[KernelRoute]) -> Plan {
    let index_of = |name: &str| links.iter().find(|link| link.name == name).map(|link| link.index);
    let devices: Vec<u32> = wanted.devices.iter().filter_map(|name| index_of(name)).collect();
    let outer: Vec<&Route> = foreign.iter().map(|r| &r.route).filter(|r| !leads_into(r, &devices)).collect();

    let (mut pins, mut fallbacks, mut tunnels, mut refused) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for remote in &wanted.remotes {
        let needed = match host_routes(remote.prefix, &wanted.peers, &outer) {
            Ok(_) if let Some(other) = in_the_way(remote.prefix, foreign) => {
                refused.push(Refused { prefix: remote.prefix, why: occupied(other) });
                continue;
            }
            Ok(needed) => needed,
            Err(why) => {
                refused.push(Refused { prefix: remote.prefix, why });
                continue;
            }
        };
        for pin in needed {
            push_new(&mut pins, pin);
        }
        push_new(&mut fallbacks, unreachable(remote.prefix));
        let carriers: Vec<u32> = remote.devices.iter().filter_map(|device| index_of(device)).collect();
        if !carriers.is_empty() {
            push_new(&mut tunnels, through(remote.prefix, &carriers));
        }
    }
    let neighbours = wanted.neighbours.iter().map(|(address, _)| IpNet::from(*address));
    for fallback in wanted.insides.iter().copied().chain(neighbours).map(unreachable) {
        if !foreign.iter().any(|other| other.route.key() == fallback.key()) {
            push_new(&mut fallbacks, fallback);
        }
    }
    for (address, device) in &wanted.neighbours {
        if let Some(index) = index_of(device) {
            push_new(&mut tunnels, through(IpNet::from(*address), &[index]));
        }
    }
    Plan { routes: [pins, fallbacks, tunnels].concat(), refused }
}

/// The route that packets to `address` take, by the longest prefix and then the lowest metric.
pub fn path_to<'r>(address: IpAddr, routes: impl IntoIterator<Item = &'r Route>) -> Option<&'r Route> {
    routes
        .into_iter()
        .filter(|route| route.prefix.contains(&address))
        .min_by_key(|route| (u8::MAX - route.prefix.prefix_len(), route.metric))
}

/// The host routes without which `prefix` would draw the outer packets to a peer into a tunnel.
fn host_routes(prefix: IpNet, peers: &[IpAddr], outer: &[&Route]) -> Result<Vec<Route>, String> {
    let mut pins = Vec::new();
    for peer in peers.iter().filter(|peer| prefix.contains(*peer)) {
        let host = IpNet::from(*peer);
        if host == prefix {
            return Err(format!("{prefix} is the outer address of a peer: leave it out of `remote`"));
        }
        match path_to(*peer, outer.iter().copied()) {
            Some(path) if path.prefix.prefix_len() > prefix.prefix_len() => {}
            Some(Route { target: target @ Target::Links(_), .. }) => {
                pins.push(Route { prefix: host, metric: METRIC, target: target.clone() });
            }
            Some(_) | None => {
                return Err(format!(
                    "{prefix} holds the peer's outer address {peer}, and no other route leads there: \
                     add a route to {peer} through the uplink"
                ));
            }
        }
    }
    Ok(pins)
}

/// A route of somebody else for the very prefix that would be preferred to ours or be replaced by it.
fn in_the_way(prefix: IpNet, foreign: &[KernelRoute]) -> Option<&KernelRoute> {
    foreign.iter().find(|other| other.route.prefix == prefix && other.route.metric <= FALLBACK_METRIC)
}

fn occupied(other: &KernelRoute) -> String {
    let Route { prefix, metric, .. } = other.route;
    format!(
        "{prefix} is routed already (metric {metric}, protocol {}), not by us: remove that route, raise its metric above \
         {FALLBACK_METRIC}, or take the prefix out of `remote`",
        other.protocol
    )
}

fn leads_into(route: &Route, devices: &[u32]) -> bool {
    matches!(&route.target, Target::Links(hops) if hops.iter().any(|hop| devices.contains(&hop.index)))
}

const fn unreachable(prefix: IpNet) -> Route {
    Route { prefix, metric: FALLBACK_METRIC, target: Target::Unreachable }
}

/// Through the devices, in the order of their indices: the same devices are the same route, however they were named.
fn through(prefix: IpNet, devices: &[u32]) -> Route {
    let devices: BTreeSet<u32> = devices.iter().copied().collect();
    // The kernel shares IPv6 traffic among gateways, not among bare devices.
    let gateway = (prefix.addr().is_ipv6() && devices.len() > 1).then_some(IpAddr::V6(ANYBODY));
    let hops = devices.into_iter().map(|index| Hop { index, gateway }).collect();
    Route { prefix, metric: METRIC, target: Target::Links(hops) }
}

/// The first of two claims on one prefix holds.
fn push_new(routes: &mut Vec<Route>, route: Route) {
    if !routes.iter().any(|other| other.key() == route.key()) {
        routes.push(route);
    }
}

/// A neighbour on a TUN device: no address of it is ever resolved, so any link-local one will do.
const ANYBODY: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

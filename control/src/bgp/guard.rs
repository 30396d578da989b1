//! What no policy permits: routes that would cut us off, or take our own packets from us, whatever a peer announces.
//!
//! Refusals come with their reason. What is merely suspicious is taken and told: [`super::overlap`]. That the outer path
//! to a peer never leads into a tunnel has a second keeper, [`crate::routes::plan`], which pins it with a host route where
//! a wider prefix would take it over: here is refused what no pin could outdo.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::refusal::Refusal;
use super::route::Route;

/// What of our own is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Our AS number.
    pub asn: u32,
    /// Our networks: what we offer, and what our other links are connected to.
    pub networks: Vec<IpNet>,
    /// Outer addresses of all tunnels, the peers' and ours.
    pub outer: Vec<IpAddr>,
    /// Networks inside all tunnels, and inside addresses of peers that lie in none of them.
    pub insides: Vec<IpNet>,
}

/// Who announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The peer's AS number.
    pub asn: u32,
    /// Our own address inside the tunnel.
    pub our_inside: IpAddr,
    /// Our IPv6 address beside an IPv4 one.
    pub our_inside6: Option<Ipv6Addr>,
}

/// Whether a route may be taken at all.
pub fn inspect(
    site: &Site,
    neighbour: &Neighbour,
    default_route: bool,
    route: &Route,
) -> Result<(), Refusal> {
    offerable(&route.prefix, default_route)?;
    if let Some(net) = holder(&site.networks, &route.prefix) {
        return Err(Refusal::OwnNetwork(net));
    }
    if let Some(address) = site.outer.iter().find(|address| route.prefix == IpNet::from(**address)) {
        return Err(Refusal::OuterAddress(*address));
    }
    if let Some(net) = holder(&site.insides, &route.prefix) {
        return Err(Refusal::Inside(net));
    }
    inspect_path(site, neighbour, route)
}

/// Whether a prefix is one that networks tell each other: no martian, and a default route only where it is allowed.
pub fn offerable(prefix: &IpNet, default_route: bool) -> Result<(), Refusal> {
    if prefix.prefix_len() < NARROWEST_DEFAULT {
        return if default_route { Ok(()) } else { Err(Refusal::DefaultRoute) };
    }
    let martian = match prefix {
        IpNet::V4(prefix) => martians_v4().find(|net| net.contains(prefix)).map(IpNet::V4),
        IpNet::V6(prefix) => martians_v6().find(|net| net.contains(prefix)).map(IpNet::V6),
    };
    martian.map_or(Ok(()), |net| Err(Refusal::Martian(net)))
}

fn inspect_path(site: &Site, neighbour: &Neighbour, route: &Route) -> Result<(), Refusal> {
    let path = &route.path;
    let asns = path.as_path.asns().count();
    if asns > MOST_ASNS {
        return Err(Refusal::PathTooLong { asns, most: MOST_ASNS });
    }
    if path.as_path.contains(site.asn) {
        return Err(Refusal::Loop(site.asn));
    }
    if path.as_path.neighbor() != Some(neighbour.asn) {
        return Err(Refusal::FirstAs { peer: neighbour.asn, found: path.as_path.neighbor() });
    }
    // What else it says is not followed: packets go to the tunnel that the route came through.
    let ours = [Some(neighbour.our_inside), neighbour.our_inside6.map(IpAddr::V6)];
    if let Some(ours) = ours.into_iter().flatten().find(|ours| path.next_hop.to_canonical() == *ours) {
        return Err(Refusal::NextHop(ours));
    }
    Ok(())
}

/// The first of the networks that the prefix lies in or is.
fn holder(networks: &[IpNet], prefix: &IpNet) -> Option<IpNet> {
    networks.iter().map(IpNet::trunc).find(|net| net.contains(prefix))
}

/// Prefixes of both families in which nothing is a destination beyond a link.
pub fn martians() -> impl Iterator<Item = IpNet> {
    martians_v4().map(IpNet::V4).chain(martians_v6().map(IpNet::V6))
}

/// RFC 6890's prefixes that are never a destination beyond a link. Private and shared ones (10.0.0.0/8, 100.64.0.0/10,
/// fc00::/7) are what clouds are made of, and those for documentation do no harm.
fn martians_v4() -> impl Iterator<Item = Ipv4Net> {
    let nets = [([0, 0, 0, 0], 8), ([127, 0, 0, 0], 8), ([169, 254, 0, 0], 16), ([224, 0, 0, 0], 3)];
    nets.into_iter().map(|(octets, length)| Ipv4Net::new_assert(octets.into(), length))
}

/// `::/8` holds the unspecified, the loopback and the IPv4-mapped addresses.
fn martians_v6() -> impl Iterator<Item = Ipv6Net> {
    let nets = [(0, 8), (0xfe80, 10), (0xfec0, 10), (0xff00, 8)];
    nets.into_iter().map(|(first, length)| Ipv6Net::new_assert([first, 0, 0, 0, 0, 0, 0, 0].into(), length))
}

/// Prefixes shorter than this are default routes: 0.0.0.0/1 and 128.0.0.0/1 together are one, and win over one. 10.0.0.0/8
/// and fd00::/8 are not.
pub const NARROWEST_DEFAULT: u8 = 8;

/// AS numbers of one path, prepended ones and members of sets counted. A cloud's path has a handful. A message has room for
/// two thousand, or for hundreds of segments that take ten times their octets in memory, and each prefix may have its own.
pub const MOST_ASNS: usize = 100;

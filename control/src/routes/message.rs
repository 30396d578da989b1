//! Routes and links as rtnetlink(7) writes them: ours to octets, and what the kernel says to meaning.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol,
    RouteScope, RouteType,
};

use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use super::{Family, Hop, KernelRoute, Link, PROTOCOL, Route, Rule, Target};

/// What asks the kernel for a route of ours.
pub(super) fn route(route: &Route) -> RouteMessage {
    let mut message = key(route);
    match &route.target {
        Target::Links(hops) => {
            message.header.kind = RouteType::Unicast;
            message.header.scope = RouteScope::Universe;
            if hops.iter().all(|hop| hop.gateway.is_none()) {
                message.header.scope = RouteScope::Link;
            }
            if let [hop] = hops.as_slice() {
                message.attributes.push(RouteAttribute::Oif(hop.index));
                message.attributes.extend(hop.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
            } else {
                message.attributes.push(RouteAttribute::MultiPath(hops.iter().map(next_hop).collect()));
            }
        }
        Target::Unreachable => {
            message.header.kind = RouteType::Unreachable;
            message.header.scope = RouteScope::Universe;
        }
        // Never planned.
        Target::Other => {}
    }
    message
}

/// What names a route of ours, whatever it does with its packets.
pub(super) fn key(route: &Route) -> RouteMessage {
    let mut message = match route.prefix {
        IpNet::V4(net) => {
            RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(net.network(), net.prefix_len()).build()
        }
        IpNet::V6(net) => {
            RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(net.network(), net.prefix_len()).build()
        }
    };
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    // Any kind and any scope.
    message.header.kind = RouteType::Unspec;
    message.header.scope = RouteScope::NoWhere;
    message.header.table = RouteHeader::RT_TABLE_UNSPEC;
    message.attributes.push(RouteAttribute::Table(route.table));
    message.attributes.push(RouteAttribute::Priority(route.metric));
    message
}

/// A rule of ours, to be made or removed.
pub(super) fn rule(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = match rule.family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    message.header.action = RuleAction::ToTable;
    message.attributes.push(RuleAttribute::Priority(rule.priority));
    message.attributes.push(RuleAttribute::Table(rule.table));
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL)));
    message
}

/// A rule, where it is one of ours.
pub(super) fn parse_rule(message: &RuleMessage) -> Option<Rule> {
    let family = match u8::from(message.header.family) {
        AF_INET => Family::V4,
        AF_INET6 => Family::V6,
        _ => return None,
    };
    let (mut table, mut priority, mut ours) = (u32::from(message.header.table), 0, false);
    for attribute in &message.attributes {
        if let RuleAttribute::Table(number) = attribute {
            table = *number;
        } else if let RuleAttribute::Priority(number) = attribute {
            priority = *number;
        } else if let RuleAttribute::Protocol(protocol) = attribute {
            ours = u8::from(*protocol) == PROTOCOL;
        }
    }
    ours.then_some(Rule { family, table, priority })
}

fn next_hop(hop: &Hop) -> RouteNextHop {
    let mut next = RouteNextHop::default();
    next.interface_index = hop.index;
    next.attributes.extend(hop.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    next
}

/// A link.
pub(super) fn parse_link(message: &LinkMessage) -> Option<Link> {
    let up = message.header.flags.contains(LinkFlags::Up);
    let carrier = message.header.flags.contains(LinkFlags::LowerUp);
    let mut link = Link { index: message.header.index, name: String::new(), mtu: 0, up, carrier };
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            link.name.clone_from(name);
        } else if let LinkAttribute::Mtu(mtu) = attribute {
            link.mtu = *mtu;
        }
    }
    (!link.name.is_empty()).then_some(link)
}

/// A route of either family; what the kernel merely keeps in mind for a destination is none.
pub(super) fn parse_route(message: &RouteMessage) -> Option<KernelRoute> {
    if message.header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let unspecified = match u8::from(message.header.address_family) {
        AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut destination, mut metric, mut gateway, mut hops) = (unspecified, 0, None, Vec::new());
    // Numbers above 255 are in the attribute alone.
    let mut table = u32::from(message.header.table);
    for attribute in &message.attributes {
        if let RouteAttribute::Destination(address) = attribute {
            destination = ip(address)?;
        } else if let RouteAttribute::Table(number) = attribute {
            table = *number;
        } else if let RouteAttribute::Priority(priority) = attribute {
            metric = *priority;
        } else if let RouteAttribute::Oif(index) = attribute {
            hops.push(Hop { index: *index, gateway: None });
        } else if let RouteAttribute::Gateway(address) = attribute {
            gateway = ip(address);
        } else if let RouteAttribute::MultiPath(several) = attribute {
            hops.extend(several.iter().map(parse_hop));
        }
    }
    if let [hop] = hops.as_mut_slice() {
        hop.gateway = hop.gateway.or(gateway);
    }
    hops.sort_unstable();
    let prefix = IpNet::new(destination, message.header.destination_prefix_length).ok()?;
    let target = match (message.header.kind, hops.is_empty()) {
        (RouteType::Unicast, false) => Target::Links(hops),
        (RouteType::Unreachable, _) => Target::Unreachable,
        _ => Target::Other,
    };
    let route = Route { table, prefix, metric, target };
    Some(KernelRoute { route, protocol: message.header.protocol.into() })
}

fn parse_hop(hop: &RouteNextHop) -> Hop {
    let gateway = hop.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Gateway(address) = attribute { ip(address) } else { None }
    });
    Hop { index: hop.interface_index, gateway }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(v4) = address {
        Some(IpAddr::V4(*v4))
    } else if let RouteAddress::Inet6(v6) = address {
        Some(IpAddr::V6(*v6))
    } else {
        None
    }
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

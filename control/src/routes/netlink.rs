//! [`Kernel`] over rtnetlink(7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use futures_util::{Stream, StreamExt, pin_mut};
use ipnet::IpNet;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol, RouteScope,
    RouteType,
};
use rtnetlink::{Error, Handle, LinkUnspec, RouteMessageBuilder};
use tracing::debug;

use super::{Hop, Kernel, KernelRoute, Link, PROTOCOL, Route, RouteError, Target};

/// The network of the namespace in which it was opened.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: Handle,
}

impl Netlink {
    /// Opens a netlink socket and serves it on the current runtime.
    pub fn open() -> Result<Self, RouteError> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// For what only the demonstration needs.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The index of a device.
    pub async fn index_of(&self, device: &str) -> Result<u32, RouteError> {
        let request = self.handle.link().get().match_name(device).execute();
        let links = collect(request).await.map_err(|_| RouteError::NoDevice(device.to_owned()))?;
        links.first().map(|link| link.header.index).ok_or_else(|| RouteError::NoDevice(device.to_owned()))
    }
}

impl Kernel for Netlink {
    async fn links(&self) -> Result<Vec<Link>, RouteError> {
        let links =
            collect(self.handle.link().get().execute()).await.map_err(refused("reading the links"))?;
        Ok(links.iter().filter_map(parse_link).collect())
    }

    async fn routes(&self) -> Result<Vec<KernelRoute>, RouteError> {
        let mut routes = Vec::new();
        let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let v6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
        for family in [v4, v6] {
            let messages = collect(self.handle.route().get(family).execute());
            let messages = messages.await.map_err(refused("reading the routes"))?;
            routes.extend(messages.iter().filter_map(parse_route));
        }
        Ok(routes)
    }

    async fn install(&self, route: &Route) -> Result<(), RouteError> {
        let what = || format!("adding the route to {}", route.prefix);
        let request = self.handle.route().add(message(route, Verb::Add)).replace();
        request.execute().await.map_err(|error| refused(&what())(error))
    }

    async fn withdraw(&self, route: &Route) -> Result<(), RouteError> {
        let result = self.handle.route().del(message(route, Verb::Remove)).execute().await;
        match result {
            Err(Error::NetlinkError(error))
                if error.raw_code() == -rustix::io::Errno::SRCH.raw_os_error() =>
            {
                Ok(())
            }
            other => other.map_err(refused(&format!("removing the route to {}", route.prefix))),
        }
    }

    async fn raise(&self, device: &str, address: Option<IpNet>) -> Result<(), RouteError> {
        let index = self.index_of(device).await?;
        set_sysctls(device);
        if let Some(net) = address {
            let request = self.handle.address().add(index, net.addr(), net.prefix_len()).replace();
            request.execute().await.map_err(refused(&format!("giving {device} the address {net}")))?;
        }
        let up = self.handle.link().change(LinkUnspec::new_with_index(index).up().build());
        up.execute().await.map_err(refused(&format!("setting {device} up")))
    }

    async fn set_mtu(&self, device: &str, mtu: u16) -> Result<(), RouteError> {
        let index = self.index_of(device).await?;
        let change = self.handle.link().change(LinkUnspec::new_with_index(index).mtu(mtu.into()).build());
        change.execute().await.map_err(refused(&format!("setting the MTU of {device} to {mtu}")))
    }
}

/// The sysctls of a TUN device of ours.
///
/// The reverse-path filter is loose (RFC 3704 §2.4): the cloud may answer on either tunnel. There is no link-local
/// address: its neighbour discovery would be packets that no tunnel carries.
fn set_sysctls(device: &str) {
    for (file, value) in [("ipv4/conf", "rp_filter", "2"), ("ipv6/conf", "addr_gen_mode", "1")]
        .map(|(family, name, value)| (Path::new("/proc/sys/net").join(family).join(device).join(name), value))
    {
        if let Err(error) = std::fs::write(&file, value) {
            // Matters only where the host's defaults are strict; /proc/sys may be read-only on purpose.
            debug!(file = %file.display(), %error, "a sysctl stays as it is");
        }
    }
}

/// What a message is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
}

fn message(route: &Route, verb: Verb) -> RouteMessage {
    let mut message = match route.prefix {
        IpNet::V4(net) => {
            RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(net.network(), net.prefix_len()).build()
        }
        IpNet::V6(net) => {
            RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(net.network(), net.prefix_len()).build()
        }
    };
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    message.attributes.push(RouteAttribute::Priority(route.metric));
    match &route.target {
        Target::Links(hops) => {
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
        Target::Unreachable => message.header.kind = RouteType::Unreachable,
        // Never planned; what somebody else put under our number goes by its prefix and metric alone.
        Target::Other => message.header.kind = RouteType::Unspec,
    }
    if verb == Verb::Remove {
        // Matches any scope.
        message.header.scope = RouteScope::NoWhere;
    }
    message
}

fn next_hop(hop: &Hop) -> RouteNextHop {
    let mut next = RouteNextHop::default();
    next.interface_index = hop.index;
    next.attributes.extend(hop.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    next
}

fn parse_link(message: &LinkMessage) -> Option<Link> {
    let mut link = Link { index: message.header.index, name: String::new(), mtu: 0 };
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            link.name.clone_from(name);
        } else if let LinkAttribute::Mtu(mtu) = attribute {
            link.mtu = *mtu;
        }
    }
    (!link.name.is_empty()).then_some(link)
}

fn parse_route(message: &RouteMessage) -> Option<KernelRoute> {
    if message.header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let unspecified = match u8::from(message.header.address_family) {
        AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut destination, mut metric, mut gateway, mut hops) = (unspecified, 0, None, Vec::new());
    for attribute in &message.attributes {
        if let RouteAttribute::Destination(address) = attribute {
            destination = ip(address)?;
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
    let route = Route { prefix, metric, target };
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

async fn collect<T>(stream: impl Stream<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    pin_mut!(stream);
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item?);
    }
    Ok(items)
}

fn refused(what: &str) -> impl FnOnce(Error) -> RouteError {
    let what = what.to_owned();
    move |error| {
        let why = if let Error::NetlinkError(error) = &error {
            error.to_io().to_string()
        } else {
            error.to_string()
        };
        RouteError::Kernel { what, why }
    }
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

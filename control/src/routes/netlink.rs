//! [`Kernel`] over rtnetlink(7).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, pin_mut};
use ipnet::IpNet;
use rtnetlink::{Error, Handle, IpVersion, LinkUnspec, RouteMessageBuilder};
use tracing::debug;

use super::message::{parse_link, parse_route, parse_rule};
use super::pipeline::Pipeline;
use super::watch::Watch;
use super::{Edit, Failure, Kernel, KernelRoute, Link, RouteError, Rule};

/// The network of the namespace in which it was opened.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: Handle,
    pipeline: Arc<Pipeline>,
}

impl Netlink {
    /// Opens the sockets and serves them on the current runtime.
    pub fn open() -> Result<Self, RouteError> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { handle, pipeline: Arc::new(Pipeline::open()?) })
    }

    /// Tells of what others change, beginning with what is there when it is called.
    pub fn watch(&self) -> Result<Watch, RouteError> {
        Watch::open(self.pipeline.port())
    }

    /// For what only the demonstration needs.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Gives a device a carrier or takes it away: what a daemon beside us reacts to. Without one it sends nothing; what
    /// arrives through it is delivered all the same.
    pub async fn set_carrier(&self, device: &str, on: bool) -> Result<(), RouteError> {
        let index = self.index_of(device).await?;
        let change = LinkUnspec::new_with_index(index).carrier(on).build();
        let what = format!("setting the carrier of {device} {}", if on { "on" } else { "off" });
        self.handle.link().change(change).execute().await.map_err(refused(&what))
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

    async fn rules(&self) -> Result<Vec<Rule>, RouteError> {
        let mut rules = Vec::new();
        for family in [IpVersion::V4, IpVersion::V6] {
            let messages = collect(self.handle.rule().get(family).execute());
            let messages = messages.await.map_err(refused("reading the rules"))?;
            rules.extend(messages.iter().filter_map(parse_rule));
        }
        Ok(rules)
    }

    async fn edit(&self, edits: &[Edit]) -> Result<Vec<Failure>, RouteError> {
        self.pipeline.edit(edits).await
    }

    async fn raise(&self, device: &str, addresses: &[IpNet]) -> Result<(), RouteError> {
        let index = self.index_of(device).await?;
        set_sysctls(device);
        for net in addresses {
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

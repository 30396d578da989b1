//! Links and addresses of the demonstration, and how a link is cut so that nobody is told.

use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::{LinkUnspec, LinkVeth};

use super::host::Host;
use crate::routes::netlink::Netlink;

/// One of the two links between gateway and cloud.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    /// Name of the tunnel over it.
    pub(super) tunnel: &'static str,
    /// The device at both ends.
    pub(super) device: &'static str,
    /// The gateway's outer address.
    pub(super) gateway: Ipv4Addr,
    /// The outer address of the cloud's endpoint.
    pub(super) cloud: Ipv4Addr,
    /// The gateway's address inside the tunnel, in a /30.
    pub(super) gateway_inside: Ipv4Addr,
    /// The cloud's address inside the tunnel.
    pub(super) cloud_inside: Ipv4Addr,
}

/// The kernel's networks of both hosts.
#[derive(Debug)]
pub(super) struct Network {
    gateway: Netlink,
    cloud: Netlink,
}

impl Network {
    /// Connects the hosts with both wires and gives each its address in its inner network.
    pub(super) async fn build(gateway: &Host, cloud: &Host) -> anyhow::Result<Self> {
        let network =
            Self { gateway: gateway.run(Netlink::open).await??, cloud: cloud.run(Netlink::open).await?? };
        address(&network.gateway, LOOPBACK, GATEWAY_HOST, 32).await?;
        address(&network.cloud, LOOPBACK, CLOUD_HOST, 32).await?;
        for wire in &WIRES {
            network.connect(wire, cloud).await?;
        }
        Ok(network)
    }

    /// Cuts a wire silently: both devices keep their carrier, and what is sent goes to an Ethernet address that nobody
    /// has. No error and no ICMP tells of it.
    pub(super) async fn cut(&self, wire: &Wire) -> anyhow::Result<()> {
        for (netlink, far) in [(&self.cloud, wire.gateway), (&self.gateway, wire.cloud)] {
            let index = netlink.index_of(wire.device).await?;
            let lost = netlink.handle().neighbours().add(index, far.into());
            lost.link_layer_address(&NOBODY).replace().execute().await?;
        }
        Ok(())
    }

    /// Undoes [`Self::cut`].
    pub(super) async fn mend(&self, wire: &Wire) -> anyhow::Result<()> {
        for (netlink, far) in [(&self.cloud, wire.gateway), (&self.gateway, wire.cloud)] {
            let mut entry = NeighbourMessage::default();
            entry.header.family = AddressFamily::Inet;
            entry.header.ifindex = netlink.index_of(wire.device).await?;
            entry.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(far)));
            netlink.handle().neighbours().del(entry).execute().await?;
        }
        Ok(())
    }

    async fn connect(&self, wire: &Wire, cloud: &Host) -> anyhow::Result<()> {
        let links = self.gateway.handle().link();
        links.add(LinkVeth::new(wire.device, FAR_END).build()).execute().await?;
        let move_out = LinkUnspec::new_with_name(FAR_END).setns_by_fd(cloud.namespace()).build();
        self.gateway.handle().link().change(move_out).execute().await?;
        let far = self.cloud.index_of(FAR_END).await?;
        let rename = LinkUnspec::new_with_index(far).name(wire.device.to_owned()).build();
        self.cloud.handle().link().change(rename).execute().await?;
        address(&self.gateway, wire.device, wire.gateway, 24).await?;
        address(&self.cloud, wire.device, wire.cloud, 24).await
    }
}

/// Gives a device an address and sets it up.
async fn address(netlink: &Netlink, device: &str, address: Ipv4Addr, length: u8) -> anyhow::Result<()> {
    let index = netlink.index_of(device).await?;
    netlink.handle().address().add(index, IpAddr::V4(address), length).execute().await?;
    let up = LinkUnspec::new_with_index(index).up().build();
    Ok(netlink.handle().link().change(up).execute().await?)
}

/// The two wires, in networks that are set aside for examples (RFC 5737). Each is an uplink of its own.
pub(super) const WIRES: [Wire; 2] = [
    Wire {
        tunnel: "1",
        device: "wan1",
        gateway: Ipv4Addr::new(198, 51, 100, 1),
        cloud: Ipv4Addr::new(198, 51, 100, 11),
        gateway_inside: Ipv4Addr::new(169, 254, 10, 2),
        cloud_inside: Ipv4Addr::new(169, 254, 10, 1),
    },
    Wire {
        tunnel: "2",
        device: "wan2",
        gateway: Ipv4Addr::new(203, 0, 113, 1),
        cloud: Ipv4Addr::new(203, 0, 113, 12),
        gateway_inside: Ipv4Addr::new(169, 254, 11, 2),
        cloud_inside: Ipv4Addr::new(169, 254, 11, 1),
    },
];

/// A host in the network behind the gateway.
pub(super) const GATEWAY_HOST: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 1);
/// The network behind the gateway.
pub(super) const GATEWAY_NETWORK: &str = "10.10.0.0/16";
/// A host in the network behind the cloud.
pub(super) const CLOUD_HOST: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// The network behind the cloud.
pub(super) const CLOUD_NETWORK: &str = "10.200.0.0/16";

const LOOPBACK: &str = "lo";
/// Name of a wire's far end until it is where it belongs.
const FAR_END: &str = "far";
/// A locally administered Ethernet address that no device here has.
const NOBODY: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

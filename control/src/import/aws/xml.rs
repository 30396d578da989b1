//! `CustomerGatewayConfiguration`: the XML that `describe-vpn-connections` embeds and the console hands out.
//!
//! It names the weakest suite that a tunnel could use, whatever the tunnel is set to, so that its algorithms are not read.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::Refused;
use super::super::found::{FoundConnection, FoundTunnel};
use super::super::json::psk;
use crate::config::model::Routing;
use crate::config::presets::Cloud;

/// Reads the XML of one connection.
pub(super) fn read(text: &str) -> Result<FoundConnection, Refused> {
    // No entities of a file's own are expanded, but a document that defines some is not what AWS writes.
    if text.contains("<!DOCTYPE") {
        return Err(malformed("it has a document type"));
    }
    let document: Document = quick_xml::de::from_str(text).map_err(|error| malformed(&error.to_string()))?;
    document.into_found()
}

impl Document {
    fn into_found(self) -> Result<FoundConnection, Refused> {
        if self.ipsec_tunnel.is_empty() {
            return Err(malformed("it has no ipsec_tunnel"));
        }
        let mut found = FoundConnection::new(self.id, Cloud::Aws);
        let is_static = self.vpn_connection_attributes.contains("NoBGPVPNConnection")
            || self.ipsec_tunnel.iter().any(|tunnel| tunnel.vpn_gateway.bgp.is_none());
        found.routing = if is_static { Routing::Static } else { Routing::Bgp };
        if self.vpn_gateway_id.is_empty() {
            found.remark(
                "the file names no virtual private gateway: the connection ends at a transit gateway",
            );
        }
        for tunnel in self.ipsec_tunnel {
            tunnel.add_to(&mut found)?;
        }
        Ok(found)
    }
}

impl Tunnel {
    fn add_to(self, found: &mut FoundConnection) -> Result<(), Refused> {
        let Self { customer_gateway: ours, vpn_gateway: theirs, ike } = self;
        let name = found.name.clone();
        found.local = Some(ours.tunnel_outside_address.address(&name)?);
        if let Some(bgp) = &ours.bgp {
            found.asn = Some(bgp.asn(&name)?);
        }
        if let Some(hold_time) = theirs.bgp.as_ref().and_then(|bgp| bgp.hold_time.as_ref()) {
            let seconds = hold_time.trim().parse();
            found.hold_time = Some(seconds.map_err(|_| Refused::value(&name, "hold time", hold_time))?);
        }
        found.tunnels.push(FoundTunnel {
            inside: Some(ours.tunnel_inside_address.network(&name)?),
            peer_inside: Some(theirs.tunnel_inside_address.address(&name)?),
            peer_asn: theirs.bgp.as_ref().map(|bgp| bgp.asn(&name)).transpose()?,
            psk: ike.and_then(|ike| psk(&ike.pre_shared_key?)),
            ..FoundTunnel::to(theirs.tunnel_outside_address.address(&name)?)
        });
        Ok(())
    }
}

impl Address {
    fn address(&self, connection: &str) -> Result<IpAddr, Refused> {
        let text = self.ip_address.trim();
        text.parse().map_err(|_| Refused::value(connection, "address", text))
    }

    fn network(&self, connection: &str) -> Result<IpNet, Refused> {
        let address = self.address(connection)?;
        let length = self.network_cidr.as_deref().map_or(Ok(LINK), |length| length.trim().parse());
        let network = length.ok().and_then(|length| IpNet::new(address, length).ok());
        network.ok_or_else(|| {
            Refused::value(connection, "prefix length", self.network_cidr.as_deref().unwrap_or_default())
        })
    }
}

impl Bgp {
    fn asn(&self, connection: &str) -> Result<u32, Refused> {
        self.asn.trim().parse().map_err(|_| Refused::value(connection, "AS number", &self.asn))
    }
}

fn malformed(why: &str) -> Refused {
    Refused::Malformed { form: "CustomerGatewayConfiguration", why: why.to_owned() }
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@id", default)]
    id: String,
    #[serde(default)]
    vpn_gateway_id: String,
    #[serde(default)]
    vpn_connection_attributes: String,
    #[serde(default)]
    ipsec_tunnel: Vec<Tunnel>,
}

#[derive(Deserialize)]
struct Tunnel {
    customer_gateway: End,
    vpn_gateway: End,
    ike: Option<Ike>,
}

#[derive(Deserialize)]
struct End {
    tunnel_outside_address: Address,
    tunnel_inside_address: Address,
    bgp: Option<Bgp>,
}

#[derive(Deserialize)]
struct Address {
    ip_address: String,
    network_cidr: Option<String>,
}

#[derive(Deserialize)]
struct Bgp {
    asn: String,
    hold_time: Option<String>,
}

#[derive(Deserialize)]
struct Ike {
    pre_shared_key: Option<Zeroizing<String>>,
}

/// The prefix length of every inside link of AWS's.
const LINK: u8 = 30;

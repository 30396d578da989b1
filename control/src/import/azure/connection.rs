//! What `az network vpn-connection show`, `az network vnet-gateway show` and `az network local-gateway show` print, or the
//! same of the REST API.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::super::Refused;
use super::super::found::{Found, FoundConnection, FoundTunnel};
use super::super::json::{Object, address, prefixes};
use super::policy;
use crate::config::model::Routing;
use crate::config::presets::Cloud;

/// Reads the connections among the objects, with the gateways that stand beside them.
pub(super) fn read(objects: &[Object<'_>]) -> Result<Found, Refused> {
    let gateway = objects.iter().copied().find(|object| is_of_type(*object, "virtualNetworkGateways"));
    let local = objects.iter().copied().find(|object| is_of_type(*object, "localNetworkGateways"));
    let mut found = Found::default();
    for object in objects.iter().copied().filter(|object| is_of_type(*object, "connections")) {
        found.connections.push(connection(object, gateway, local)?);
    }
    if found.connections.is_empty() {
        return Err(Refused::Unknown(super::KNOWN));
    }
    Ok(found)
}

fn connection(
    object: Object<'_>,
    gateway: Option<Object<'_>>,
    local: Option<Object<'_>>,
) -> Result<FoundConnection, Refused> {
    let name = object.text(&["name"]).unwrap_or(super::UNNAMED).to_owned();
    let mut found = FoundConnection::new(name.clone(), Cloud::Azure);
    let settings = properties(object);
    if settings.text(&["connectionProtocol"]).is_some_and(|protocol| protocol != "IKEv2") {
        found.conflicts.push(policy::not_ikev2(&name));
    }
    if settings.is(&["enableBgp"]) {
        found.routing = Routing::Bgp;
    }
    if settings.is(&["usePolicyBasedTrafficSelectors"]) {
        found.remark("set usePolicyBasedTrafficSelectors to false: Gotthard's tunnels are route-based");
    }
    if let Some(seconds) = settings.number::<u64>(&["dpdTimeoutSeconds"]) {
        found.remark(format!(
            "Azure calls the tunnel dead after {seconds} s (dpdTimeoutSeconds); ours is noticed sooner"
        ));
    }
    let inside = match local {
        Some(local) => ours(&mut found, local)?,
        None => None,
    };
    let psk = settings.psk(&["sharedKey"]);
    for (peer, peer_inside, peer_asn) in endpoints(&name, gateway)? {
        let psk = psk.clone();
        let inside = inside.map(IpNet::from);
        found.tunnels.push(FoundTunnel { inside, peer_inside, peer_asn, psk, ..FoundTunnel::to(peer) });
    }
    found.psk = psk;
    policy::apply(&mut found, settings.list(&["ipsecPolicies"]).first().and_then(Object::of));
    Ok(found)
}

/// Takes what the local network gateway says of us; our address inside, if there is one.
fn ours(found: &mut FoundConnection, local: Object<'_>) -> Result<Option<IpAddr>, Refused> {
    let name = found.name.clone();
    let settings = properties(local);
    found.local = settings.address(&name, &["gatewayIpAddress"])?;
    let space = settings.object(&["localNetworkAddressSpace"]);
    let listed = space.map_or(&[][..], |space| space.list(&["addressPrefixes"]));
    found.advertise = prefixes(&name, listed.iter().filter_map(Value::as_str))?;
    let Some(bgp) = settings.object(&["bgpSettings"]) else { return Ok(None) };
    found.asn = bgp.number(&["asn"]);
    bgp.address(&name, &["bgpPeeringAddress"])
}

type Endpoint = (IpAddr, Option<IpAddr>, Option<u32>);

/// The gateway's instances: outer address, address inside, AS number.
fn endpoints(owner: &str, gateway: Option<Object<'_>>) -> Result<Vec<Endpoint>, Refused> {
    let Some(bgp) = gateway.and_then(|gateway| properties(gateway).object(&["bgpSettings"])) else {
        return Ok(Vec::new());
    };
    let asn = bgp.number(&["asn"]);
    let mut endpoints = Vec::new();
    for instance in bgp.list(&["bgpPeeringAddresses"]).iter().filter_map(Object::of) {
        let first = |key: &str| instance.list(&[key]).first().and_then(Value::as_str);
        // An address of 169.254.21.0/24 or 169.254.22.0/24 stands before the one in the gateway's subnet.
        let inside = first("customBgpIpAddresses").or_else(|| first("defaultBgpIpAddresses"));
        if let Some(peer) = first("tunnelIpAddresses") {
            let inside = inside.map(|text| address(owner, text)).transpose()?;
            endpoints.push((address(owner, peer)?, inside, asn));
        }
    }
    Ok(endpoints)
}

/// By its type, or by where its ID says that it is; `az` keeps both.
fn is_of_type(object: Object<'_>, kind: &str) -> bool {
    let suffix = format!("Microsoft.Network/{kind}");
    object.text(&["type"]).is_some_and(|found| found.eq_ignore_ascii_case(&suffix))
}

/// The REST API keeps in `properties` what `az` shows beside the name.
fn properties(object: Object<'_>) -> Object<'_> {
    object.object(&["properties"]).unwrap_or(object)
}

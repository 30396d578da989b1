//! Google Cloud HA VPN: what `gcloud compute vpn-tunnels`, `vpn-gateways` and `routers` `describe --format=json` print.
//!
//! A tunnel alone does not say where it ends: that is with the gateway, and its inside addresses are with the router.

use serde_json::Value;

use super::Refused;
use super::found::{Found, FoundConnection, FoundTunnel};
use super::json::{Document, Object, address, prefixes};
use crate::config::model::Routing;
use crate::config::presets::Cloud;

/// Reads the tunnels of one gateway, with the gateway and the router that stand beside them.
pub(super) fn read(texts: &[&str]) -> Result<Found, Refused> {
    let documents: Vec<Document> =
        texts.iter().map(|text| Document::parse(text, "JSON")).collect::<Result<_, _>>()?;
    let mut parts = Vec::new();
    for document in &documents {
        let root = document.root();
        let listed = root.as_array().map_or(core::slice::from_ref(root), Vec::as_slice);
        parts.extend(listed.iter().filter_map(Object::of));
    }
    let mut tunnels: Vec<_> = parts.iter().copied().filter(|part| is_of_kind(*part, "vpnTunnel")).collect();
    tunnels.sort_by_key(|tunnel| tunnel.number::<u8>(&["vpnGatewayInterface"]));
    let Some(first) = tunnels.first() else { return Err(Refused::Unknown(KNOWN)) };
    let gateway = parts.iter().copied().find(|part| is_of_kind(*part, "vpnGateway"));
    let router = parts.iter().copied().find(|part| is_of_kind(*part, "router"));
    let name = gateway.and_then(|gateway| gateway.text(&["name"])).or_else(|| first.text(&["name"]));
    let mut found = FoundConnection::new(name.unwrap_or("gcp").to_owned(), Cloud::Gcp);
    for tunnel in tunnels {
        add(&mut found, tunnel, gateway, router)?;
    }
    Ok(Found::of(vec![found]))
}

fn add(
    found: &mut FoundConnection,
    tunnel: Object<'_>,
    gateway: Option<Object<'_>>,
    router: Option<Object<'_>>,
) -> Result<(), Refused> {
    let owner = found.name.clone();
    // Of Google's ends the interface of the gateway; `peerIp` is ours.
    let number: Option<u64> = tunnel.number(&["vpnGatewayInterface"]);
    let interfaces =
        gateway.map_or(&[][..], |gateway| gateway.list(&["vpnInterfaces"])).iter().filter_map(Object::of);
    let mut ends = interfaces.filter(|interface| interface.number::<u64>(&["id"]).or(Some(0)) == number);
    let Some(end) = ends.find_map(|end| end.text(&["ipAddress"])) else {
        return Err(Refused::Missing {
            connection: owner,
            what: "the outer addresses of Google's ends",
            remedy: GATEWAY,
        });
    };
    found.local = tunnel.address(&owner, &["peerIp"])?.or(found.local);
    let psk = tunnel.psk(&["sharedSecret"]);
    if psk.is_none() {
        found.remark("Google shows no shared secret after a tunnel is made");
    }
    let name = tunnel.text(&["name"]).unwrap_or_default();
    let session = router.and_then(|router| session(router, name));
    let mut one = FoundTunnel { psk, ..FoundTunnel::to(address(&owner, end)?) };
    if let (Some(peer), Some(router)) = (session, router) {
        found.routing = Routing::Bgp;
        found.asn = peer.number(&["peerAsn"]).or(found.asn);
        let ours = peer.text(&["peerIpAddress"]).map(|text| address(&owner, text)).transpose()?;
        one.peer_inside = peer.address(&owner, &["ipAddress"])?;
        one.inside = ours.and_then(|ours| ipnet::IpNet::new(ours, LINK).ok());
        one.peer_asn = router.object(&["bgp"]).and_then(|bgp| bgp.number(&["asn"]));
    } else {
        let selectors = tunnel.list(&["localTrafficSelector"]).iter().filter_map(Value::as_str);
        let remote = prefixes(&owner, selectors)?.into_iter().filter(|prefix| prefix.prefix_len() > 0);
        found.remote.extend(remote.filter(|prefix| !found.remote.contains(prefix)).collect::<Vec<_>>());
        if router.is_none() {
            found.remark(ROUTER);
        }
    }
    found.tunnels.push(one);
    Ok(())
}

/// The BGP session of the router's interface that is linked to a tunnel.
fn session<'a>(router: Object<'a>, tunnel: &str) -> Option<Object<'a>> {
    let interfaces = router.list(&["interfaces"]).iter().filter_map(Object::of);
    let linked = |interface: &Object<'_>| {
        interface.text(&["linkedVpnTunnel"]).is_some_and(|link| link.rsplit('/').next() == Some(tunnel))
    };
    let interface = interfaces.filter(linked).find_map(|interface| interface.text(&["name"]))?;
    let mut peers = router.list(&["bgpPeers"]).iter().filter_map(Object::of);
    peers.find(|peer| peer.text(&["interfaceName"]) == Some(interface))
}

/// `kind` is `compute#vpnTunnel` and the like.
fn is_of_kind(object: Object<'_>, kind: &str) -> bool {
    object.text(&["kind"]).and_then(|found| found.strip_prefix("compute#")) == Some(kind)
}

const KNOWN: &str = "give what `gcloud compute vpn-tunnels describe --format=json` prints, with that of `vpn-gateways describe` and \
     `routers describe` in files beside it";
const GATEWAY: &str =
    "give what `gcloud compute vpn-gateways describe --format=json` prints in a file beside it";
const ROUTER: &str = "no router was given, so that routing is static: for BGP give what `gcloud compute routers describe \
     --format=json` prints in a file beside it";
/// The prefix length of a Cloud Router's link.
const LINK: u8 = 30;

//! "Download Site-to-Site VPN configuration" of a Virtual WAN hub: the most complete of what Azure hands out.

use ipnet::IpNet;

use super::super::Refused;
use super::super::found::{FoundConnection, FoundTunnel};
use super::super::json::{Object, address, prefixes};
use super::policy;
use crate::config::model::Routing;
use crate::config::presets::Cloud;

/// Reads one site: a connection for each hub that it is connected to.
pub(super) fn read(site: Object<'_>) -> Result<Vec<FoundConnection>, Refused> {
    let ours = site.object(&["vpnSiteConfiguration"]);
    let name = ours.and_then(|ours| ours.text(&["Name"])).unwrap_or(super::UNNAMED);
    let hubs: Vec<_> = site.list(&[KEY]).iter().filter_map(Object::of).collect();
    let mut connections = Vec::new();
    for (number, hub) in hubs.iter().enumerate() {
        let name = if hubs.len() > 1 { format!("{name}-{}", number + 1) } else { name.to_owned() };
        connections.push(connection(&name, ours, *hub)?);
    }
    Ok(connections)
}

fn connection(name: &str, ours: Option<Object<'_>>, hub: Object<'_>) -> Result<FoundConnection, Refused> {
    let mut found = FoundConnection::new(name.to_owned(), Cloud::Azure);
    let site_bgp = ours.and_then(|ours| ours.object(&["BgpSetting", "bgpSetting"]));
    if let Some(ours) = ours {
        found.local = ours.address(name, &["IPAddress"])?;
    }
    found.asn = site_bgp.and_then(|bgp| bgp.number(&["Asn", "asn"]));
    if let Some(network) = hub.object(&["hubConfiguration"]) {
        let subnets = network.list(&["ConnectedSubnets"]).iter().filter_map(|value| value.as_str());
        found.remote = prefixes(name, network.text(&["AddressSpace"]).into_iter().chain(subnets))?;
        if let Some(region) = network.text(&["Region"]) {
            found.remark(format!("the hub is in {region}"));
        }
    }
    let settings = hub.object(&["connectionConfiguration"]);
    if settings.is_some_and(|settings| settings.is(&["IsBgpEnabled"])) {
        found.routing = Routing::Bgp;
    }
    let gateway = hub.object(&["gatewayConfiguration"]);
    let bgp = gateway.and_then(|gateway| gateway.object(&["BgpSetting"]));
    let inside = site_bgp.map(|bgp| bgp.address(name, &["BgpPeeringAddress"])).transpose()?.flatten();
    for instance in INSTANCES {
        let addresses = gateway.and_then(|gateway| gateway.object(&["IpAddresses"]));
        let Some(peer) = addresses.and_then(|addresses| addresses.text(&[instance])) else { continue };
        let theirs = bgp.and_then(|bgp| bgp.object(&["BgpPeeringAddresses"])?.text(&[instance]));
        found.tunnels.push(FoundTunnel {
            inside: inside.map(IpNet::from),
            peer_inside: theirs.map(|text| address(name, text)).transpose()?,
            peer_asn: bgp.and_then(|bgp| bgp.number(&["Asn"])),
            psk: settings.and_then(|settings| settings.psk(&["PSK"])),
            ..FoundTunnel::to(address(name, peer)?)
        });
    }
    let parameters = settings.and_then(|settings| settings.object(&["IPsecParameters"]));
    policy::apply(&mut found, parameters);
    Ok(found)
}

/// What only this form has.
pub(super) const KEY: &str = "vpnSiteConnections";
/// Both instances of the hub's gateway are active.
const INSTANCES: [&str; 2] = ["Instance0", "Instance1"];

//! The texts for strongSwan and Libreswan: the `conn` sections of ipsec.conf, the lines of ipsec.secrets, and the commands
//! that make the VTIs, all in one prose.

use std::net::IpAddr;

use super::super::super::Refused;
use super::super::super::found::{FoundConnection, FoundTunnel};
use super::super::super::json::{address, psk};
use super::{is_placeholder, our_address};
use ipnet::IpNet;

pub(super) fn read(text: &str, found: &mut FoundConnection) -> Result<(), Refused> {
    let owner = found.name.clone();
    for line in text.lines() {
        let line = line.trim_start_matches([' ', '\t', '!']);
        if let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            match key {
                "leftid" => our_address(found, value)?,
                "right" if !is_placeholder(value) => {
                    found.tunnels.push(FoundTunnel::to(address(&owner, value)?));
                }
                "leftsubnet" => found.advertise.extend(subnets(value)),
                "rightsubnet" => found.remote.extend(subnets(value)),
                "#leftupdown" | "leftupdown" => updown(found, value),
                _ => {}
            }
        } else if let Some((ends, key)) = line.split_once(": PSK ").or_else(|| line.split_once(":PSK ")) {
            secret(found, ends, key);
        }
    }
    found.remote.dedup();
    found.advertise.dedup();
    Ok(())
}

/// The prefixes of a selector that says something: everything is what a route-based tunnel lets through.
fn subnets(value: &str) -> Vec<IpNet> {
    let networks = value.split(',').filter_map(|word| word.trim().parse::<IpNet>().ok());
    networks.filter(|network| network.prefix_len() > 0).collect()
}

/// `OURS THEIRS : PSK "KEY"`.
fn secret(found: &mut FoundConnection, ends: &str, key: &str) {
    let key = key.trim().trim_matches('"');
    let peers: Vec<IpAddr> = ends.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    for tunnel in found.tunnels.iter_mut().filter(|tunnel| peers.contains(&tunnel.peer)) {
        tunnel.psk = psk(key);
    }
}

/// The script of AWS's text has the inside addresses of the section that it stands in: `-ll OURS -lr THEIRS`.
fn updown(found: &mut FoundConnection, script: &str) {
    let words: Vec<&str> = script.split_whitespace().map(|word| word.trim_matches('"')).collect();
    let option = |name: &str| words.windows(2).find_map(|pair| (pair[0] == name).then_some(pair[1]));
    let inside: Option<IpNet> = option("-ll").and_then(|word| word.parse().ok());
    let theirs: Option<IpNet> = option("-lr").and_then(|word| word.parse().ok());
    if let Some(tunnel) = found.tunnels.last_mut() {
        tunnel.inside = inside.or(tunnel.inside);
        tunnel.peer_inside = theirs.map(|link| link.addr()).or(tunnel.peer_inside);
    }
}

//! The text for VyOS and Vyatta: `set …` lines, of which three trees describe a tunnel: the peer, its VTI, its neighbour.

use std::collections::BTreeMap;

use super::super::super::Refused;
use super::super::super::found::{FoundConnection, FoundTunnel};
use super::super::super::json::{address, psk};
use super::our_address;
use crate::config::model::{Psk, Routing};

/// A peer, by its word in the text.
#[derive(Default)]
struct Peer<'a> {
    psk: Option<Psk>,
    vti: Option<&'a str>,
}

pub(super) fn read(text: &str, found: &mut FoundConnection) -> Result<(), Refused> {
    let owner = found.name.clone();
    let (mut peers, mut order) = (BTreeMap::<&str, Peer<'_>>::new(), Vec::new());
    let mut links = BTreeMap::new();
    let mut neighbours = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches('\'')).collect();
        match words.as_slice() {
            ["set", "vpn", "ipsec", "site-to-site", "peer", peer, rest @ ..] => {
                let known = peers.entry(peer).or_insert_with(|| {
                    order.push(*peer);
                    Peer::default()
                });
                match rest {
                    ["authentication", "pre-shared-secret", key] => {
                        known.psk = psk(key);
                    }
                    ["local-address", local] => our_address(found, local)?,
                    ["vti", "bind", vti] => known.vti = Some(vti),
                    _ => {}
                }
            }
            ["set", "interfaces", "vti", vti, "address", inside] => {
                let inside = inside.parse().map_err(|_| Refused::value(&owner, "inside address", inside))?;
                links.insert(*vti, inside);
            }
            // Of VyOS 1.3 and before with our AS number, later without.
            ["set", "protocols", "bgp", rest @ ..] => {
                if let [asn, "neighbor", ..] | ["system-as", asn] = rest {
                    found.asn = asn.parse().ok().or(found.asn);
                }
                if let [_, "neighbor", neighbour, "remote-as", asn]
                | ["neighbor", neighbour, "remote-as", asn] = rest
                {
                    let asn = asn.parse::<u32>().map_err(|_| Refused::value(&owner, "AS number", asn))?;
                    neighbours.insert(address(&owner, neighbour)?, asn);
                }
                if let [.., "timers", "holdtime", seconds] = rest {
                    found.hold_time = seconds.parse().ok();
                }
            }
            _ => {}
        }
    }
    for word in order {
        let Some(Peer { psk, vti }) = peers.remove(word) else { continue };
        let inside: Option<ipnet::IpNet> = vti.and_then(|vti| links.get(vti).copied());
        let neighbour =
            neighbours.iter().find(|(address, _)| inside.is_some_and(|link| link.contains(*address)));
        found.tunnels.push(FoundTunnel {
            inside,
            peer_inside: neighbour.map(|(address, _)| *address),
            peer_asn: neighbour.map(|(_, asn)| *asn),
            psk,
            ..FoundTunnel::to(address(&owner, word)?)
        });
    }
    let by_bgp = !found.tunnels.is_empty() && found.tunnels.iter().all(|tunnel| tunnel.peer_asn.is_some());
    found.routing = if by_bgp { Routing::Bgp } else { Routing::Static };
    Ok(())
}

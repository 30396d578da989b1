//! What two tunnels of one gateway cannot share: peer, device, inside prefix.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::document::Place;

/// What was taken so far, and where.
#[derive(Debug, Default)]
pub(super) struct Taken<'a> {
    peers: HashMap<IpAddr, Place<'a>>,
    interfaces: HashMap<String, Place<'a>>,
    inside: Vec<(IpNet, Place<'a>)>,
}

impl<'a> Taken<'a> {
    /// A peer's outer address: it tells the tunnels apart when the peer starts.
    pub(super) fn peer(&mut self, peer: IpAddr, place: &Place<'a>) -> Option<()> {
        if let Some(first) = self.peers.get(&peer) {
            place.refuse(
                format!("{peer} is the peer of another tunnel already ({}, {})", first.key, first.line()),
                "write the outer address of this tunnel's own endpoint",
            );
            return None;
        }
        self.peers.insert(peer, place.clone());
        Some(())
    }

    /// A device name.
    pub(super) fn interface(&mut self, interface: &str, place: &Place<'a>) -> Option<()> {
        if let Some(first) = self.interfaces.get(interface) {
            place.refuse(
                format!(
                    "the device {interface:?} is another tunnel's already ({}, {})",
                    first.key,
                    first.line()
                ),
                "write interface = \"…\" with a name of its own here or there",
            );
            return None;
        }
        self.interfaces.insert(interface.to_owned(), place.clone());
        Some(())
    }

    /// An inside prefix.
    pub(super) fn inside(&mut self, inside: IpNet, place: &Place<'a>) -> Option<()> {
        let overlaps = |other: &IpNet| other.contains(&inside.network()) || inside.contains(&other.network());
        if let Some((other, first)) = self.inside.iter().find(|(other, _)| overlaps(other)) {
            place.refuse(
                format!("{inside} overlaps {other}, the inside of another tunnel ({}, {})", first.key, first.line()),
                "write the inside addresses that the cloud shows for this tunnel; each tunnel has its own prefix",
            );
            return None;
        }
        self.inside.push((inside, place.clone()));
        Some(())
    }
}

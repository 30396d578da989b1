//! "Download configuration" of a connection, for whichever device: Azure writes the same summary at the head of every text.
//!
//! ```text
//! !   > Public IP addresses:
//! !     + Public IP 1:         198.51.100.21
//! !   > On-premises VPN IP:    203.0.113.10
//! ```
//! Read is that summary, and not the device's own commands below it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::Refused;
use super::super::found::{Found, FoundConnection, FoundTunnel};
use super::super::json::{address, prefixes, psk};
use super::policy;
use crate::config::model::Routing;
use crate::config::presets::Cloud;

/// Reads a text of one connection.
pub(super) fn read(text: &str) -> Result<Found, Refused> {
    let mut summary = Summary::default();
    text.lines().for_each(|line| summary.take(line));
    if summary.peers.is_empty() {
        return Err(Refused::Unknown(super::KNOWN));
    }
    summary.into_found().map(|found| Found::of(vec![found]))
}

/// What the summary says, in its own words.
#[derive(Default)]
struct Summary<'a> {
    /// The list that prefixes belong to.
    list: &'a str,
    name: Option<&'a str>,
    local: Option<&'a str>,
    peers: Vec<&'a str>,
    remote: Vec<&'a str>,
    advertise: Vec<&'a str>,
    key: Option<&'a str>,
    ike: Option<&'a str>,
    group: Option<&'a str>,
    by_bgp: bool,
    peer_asn: Option<&'a str>,
    asn: Option<&'a str>,
    peer_insides: Vec<&'a str>,
    inside: Option<&'a str>,
}

impl<'a> Summary<'a> {
    /// A line of it is a comment of the device's language with `> NAME: VALUE` or `+ NAME: VALUE`.
    fn take(&mut self, line: &'a str) {
        let line = line.trim_start_matches(['!', '#', '/', '*', ' ', '\t']);
        let Some(line) = line.strip_prefix('>').or_else(|| line.strip_prefix('+')) else { return };
        let Some((name, value)) = line.split_once(':') else { return };
        let (name, value) = (name.trim(), value.trim());
        if value.is_empty() {
            self.list = name;
            return;
        }
        match name {
            "Connection name" => self.name = Some(value),
            "On-premises VPN IP" => self.local = Some(value),
            "CIDR" if self.list.starts_with("Virtual network") => self.remote.extend(value.split(',').next()),
            "CIDR" => self.advertise.extend(value.split(',').next()),
            "IKE version" => self.ike = Some(value),
            "Diffie-Hellman group" => self.group = Some(value),
            "Pre-shared key" => self.key = Some(value),
            "Enable BGP" => self.by_bgp = value.eq_ignore_ascii_case("true"),
            "Azure BGP ASN" => self.peer_asn = Some(value),
            "On premises BGP ASN" | "On-premises BGP ASN" => self.asn = Some(value),
            "On premises BGP IP" | "On-premises BGP IP" => self.inside = Some(value),
            _ if name.starts_with("Public IP ") => self.peers.push(value),
            _ if name.starts_with("Azure BGP IP") => self.peer_insides.push(value),
            _ => {}
        }
    }

    fn into_found(self) -> Result<FoundConnection, Refused> {
        let name = self.name.unwrap_or(super::UNNAMED);
        let mut found = FoundConnection::new(name.to_owned(), Cloud::Azure);
        found.local = self.local.map(|text| address(name, text)).transpose()?;
        found.remote = prefixes(name, self.remote)?;
        found.advertise = prefixes(name, self.advertise)?;
        if self.ike.is_some_and(|version| version != "IKEv2") {
            found.conflicts.push(policy::not_ikev2(name));
        }
        if self.group.is_none_or(|group| !SPOKEN.contains(&group)) {
            policy::apply(&mut found, None);
        }
        let (mut insides, mut inside, mut peer_asn) = (Vec::<IpAddr>::new(), None, None);
        if self.by_bgp {
            found.routing = Routing::Bgp;
            let number = |text: &str| text.parse().map_err(|_| Refused::value(name, "AS number", text));
            found.asn = self.asn.map(number).transpose()?;
            peer_asn = self.peer_asn.map(number).transpose()?;
            inside = self.inside.map(|text| address(name, text)).transpose()?.map(IpNet::from);
            insides = self.peer_insides.iter().map(|text| address(name, text)).collect::<Result<_, _>>()?;
        }
        let mut insides = insides.into_iter();
        for peer in self.peers {
            let (peer_inside, psk) = (insides.next(), self.key.and_then(psk));
            let to = FoundTunnel::to(address(name, peer)?);
            found.tunnels.push(FoundTunnel { inside, peer_inside, peer_asn, psk, ..to });
        }
        Ok(found)
    }
}

/// The DH groups that the preset offers, by number.
const SPOKEN: [&str; 2] = ["14", "19"];

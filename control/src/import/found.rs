//! What was found in a file, whichever form it had.

use std::collections::BTreeSet;
use std::net::IpAddr;

use gotthard_ike::codec::payload::id::Identity;
use gotthard_ike::suite::{EspSuite, IkeSuite};
use ipnet::{IpNet, Ipv6Net};

use super::Refused;
use super::emit::{numbered, table_name};
use crate::config::model::{Psk, Routing};
use crate::config::presets::Cloud;

/// What a file describes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Its connections.
    pub connections: Vec<FoundConnection>,
    /// What was left out of it, and why.
    pub remarks: Vec<String>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundConnection {
    /// Its name in the cloud.
    pub name: String,
    /// Whose gateway it is.
    pub cloud: Cloud,
    /// Where the cloud expects routes to come from.
    pub routing: Routing,
    /// Our outer address, as the cloud knows it.
    pub local: Option<IpAddr>,
    /// A NAT has that address, and not this host.
    pub translated: bool,
    /// Our AS number, as the cloud knows it.
    pub asn: Option<u32>,
    /// Prefixes behind us, as the cloud knows them.
    pub advertise: Vec<IpNet>,
    /// Prefixes behind the cloud, where it says so.
    pub remote: Vec<IpNet>,
    /// The hold time in seconds that the cloud proposes.
    pub hold_time: Option<u16>,
    /// Both ends prove themselves with certificates, which no file of the cloud's holds.
    pub certificates: bool,
    /// What to offer, where the cloud is set to something else than our preset.
    pub suites: Vec<IkeSuite>,
    /// The same of phase 2.
    pub esp: Vec<EspSuite>,
    /// Why it cannot come up until the cloud is set otherwise.
    pub conflicts: Vec<Refused>,
    /// What the cloud says of its state, where that is not one that carries traffic.
    pub unused: Option<String>,
    /// The key of tunnels whose endpoints the file does not name.
    pub psk: Option<Psk>,
    /// Its tunnels.
    pub tunnels: Vec<FoundTunnel>,
    /// What a person should know: what was ignored, and what to set in the console.
    pub remarks: Vec<String>,
}

/// One tunnel.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundTunnel {
    /// The outer address of the cloud's endpoint.
    pub peer: IpAddr,
    /// Our address inside with the link's prefix length.
    pub inside: Option<IpNet>,
    /// Our IPv6 address inside, where it has one beside an IPv4 one.
    pub inside6: Option<Ipv6Net>,
    /// The cloud's address inside.
    pub peer_inside: Option<IpAddr>,
    /// The cloud's AS number.
    pub peer_asn: Option<u32>,
    /// The key; the file may leave it out.
    pub psk: Option<Psk>,
    /// What the cloud's end shows itself as, where that is not its outer address.
    pub peer_id: Option<Identity>,
}

impl FoundConnection {
    /// A connection of which nothing but the name is known.
    pub fn new(name: String, cloud: Cloud) -> Self {
        Self {
            name,
            cloud,
            routing: Routing::Static,
            local: None,
            translated: false,
            asn: None,
            advertise: Vec::new(),
            remote: Vec::new(),
            hold_time: None,
            certificates: false,
            suites: Vec::new(),
            esp: Vec::new(),
            conflicts: Vec::new(),
            unused: None,
            psk: None,
            tunnels: Vec::new(),
            remarks: Vec::new(),
        }
    }

    pub(super) fn remark(&mut self, remark: impl Into<String>) {
        let remark = remark.into();
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

impl FoundTunnel {
    /// A tunnel of which nothing but its end is known.
    pub const fn to(peer: IpAddr) -> Self {
        Self {
            peer,
            inside: None,
            inside6: None,
            peer_inside: None,
            peer_asn: None,
            psk: None,
            peer_id: None,
        }
    }
}

impl Found {
    /// Notes which of our outer addresses this host does not have.
    pub fn place(&mut self, has: impl Fn(IpAddr) -> bool) {
        for connection in &mut self.connections {
            connection.translated = connection.local.is_some_and(|local| !has(local));
        }
    }

    pub(super) fn of(connections: Vec<FoundConnection>) -> Self {
        Self { connections, remarks: Vec::new() }
    }

    /// Numbers connections whose names are one in our configuration: it takes fewer characters than the clouds do.
    pub(super) fn told_apart(mut self) -> Self {
        let mut taken = BTreeSet::new();
        for connection in self.connections.iter_mut().filter(|one| one.unused.is_none()) {
            let plain = table_name(&connection.name);
            if taken.insert(plain.clone()) {
                continue;
            }
            let numbered = (2_usize..).map(|number| numbered(&plain, number));
            let Some(name) = numbered.into_iter().find(|name| taken.insert(name.clone())) else { continue };
            connection
                .remark(format!("the cloud calls it {}; {plain} is another's name already", connection.name));
            connection.name = name;
        }
        self
    }

    /// Itself, unless it is more than a gateway takes.
    pub(super) fn bounded(self) -> Result<Self, Refused> {
        if self.connections.len() > MAX_CONNECTIONS {
            return Err(Refused::TooMany("more than 1,000 connections"));
        }
        if self.connections.iter().any(|connection| connection.tunnels.len() > MAX_TUNNELS) {
            return Err(Refused::TooMany("a connection of more than 16 tunnels"));
        }
        let long = |c: &FoundConnection| c.remote.len().max(c.advertise.len()) > MAX_PREFIXES;
        if self.connections.iter().any(long) {
            return Err(Refused::TooMany("more than 1,000 prefixes"));
        }
        for connection in &self.connections {
            let mut keys =
                connection.tunnels.iter().filter_map(|tunnel| tunnel.psk.as_ref()).chain(&connection.psk);
            if keys.any(|key| key.0.len() > MAX_KEY || key.0.iter().any(u8::is_ascii_control)) {
                return Err(Refused::Key { connection: connection.name.clone() });
            }
        }
        Ok(self)
    }
}

const MAX_CONNECTIONS: usize = 1000;
/// AWS has two, Azure and GCP up to four.
const MAX_TUNNELS: usize = 16;
const MAX_PREFIXES: usize = 1000;
/// Octets of a key; the clouds take 64 to 128.
const MAX_KEY: usize = 256;

//! A table `[[connection.NAME.tunnel]]`.

use std::net::IpAddr;

use gotthard_ike::codec::payload::id::Identity;
use ipnet::{IpNet, Ipv6Net};
use zeroize::Zeroizing;

use super::connection::{Auth, Surroundings};
use super::document::{Table, Value};
use super::model::{Psk, Routing, Tunnel, TunnelAuth};
use super::presets::Cloud;
use super::secret::FileKind;
use super::values;

/// Reads all tunnels of a connection; every mistake in them is reported.
pub(super) fn read_all<'a>(
    connection: &Table<'a>,
    cloud: Cloud,
    routing: Option<Routing>,
    auth: &Auth,
    around: &mut Surroundings<'_, 'a>,
) -> Option<Vec<Tunnel>> {
    let remedy = format!(
        "write [[{}.tunnel]] with name, peer, inside and psk_file, once a tunnel",
        connection.place().key
    );
    let value = connection.value("tunnel");
    if value.is_none() {
        connection.missing("tunnel", &remedy);
    }
    let elements = value.as_ref()?.array(&remedy)?;
    if elements.is_empty() {
        return value?.refuse("is empty", remedy);
    }
    let mut tunnels: Vec<Tunnel> = Vec::new();
    let mut whole = true;
    for (index, element) in elements.iter().enumerate() {
        let mut reading = Reading { cloud, routing, auth, around, number: index };
        match element.table(&remedy).and_then(|table| reading.tunnel(table, &tunnels)) {
            Some(tunnel) => tunnels.push(tunnel),
            None => whole = false,
        }
    }
    whole.then_some(tunnels)
}

/// One tunnel being read.
struct Reading<'r, 's, 'a> {
    cloud: Cloud,
    routing: Option<Routing>,
    auth: &'r Auth,
    around: &'r mut Surroundings<'s, 'a>,
    /// Its place in the connection, from 0.
    number: usize,
}

impl<'a> Reading<'_, '_, 'a> {
    fn tunnel(&mut self, table: Table<'a>, before: &[Tunnel]) -> Option<Tunnel> {
        let name = table.require("name", "write name = \"1\"", |value| name(value, before));
        let peer = table.require("peer", PEER_REMEDY, |value| {
            let peer = values::address(value, "198.51.100.11")?;
            self.around.taken.peer(peer, value.place())?;
            self.same_family_as_local(value, peer)
        });
        let inside = self.inside(&table, before);
        let inside6 = self.inside6(&table);
        let peer_inside = peer_inside(&table, inside);
        let peer_asn = self.peer_asn(&table);
        let (auth, local_id) = self.proof(&table);
        let peer_id = table.read("peer_id", identity);
        let interface = self.interface(&table);
        table.finish();
        Some(Tunnel {
            name: name?,
            peer: peer?,
            inside,
            inside6,
            peer_inside,
            peer_asn,
            auth: auth?,
            local_id,
            peer_id: peer_id.or_else(|| peer.map(Identity::from))?,
            interface: interface?,
        })
    }

    fn same_family_as_local(&self, value: &Value<'_>, peer: IpAddr) -> Option<IpAddr> {
        match self.around.gateway.local {
            super::model::Local::Address(local) if local.is_ipv4() != peer.is_ipv4() => value.refuse(
                format!("{peer} and our outer address {local} are not of one family"),
                "write a peer of the family of gateway.local, or local = \"auto\" below [gateway]",
            ),
            super::model::Local::Address(local) if local == peer => {
                value.refuse(format!("{peer} is our own outer address"), PEER_REMEDY)
            }
            super::model::Local::Address(_) | super::model::Local::Auto => Some(peer),
        }
    }

    /// Ours inside the tunnel; BGP cannot do without.
    fn inside(&mut self, table: &Table<'a>, before: &[Tunnel]) -> Option<IpNet> {
        let value = table.value("inside");
        if value.is_none() && self.routing == Some(Routing::Bgp) {
            table.missing("inside", INSIDE_REMEDY);
        }
        let value = value?;
        let inside = values::interface_address(&value, "169.254.10.2/30")?;
        if !is_link(inside) && inside.prefix_len() != inside.max_prefix_len() {
            return value.refuse(format!("a tunnel's link is no /{}", inside.prefix_len()), INSIDE_REMEDY);
        }
        if is_link(inside) && !hosts(inside).contains(&inside.addr()) {
            let [first, second] = hosts(inside);
            return value.refuse(
                format!("{} is no host of {}", inside.addr(), inside.trunc()),
                format!(
                    "write \"{first}/{0}\" or \"{second}/{0}\", whichever the cloud calls yours",
                    inside.prefix_len()
                ),
            );
        }
        // Azure knows us by one BGP address, which both its instances have a session with.
        let is_host = inside.prefix_len() == inside.max_prefix_len();
        if !(is_host && before.iter().any(|tunnel| tunnel.inside == Some(inside))) {
            self.around.taken.inside(inside, value.place())?;
        }
        Some(inside)
    }

    /// Ours in IPv6, where `inside` is IPv4: the next hop of our IPv6 prefixes. The session stays on `inside`, so the
    /// peer's address is of no concern.
    fn inside6(&mut self, table: &Table<'a>) -> Option<Ipv6Net> {
        let value = table.value("inside6")?;
        let inside6 = values::interface_address(&value, "fd00:10::2/126")?;
        match table.value("inside").and_then(|value| values::interface_address(&value, "169.254.10.2/30")) {
            Some(inside) if inside.addr().is_ipv4() => {}
            Some(_) => return value.refuse("is there beside an inside that is IPv6 itself", INSIDE6_REMEDY),
            None => return value.refuse("is there without inside", INSIDE_REMEDY),
        }
        let IpNet::V6(address) = inside6 else {
            return value.refuse(format!("{inside6} is not IPv6"), INSIDE6_REMEDY);
        };
        if !is_host(address) {
            return value.refuse(format!("{address} is no address of a host on a link"), INSIDE6_REMEDY);
        }
        self.around.taken.inside(inside6, value.place())?;
        Some(address)
    }

    fn peer_asn(&self, table: &Table<'_>) -> Option<u32> {
        let value = table.value("peer_asn");
        let asn = match &value {
            Some(value) => values::asn(value),
            None => self.cloud.preset().peer_asn,
        };
        if value.is_none() && asn.is_none() && self.routing == Some(Routing::Bgp) {
            table.missing("peer_asn", "write the AS number of the cloud's router, such as peer_asn = 64512");
        }
        // What a preset fills in is no statement of the operator where no BGP is spoken.
        asn.filter(|_| value.is_some() || self.routing == Some(Routing::Bgp))
    }

    /// What we prove ourselves with, and as whom.
    fn proof(&self, table: &Table<'_>) -> (Option<TunnelAuth>, Option<Identity>) {
        let local_id = table.value("local_id").and_then(|value| Some((identity(&value)?, value)));
        match self.auth {
            Auth::Psk => (self.psk(table).map(TunnelAuth::Psk), local_id.map(|(identity, _)| identity)),
            Auth::Certificates(certificates) => {
                for value in ["psk", "psk_file"].into_iter().filter_map(|key| table.value(key)) {
                    value.refuse::<()>(
                        "is there beside auth = \"cert\"",
                        "remove it, or write auth = \"psk\" at the connection",
                    );
                }
                let Some(certificates) = certificates else { return (None, None) };
                let local_id = certificates.local_id(local_id, table);
                (Some(TunnelAuth::Certificates(certificates.clone())), local_id)
            }
        }
    }

    /// Exactly one of `psk` and `psk_file`.
    fn psk(&self, table: &Table<'_>) -> Option<Psk> {
        let (text, file) = (table.value("psk"), table.value("psk_file"));
        let (value, secret) = match (&text, &file) {
            (None, None) => {
                table.missing("psk_file", PSK_REMEDY);
                return None;
            }
            (Some(_), Some(file)) => return file.refuse("is there beside psk", "remove one of the two"),
            (Some(text), None) => (text, Zeroizing::new(text.string(PSK_REMEDY)?.as_bytes().to_vec())),
            (None, Some(file)) => {
                match self.around.secrets.read(
                    file.place().file(),
                    file.string(PSK_REMEDY)?,
                    FileKind::PresharedKey,
                ) {
                    Ok(secret) => (file, secret),
                    Err(error) => return file.refuse(error.problem, error.remedy),
                }
            }
        };
        if secret.is_empty() {
            return value
                .refuse("the pre-shared key is empty", "write the key that the cloud's console shows");
        }
        if secret.len() > MAX_PSK {
            return value.refuse(
                format!("the pre-shared key is longer than {MAX_PSK} octets"),
                "write the key that the cloud's console shows",
            );
        }
        Some(Psk(secret))
    }

    /// The device's name; by default it counts over all tunnels of all files.
    fn interface(&mut self, table: &Table<'a>) -> Option<String> {
        let value = table.value("interface");
        let (interface, place) = match &value {
            Some(value) => (values::interface(value)?, value.place()),
            None => (format!("gth{}", self.around.tunnels_before + self.number), table.place()),
        };
        self.around.taken.interface(&interface, place)?;
        Some(interface)
    }
}

fn name(value: &Value<'_>, before: &[Tunnel]) -> Option<String> {
    let name = value.string("write a string in quotes, such as name = \"1\"")?;
    if !values::is_name(name) {
        return value.refuse(format!("{} cannot name a tunnel", values::shown(name)), values::NAME_RULE);
    }
    if before.iter().any(|tunnel| tunnel.name == name) {
        return value.refuse(
            format!("{name:?} names another tunnel of this connection already"),
            "write a name of its own",
        );
    }
    Some(name.to_owned())
}

fn identity(value: &Value<'_>) -> Option<Identity> {
    let remedy = "write an address, a name, user@name, keyid:TEXT or keyid:0xHEX";
    let written = value.string(remedy)?;
    match written.parse() {
        Ok(identity) if written.len() <= MAX_IDENTITY => Some(identity),
        _ => value.refuse(format!("{} is no identity", values::shown(written)), remedy),
    }
}

/// The peer's address inside: the other host of the link, or, where ours is a single address, what is written.
fn peer_inside(table: &Table<'_>, inside: Option<IpNet>) -> Option<IpAddr> {
    let value = table.value("peer_inside");
    let written = match &value {
        Some(value) => Some((value, values::address(value, "169.254.10.1")?)),
        None => None,
    };
    match (written, inside) {
        (Some((value, _)), None) if table.value("inside").is_none() => {
            value.refuse("is there without inside", INSIDE_REMEDY)
        }
        (Some((value, peer)), Some(ours))
            if peer == ours.addr() || peer.is_ipv4() != ours.addr().is_ipv4() =>
        {
            value.refuse(
                format!("{peer} cannot be the other end of {ours}"),
                "write the address that the cloud calls its own inside address",
            )
        }
        (Some((value, peer)), Some(ours)) if is_link(ours) && !hosts(ours).contains(&peer) => value.refuse(
            format!("{peer} is not on the link {}", ours.trunc()),
            format!("write the other host of {}, or remove the key", ours.trunc()),
        ),
        (Some((_, peer)), _) => Some(peer),
        (None, Some(ours)) if is_link(ours) => hosts(ours).into_iter().find(|&host| host != ours.addr()),
        (None, _) => None,
    }
}

/// A prefix with two hosts: /30 or /31, IPv6 /126 or /127.
fn is_link(inside: IpNet) -> bool {
    (1..=2).contains(&(inside.max_prefix_len() - inside.prefix_len()))
}

/// An address that a peer can send to beyond its own link, in a network of a link's size. The first address of a network
/// is that of its routers (RFC 4291 §2.6.1), but of two alone (RFC 6164).
fn is_host(address: Ipv6Net) -> bool {
    let (host, length) = (address.addr(), address.prefix_len());
    let never =
        host.is_unicast_link_local() || host.is_multicast() || host.is_loopback() || host.is_unspecified();
    !never && length >= SHORTEST_LINK && (length >= 127 || host != address.network())
}

/// The two hosts of a link (RFC 3021, RFC 6164).
fn hosts(inside: IpNet) -> [IpAddr; 2] {
    let first = u8::from(inside.max_prefix_len() - inside.prefix_len() == 2);
    match inside.network() {
        IpAddr::V4(network) => {
            let host = |offset: u8| IpAddr::V4((u32::from(network) | u32::from(offset)).into());
            [host(first), host(first + 1)]
        }
        IpAddr::V6(network) => {
            let host = |offset: u8| IpAddr::V6((u128::from(network) | u128::from(offset)).into());
            [host(first), host(first + 1)]
        }
    }
}

const PEER_REMEDY: &str = "write the outer address of the cloud's endpoint: peer = \"198.51.100.11\"";
const INSIDE_REMEDY: &str =
    "write our inside address with its /30 or /31 (IPv6: /126 or /127): inside = \"169.254.10.2/30\"";
const PSK_REMEDY: &str = "write psk_file = \"FILE\" (a file of mode 0640 or less) or psk = \"…\"";
const INSIDE6_REMEDY: &str = "write our IPv6 address in the tunnel beside an IPv4 inside, with its length: inside6 = \"fd00:10::2/126\"";
/// The widest network of a link (RFC 4291 §2.5.1).
const SHORTEST_LINK: u8 = 64;
/// Longest pre-shared key in octets; the clouds take 64 to 128.
const MAX_PSK: usize = 256;
/// Longest identity in octets.
const MAX_IDENTITY: usize = 255;

//! What a routing daemon beside us needs to know of our tunnels.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::bgp::guard::{self, Site};
use crate::bgp::policy::{CommunityRule, Filter, Import, LOCAL_PREF, PrefixRule};
use crate::config::Config;
use crate::config::bgp::Policy;
use crate::config::model::{Connection, Tunnel};

/// The sessions, and what all of them share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Our AS number.
    pub asn: u32,
    /// An IPv4 address of ours, where there is one.
    pub router_id: Option<Ipv4Addr>,
    /// Prefixes that we offer in one session at least.
    pub advertise: Vec<IpNet>,
    /// The sessions, those of a connection together.
    pub peers: Vec<Peer>,
}

/// A session through one tunnel. It carries prefixes of the family of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Name of the connection.
    pub connection: String,
    /// Name of the tunnel.
    pub tunnel: String,
    /// Name of the TUN device.
    pub interface: String,
    /// Our inside address.
    pub ours: IpAddr,
    /// The peer's inside address.
    pub theirs: IpAddr,
    /// The peer is on the link of the device; else there is a host route to it.
    pub on_link: bool,
    /// The peer's AS number.
    pub asn: u32,
    /// Keepalive and hold time (RFC 4271 §4.2).
    pub timers: (Duration, Duration),
    /// Prefixes that are taken at most.
    pub max_prefixes: usize,
    /// How much its paths are preferred.
    pub local_pref: u32,
    /// Which prefixes are taken: the first rule that matches decides.
    pub import: Vec<PrefixRule>,
    /// What communities change of them: the first rule that matches.
    pub communities: Vec<CommunityRule>,
    /// Prefixes that we offer in this session.
    pub offer: Vec<IpNet>,
}

/// Why there is nothing to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such connection.
    #[error(
        "there is no connection {0}\n  remedy: `gotthard check` names the file, `gotthard status` the connections"
    )]
    Unknown(String),
    /// Of the connections none speaks BGP.
    #[error(
        "there is no connection with routing = \"external\" or \"bgp\"\n  remedy: write routing = \"external\" at the connection"
    )]
    NoBgp,
    /// Something that a session cannot do without is not configured.
    #[error("{place}: {key} is missing\n  remedy: {remedy}")]
    Missing {
        /// The connection or tunnel.
        place: String,
        /// What is missing.
        key: &'static str,
        /// What to write.
        remedy: &'static str,
    },
}

/// Plans the sessions of all connections that are not static, or of the named one.
pub fn plan(config: &Config, wanted: Option<&str>) -> Result<Plan, Refused> {
    let named = |connection: &&Connection| wanted.is_none_or(|name| connection.name == name);
    let known: Vec<&Connection> = config.connections.iter().filter(named).collect();
    if let (Some(name), true) = (wanted, known.is_empty()) {
        return Err(Refused::Unknown(name.to_owned()));
    }
    let mut peers = Vec::new();
    for connection in known {
        let Some(policy) = &connection.policy else { continue };
        for tunnel in &connection.tunnels {
            peers.push(peer(config, connection, policy, tunnel)?);
        }
    }
    if peers.is_empty() {
        return Err(Refused::NoBgp);
    }
    let asn = config.gateway.asn.ok_or(Refused::Missing {
        place: "gateway".to_owned(),
        key: "asn",
        remedy: "write asn = 65010 (your own) below [gateway]",
    })?;
    let offered = |prefix: &&IpNet| peers.iter().any(|peer| peer.offer.contains(prefix));
    let advertise = config.gateway.advertise.iter().filter(offered).copied().collect();
    Ok(Plan { asn, router_id: config.router_id(), advertise, peers })
}

fn peer(config: &Config, connection: &Connection, policy: &Policy, tunnel: &Tunnel) -> Result<Peer, Refused> {
    let missing =
        |key, remedy| Refused::Missing { place: format!("{}/{}", connection.name, tunnel.name), key, remedy };
    let inside = tunnel.inside.ok_or_else(|| {
        missing("inside", "write our inside address with its /30: inside = \"169.254.10.2/30\"")
    })?;
    let theirs = tunnel.peer_inside.ok_or_else(|| {
        missing("peer_inside", "write the peer's inside address: peer_inside = \"169.254.10.1\"")
    })?;
    let asn = tunnel
        .peer_asn
        .or(connection.cloud.preset().peer_asn)
        .ok_or_else(|| missing("peer_asn", "write the AS number of the cloud's router: peer_asn = 64512"))?;
    Ok(Peer {
        connection: connection.name.clone(),
        tunnel: tunnel.name.clone(),
        interface: tunnel.interface.clone(),
        ours: inside.addr(),
        theirs,
        on_link: inside.contains(&theirs),
        asn,
        timers: timers(policy.hold_time),
        max_prefixes: policy.max_prefixes,
        local_pref: policy.import.local_pref.unwrap_or(LOCAL_PREF),
        import: rules(config, &policy.import, inside.addr()),
        communities: policy.import.communities.clone(),
        offer: offer(config, policy, inside.addr()),
    })
}

/// A KEEPALIVE every third of the hold time (RFC 4271 §10), as the embedded speaker sends them.
fn timers(hold_time: u16) -> (Duration, Duration) {
    let hold = Duration::from_secs(hold_time.into());
    (Duration::from_secs((hold_time / 3).into()), hold)
}

/// What of our prefixes the policy lets out, of the family that the session carries.
fn offer(config: &Config, policy: &Policy, ours: IpAddr) -> Vec<IpNet> {
    let offers = policy.export.offers(&config.gateway.advertise).into_iter();
    let permitted = offers.filter_map(|(prefix, verdict)| verdict.is_ok().then_some(prefix));
    permitted.filter(|prefix| prefix.addr().is_ipv4() == ours.is_ipv4()).collect()
}

/// The guards of the embedded speaker as a list, and behind them what the operator's own lets in.
fn rules(config: &Config, import: &Import, ours: IpAddr) -> Vec<PrefixRule> {
    let everything = |address: IpAddr| match address {
        IpAddr::V4(_) => IpNet::from(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => IpNet::from(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
    };
    let all = everything(ours);
    let deny = |net: IpNet, longest: u8| PrefixRule {
        permit: false,
        within: net.trunc(),
        lengths: net.prefix_len()..=longest,
    };
    let within = |net: IpNet| deny(net, net.max_prefix_len());
    let Site { networks, insides, outer, .. } = config.site();
    let mut rules: Vec<PrefixRule> = guard::martians().map(within).collect();
    if !import.default_route {
        rules.insert(0, deny(all, guard::NARROWEST_DEFAULT - 1));
    }
    rules.extend(networks.into_iter().chain(insides).chain(outer.into_iter().map(IpNet::from)).map(within));
    rules.retain(|rule| rule.within.addr().is_ipv4() == ours.is_ipv4());
    let mut seen: Vec<PrefixRule> = Vec::new();
    for rule in rules {
        let covered = |wider: &PrefixRule| {
            wider.within.contains(&rule.within) && wider.lengths.end() >= rule.lengths.end()
        };
        if !seen.iter().any(covered) {
            seen.push(rule);
        }
    }
    match &import.filter {
        Filter::Nothing => {}
        Filter::Guarded => {
            seen.push(PrefixRule { permit: true, within: all, lengths: 0..=all.max_prefix_len() });
        }
        Filter::Listed(list) => {
            let of_family = list.0.iter().filter(|rule| rule.within.addr().is_ipv4() == ours.is_ipv4());
            seen.extend(of_family.cloned());
        }
    }
    seen
}

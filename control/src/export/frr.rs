//! The plan for FRRouting's `bgpd`, as `vtysh` reads it.

use core::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use super::plan::{Peer, Plan};
use super::word;
use crate::bgp::policy::{Action, CommunityPattern, CommunityRule, PrefixRule};

/// Writes the prefix lists, the route maps and the neighbours.
pub fn frr(plan: &Plan) -> String {
    let mut out = String::from(HEADER);
    for peer in &plan.peers {
        let keyword = keyword(peer.ours);
        let [incoming, outgoing] = [IN, OUT].map(|way| name(peer, way));
        prefix_list(&mut out, keyword, &incoming, &peer.import);
        import(&mut out, keyword, &incoming, peer);
        prefix_list(&mut out, keyword, &outgoing, &offered(peer));
        route_map(
            &mut out,
            &Entry { name: &outgoing, place: 1, verb: PERMIT, prefixes: Some(keyword), ..Entry::default() },
        );
    }
    bgp(&mut out, plan);
    out
}

/// What leaves; a list without a rule would permit everything.
fn offered(peer: &Peer) -> Vec<PrefixRule> {
    let alone = |prefix: &IpNet| {
        let length = prefix.prefix_len();
        PrefixRule { permit: true, within: *prefix, lengths: length..=length }
    };
    let mut rules: Vec<PrefixRule> = peer.offer.iter().map(alone).collect();
    if rules.is_empty() {
        let all = if peer.ours.is_ipv4() { ALL_V4 } else { ALL_V6 };
        rules.extend(all.parse().into_iter().map(|within: IpNet| PrefixRule {
            permit: false,
            within,
            lengths: 0..=within.max_prefix_len(),
        }));
    }
    rules
}

// Writing to a String cannot fail, here and below.

fn prefix_list(out: &mut String, keyword: &str, name: &str, rules: &[PrefixRule]) {
    for (index, rule) in rules.iter().enumerate() {
        let (sequence, length) = ((index + 1) * STEP, rule.within.prefix_len());
        let verb = if rule.permit { PERMIT } else { DENY };
        let _ = write!(out, "{keyword} prefix-list {name} seq {sequence} {verb} {}", rule.within);
        let (least, most) = (*rule.lengths.start(), *rule.lengths.end());
        if least > length {
            let _ = write!(out, " ge {least}");
        }
        if most > length {
            let _ = write!(out, " le {most}");
        }
        out.push('\n');
    }
    out.push_str("!\n");
}

/// The communities' rules, and behind them what has none of these.
fn import(out: &mut String, keyword: &str, name: &str, peer: &Peer) {
    let mut place = 0;
    for CommunityRule { pattern, action } in &peer.communities {
        for (kind, list) in community_lists(*pattern) {
            place += 1;
            let _ =
                writeln!(out, "bgp {kind}-list {} {name}-{place} seq {STEP} permit {}", list.kind, list.text);
            let community = Some(kind);
            let entry = match action {
                Action::Refuse => Entry { name, place, verb: DENY, community, ..Entry::default() },
                Action::LocalPref(preference) => {
                    let local_pref = Some(*preference);
                    Entry { name, place, verb: PERMIT, prefixes: Some(keyword), community, local_pref }
                }
            };
            route_map(out, &entry);
        }
    }
    let (place, local_pref) = (place + 1, Some(peer.local_pref));
    route_map(
        out,
        &Entry { name, place, verb: PERMIT, prefixes: Some(keyword), local_pref, community: None },
    );
}

/// The text of a community list, and whether it is a pattern.
struct List {
    kind: &'static str,
    text: String,
}

/// What a pattern matches, by kind of community. A list that names a community matches routes that have others too.
fn community_lists(pattern: CommunityPattern) -> Vec<(&'static str, List)> {
    let exact = |text| List { kind: "standard", text };
    // An underscore is the beginning, the end or what is between two communities.
    let pattern_of = |text| List { kind: "expanded", text };
    match pattern {
        CommunityPattern::Standard { asn, value: Some(value) } => {
            vec![(STANDARD, exact(format!("{asn}:{value}")))]
        }
        CommunityPattern::Standard { asn, value: None } => vec![
            (STANDARD, pattern_of(format!("_{asn}:[0-9]+_"))),
            (LARGE, pattern_of(format!("_{asn}:[0-9]+:[0-9]+_"))),
        ],
        CommunityPattern::Large { global, local1, local2: Some(local2) } => {
            vec![(LARGE, exact(format!("{global}:{local1}:{local2}")))]
        }
        CommunityPattern::Large { global, local1, local2: None } => {
            vec![(LARGE, pattern_of(format!("_{global}:{local1}:[0-9]+_")))]
        }
    }
}

/// An entry of a route map; its lists have the map's name, those of communities with the entry's place behind it.
#[derive(Default)]
struct Entry<'e> {
    name: &'e str,
    /// From 1 on.
    place: usize,
    verb: &'static str,
    /// The address family of the prefix list that must match.
    prefixes: Option<&'e str>,
    /// The kind of the community list that must match.
    community: Option<&'static str>,
    local_pref: Option<u32>,
}

fn route_map(out: &mut String, entry: &Entry<'_>) {
    let Entry { name, place, verb, prefixes, community, local_pref } = entry;
    let _ = writeln!(out, "route-map {name} {verb} {}", place * STEP);
    if let Some(keyword) = prefixes {
        let _ = writeln!(out, " match {keyword} address prefix-list {name}");
    }
    if let Some(kind) = community {
        let _ = writeln!(out, " match {kind} {name}-{place}");
    }
    if let Some(preference) = local_pref {
        let _ = writeln!(out, " set local-preference {preference}");
    }
    out.push_str("exit\n!\n");
}

fn bgp(out: &mut String, plan: &Plan) {
    let _ = writeln!(out, "router bgp {}", plan.asn);
    if let Some(id) = plan.router_id {
        let _ = writeln!(out, " bgp router-id {id}");
    }
    // What we offer is offered whether or not the host has a route for exactly that prefix, as our own speaker does.
    out.push_str(" bgp deterministic-med\n no bgp network import-check\n");
    for peer in &plan.peers {
        neighbour(out, peer);
    }
    for (family, v4) in [("ipv4", true), ("ipv6", false)] {
        if plan.peers.iter().any(|peer| peer.ours.is_ipv4() == v4) {
            address_family(out, plan, family, v4);
        }
    }
    out.push_str("exit\n");
}

fn neighbour(out: &mut String, peer: &Peer) {
    let Peer { theirs, ours, asn, timers: (keepalive, hold), .. } = peer;
    let (keepalive, hold) = (keepalive.as_secs(), hold.as_secs());
    let mut line = |text: &str| {
        let _ = writeln!(out, " neighbor {theirs} {text}");
    };
    line(&format!("remote-as {asn}"));
    line(&format!(
        "description {}/{} through {}",
        word(&peer.connection),
        word(&peer.tunnel),
        word(&peer.interface)
    ));
    line(&format!("update-source {ours}"));
    line(&format!("timers {keepalive} {hold}"));
    line(&format!("timers connect {CONNECT_RETRY}"));
    if !peer.on_link {
        line("ebgp-multihop 2");
    }
}

fn address_family(out: &mut String, plan: &Plan, family: &str, v4: bool) {
    let _ = writeln!(out, " address-family {family} unicast");
    for prefix in plan.advertise.iter().filter(|prefix| prefix.addr().is_ipv4() == v4) {
        let _ = writeln!(out, "  network {prefix}");
    }
    for peer in &plan.peers {
        let theirs = peer.theirs;
        if peer.ours.is_ipv4() != v4 {
            // FRR activates IPv4 for every neighbour.
            let _ = writeln!(out, "  no neighbor {theirs} activate");
            continue;
        }
        let _ = writeln!(out, "  neighbor {theirs} activate");
        let _ = writeln!(out, "  neighbor {theirs} soft-reconfiguration inbound");
        let _ = writeln!(out, "  neighbor {theirs} route-map {} in", name(peer, IN));
        let _ = writeln!(out, "  neighbor {theirs} route-map {} out", name(peer, OUT));
        let _ = writeln!(out, "  neighbor {theirs} maximum-prefix {} restart 5", peer.max_prefixes);
    }
    out.push_str(" exit-address-family\n");
}

fn name(peer: &Peer, way: &str) -> String {
    format!("GOTTHARD-{}-{}-{way}", word(&peer.connection), word(&peer.tunnel))
}

const fn keyword(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ipv6" }
}

const IN: &str = "IN";
const OUT: &str = "OUT";
const PERMIT: &str = "permit";
const DENY: &str = "deny";
const STANDARD: &str = "community";
const LARGE: &str = "large-community";
const ALL_V4: &str = "0.0.0.0/0";
const ALL_V6: &str = "::/0";
/// Between two rules, so that an operator can put his own there.
const STEP: usize = 10;
/// Seconds between two attempts: FRR's own 120 are longer than an outage.
const CONNECT_RETRY: u32 = 5;

const HEADER: &str = "\
! BGP through gotthard's tunnels, for FRRouting (bgpd=yes in /etc/frr/daemons).
! The tunnels are devices that gotthard keeps: their carrier is off while a tunnel is dead, and zebra, whose
! link-detect is on by default, takes routes and sessions off them at once.
! A password is not written here: neighbor ADDRESS password SECRET.
!
";

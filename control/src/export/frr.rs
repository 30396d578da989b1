//! The plan for FRRouting's `bgpd`, as `vtysh` reads it.

use core::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use super::plan::{Peer, Plan};
use super::word;
use crate::bgp::policy::PrefixRule;

/// Writes the prefix lists, the route maps and the neighbours.
pub fn frr(plan: &Plan) -> String {
    let mut out = String::from(HEADER);
    let out_v4 = offered(plan, true);
    let out_v6 = offered(plan, false);
    for (keyword, rules) in [("ip", &out_v4), ("ipv6", &out_v6)] {
        prefix_list(&mut out, keyword, OUT, rules);
    }
    route_map(&mut out, OUT, &["ip", "ipv6"], None);
    for peer in &plan.peers {
        let name = import_name(peer);
        let keyword = keyword(peer.ours);
        prefix_list(&mut out, keyword, &name, &peer.import);
        route_map(&mut out, &name, &[keyword], Some(peer.local_pref));
    }
    bgp(&mut out, plan);
    out
}

/// What leaves of a family; a list without a rule would permit everything.
fn offered(plan: &Plan, v4: bool) -> Vec<PrefixRule> {
    let ours = plan.advertise.iter().filter(|prefix| prefix.addr().is_ipv4() == v4);
    let alone = |prefix: &IpNet| {
        let length = prefix.prefix_len();
        PrefixRule { permit: true, within: *prefix, lengths: length..=length }
    };
    let mut rules: Vec<PrefixRule> = ours.map(alone).collect();
    if rules.is_empty() {
        let all = if v4 { ALL_V4 } else { ALL_V6 };
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
        let verb = if rule.permit { "permit" } else { "deny" };
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

fn route_map(out: &mut String, name: &str, keywords: &[&str], local_pref: Option<u32>) {
    for (index, keyword) in keywords.iter().enumerate() {
        let _ = writeln!(out, "route-map {name} permit {}", (index + 1) * STEP);
        let _ = writeln!(out, " match {keyword} address prefix-list {name}");
        if let Some(preference) = local_pref {
            let _ = writeln!(out, " set local-preference {preference}");
        }
        out.push_str("exit\n!\n");
    }
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
        let _ = writeln!(out, "  neighbor {theirs} route-map {} in", import_name(peer));
        let _ = writeln!(out, "  neighbor {theirs} route-map {OUT} out");
        let _ = writeln!(out, "  neighbor {theirs} maximum-prefix {} restart 5", peer.max_prefixes);
    }
    out.push_str(" exit-address-family\n");
}

fn import_name(peer: &Peer) -> String {
    format!("GOTTHARD-{}-{}-IN", word(&peer.connection), word(&peer.tunnel))
}

const fn keyword(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ipv6" }
}

const OUT: &str = "GOTTHARD-OUT";
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

//! The plan for BIRD 2, as a file that `bird.conf` includes.

use core::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use super::plan::{Peer, Plan};
use super::word;
use crate::bgp::policy::{Action, CommunityPattern, CommunityRule, PrefixRule};

/// Writes the static routes, the filters and the neighbours.
pub fn bird(plan: &Plan) -> String {
    let mut out = header(plan);
    for family in FAMILIES.iter().filter(|family| plan.peers.iter().any(|peer| family.is_of(peer.ours))) {
        offers(&mut out, plan, family);
    }
    for peer in &plan.peers {
        import(&mut out, peer);
        export(&mut out, peer);
        if !peer.on_link {
            way_to_peer(&mut out, peer);
        }
        session(&mut out, plan, peer);
    }
    out
}

// Writing to a String cannot fail, here and below.

/// What `bird.conf` needs once, and may have already.
fn header(plan: &Plan) -> String {
    let mut out = String::from(
        "# BGP through gotthard's tunnels, for BIRD 2. The tunnels are devices that gotthard keeps: their carrier is off\n\
         # while a tunnel is dead, and `check link` ends session and routes at once.\n\
         # A password is not written here: password \"SECRET\"; in the protocol.\n\
         # bird.conf needs these once, before this file is included:\n#\n",
    );
    if let Some(id) = plan.router_id {
        let _ = writeln!(out, "#   router id {id};");
    }
    out.push_str("#   protocol device { }\n");
    for family in &FAMILIES {
        let _ = writeln!(
            out,
            "#   protocol kernel {{ {} {{ import none; export where source = RTS_BGP; }}; merge paths on; }}",
            family.channel
        );
    }
    out
}

/// What we offer: routes that lead nowhere here, because the host has its own.
fn offers(out: &mut String, plan: &Plan, family: &Family) {
    let Family { channel, digit, .. } = family;
    let prefixes = plan.advertise.iter().filter(|prefix| family.is_of(prefix.addr()));
    let _ = writeln!(out, "\nprotocol static gotthard_offer{digit} {{\n  {channel};");
    for prefix in prefixes {
        let _ = writeln!(out, "  route {prefix} unreachable;");
    }
    out.push_str("}\n");
}

fn import(out: &mut String, peer: &Peer) {
    let _ = writeln!(out, "\nfilter {} {{\n  bgp_local_pref = {};", name(peer, "_in"), peer.local_pref);
    let mut otherwise = "";
    for CommunityRule { pattern, action } in &peer.communities {
        let verdict = match action {
            Action::Refuse => "reject;".to_owned(),
            Action::LocalPref(preference) => format!("bgp_local_pref = {preference};"),
        };
        let _ = writeln!(out, "  {otherwise}if {} then {verdict}", matches(*pattern));
        otherwise = "else ";
    }
    for PrefixRule { permit, within, lengths } in &peer.import {
        let verdict = if *permit { "accept;" } else { "reject;" };
        let (least, most) = (lengths.start(), lengths.end());
        let _ = writeln!(out, "  if net ~ [ {within}{{{least},{most}}} ] then {verdict}");
    }
    out.push_str("  reject;\n}\n");
}

/// The condition of a community rule.
fn matches(pattern: CommunityPattern) -> String {
    match pattern {
        CommunityPattern::Standard { asn, value: Some(value) } => format!("({asn}, {value}) ~ bgp_community"),
        CommunityPattern::Standard { asn, value: None } => {
            format!("bgp_community ~ [({asn}, *)] || bgp_large_community ~ [({asn}, *, *)]")
        }
        CommunityPattern::Large { global, local1, local2: Some(local2) } => {
            format!("({global}, {local1}, {local2}) ~ bgp_large_community")
        }
        CommunityPattern::Large { global, local1, local2: None } => {
            format!("bgp_large_community ~ [({global}, {local1}, *)]")
        }
    }
}

fn export(out: &mut String, peer: &Peer) {
    let _ = writeln!(out, "\nfilter {} {{", name(peer, "_out"));
    if !peer.offer.is_empty() {
        let listed: Vec<String> = peer.offer.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "  if net ~ [ {} ] then accept;", listed.join(", "));
    }
    out.push_str("  reject;\n}\n");
}

/// BIRD does not see our host route to a peer that is on no connected network.
fn way_to_peer(out: &mut String, peer: &Peer) {
    let host = IpNet::from(peer.theirs);
    let _ = writeln!(
        out,
        "\nprotocol static {} {{\n  {};\n  check link on;\n  route {host} via \"{}\";\n}}",
        name(peer, "_peer"),
        Family::of(peer.ours).channel,
        word(&peer.interface)
    );
}

fn session(out: &mut String, plan: &Plan, peer: &Peer) {
    let Peer { ours, theirs, asn, timers: (keepalive, hold), max_prefixes, .. } = peer;
    let family = Family::of(*ours);
    let (keepalive, hold) = (keepalive.as_secs(), hold.as_secs());
    let link = if peer.on_link { "direct;\n  check link on" } else { "multihop 2" };
    let _ = write!(
        out,
        "\nprotocol bgp {} {{\n  description \"{}/{} through {}\";\n  local {ours} as {};\n  neighbor {theirs} as {asn};\n  \
         {link};\n  hold time {hold};\n  keepalive time {keepalive};\n  connect retry time {RETRY};\n  \
         error wait time {RETRY}, {LONGEST_WAIT};\n  {} {{\n    import filter {};\n    export filter {};\n    \
         import limit {max_prefixes} action block;\n  }};\n}}\n",
        name(peer, ""),
        word(&peer.connection),
        word(&peer.tunnel),
        word(&peer.interface),
        plan.asn,
        family.channel,
        name(peer, "_in"),
        name(peer, "_out"),
    );
}

/// The symbol of a session's part. BIRD takes `-` and `.` in symbols between apostrophes.
fn name(peer: &Peer, part: &str) -> String {
    format!("'gotthard_{}.{}{part}'", word(&peer.connection), word(&peer.tunnel))
}

/// IPv4 or IPv6.
struct Family {
    v4: bool,
    channel: &'static str,
    digit: u8,
}

impl Family {
    const fn of(address: IpAddr) -> &'static Self {
        let [v4, v6] = &FAMILIES;
        if address.is_ipv4() { v4 } else { v6 }
    }

    const fn is_of(&self, address: IpAddr) -> bool {
        self.v4 == address.is_ipv4()
    }
}

static FAMILIES: [Family; 2] =
    [Family { v4: true, channel: "ipv4", digit: 4 }, Family { v4: false, channel: "ipv6", digit: 6 }];
/// Seconds between two attempts: BIRD's own 120 are longer than an outage.
const RETRY: u32 = 5;
/// Seconds between two attempts after many failures.
const LONGEST_WAIT: u32 = 60;

//! The way between the gateways, and what is behind them.

use gotthard_ike::config::Encapsulation;

use crate::api::status::{NatStatus, Status};
use crate::config::Config;
use crate::doctor::Finding;
use crate::doctor::facts::{Facts, Reach};
use crate::doctor::judge::ruleset::{self, Hook};

/// Rules are a language of their own: what looks as if it dropped ours is a hint.
pub(super) fn firewall(config: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "firewall";
    let Some(text) = &facts.ruleset else {
        return Finding::unknown(CHECK, "neither `nft list ruleset` nor `iptables-save` can be run here");
    };
    let chains = ruleset::closed_chains(text);
    let esp = config.connections.iter().any(|connection| connection.encapsulation != Encapsulation::Udp);
    let deaf = |hook| {
        chains.iter().find(|chain| chain.hook == hook && !(chain.names_ike() && (!esp || chain.names_esp())))
    };
    let protocols = if esp { "UDP 500 and 4500 and protocol ESP" } else { "UDP 500 and 4500" };
    let fix = |chain: &str| format!("let {protocols} of the peers pass in the chain `{chain}`");
    match (deaf(Hook::Input), deaf(Hook::Output)) {
        (Some(input), None) => Finding::warning(
            CHECK,
            format!(
                "what comes in is dropped unless a rule permits it, and none names {protocols}: ours leaves, \
                 and only answers come in"
            ),
            fix(&input.name),
        ),
        (None, Some(output)) => Finding::warning(
            CHECK,
            format!(
                "what leaves is dropped unless a rule permits it, and none names {protocols}: the peer's \
                 comes in, and ours does not leave"
            ),
            fix(&output.name),
        ),
        (Some(input), Some(_)) => Finding::warning(
            CHECK,
            format!("all is dropped unless a rule permits it, and none names {protocols}"),
            fix(&format!("{}` and the one of what leaves, `output", input.name)),
        ),
        (None, None) => forwarded(config, &chains),
    }
}

fn forwarded(config: &Config, chains: &[ruleset::Chain]) -> Finding {
    const CHECK: &str = "firewall";
    let named = |chain: &&ruleset::Chain| {
        config.tunnels().any(|(_, tunnel)| chain.names(&tunnel.interface)) || chain.names(DEVICES)
    };
    match chains.iter().find(|chain| chain.hook == Hook::Forward && !named(chain)) {
        Some(chain) => Finding::warning(
            CHECK,
            "what is forwarded is dropped unless a rule permits it, and none names a device of ours",
            format!(
                "let pass what comes from and goes to the tunnels' devices in the chain `{}`",
                chain.name
            ),
        ),
        None => Finding::ok(CHECK, "no rule that looks as if it dropped ours"),
    }
}

/// A translator rewrites ESP in UDP only.
pub(super) fn nat(config: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "nat";
    let Some(status) = &facts.status else { return Finding::unknown(CHECK, NO_DAEMON) };
    let established = || tunnels(status).filter_map(|(name, tunnel)| Some((name, tunnel.ike.nat?)));
    if established().count() == 0 {
        return Finding::unknown(CHECK, "no IKE SA is established: nobody has looked for one");
    }
    let Some((tunnel, _)) = established().find(|(_, nat)| *nat != NatStatus::None) else {
        return Finding::ok(CHECK, "there is none between the gateways");
    };
    let raw = config.connections.iter().find(|connection| {
        connection.encapsulation == Encapsulation::Esp && tunnel.starts_with(&format!("{}/", connection.name))
    });
    match raw {
        Some(connection) => Finding::problem(
            CHECK,
            format!("a translator is in the way of {tunnel}, and protocol ESP does not cross it"),
            format!("remove `encapsulation = \"esp\"` from [connection.{}]", connection.name),
        ),
        None => Finding::ok(CHECK, format!("a translator is in the way of {tunnel}: its ESP goes in UDP")),
    }
}

/// ESP is sent with DF: what does not fit on the way is lost.
pub(super) fn outer_mtu(_: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "outer-mtu";
    let narrow = facts.paths.iter().find_map(|path| match path.reach {
        Reach::UpTo(octets) => Some((path.peer, octets)),
        Reach::Silent | Reach::Whole(_) => None,
    });
    if let Some((peer, octets)) = narrow {
        return Finding::problem(
            CHECK,
            format!("packets of more than {octets} octets do not cross to {peer}"),
            format!("write mtu = {} below the connection, or mend the way", inner(octets)),
        );
    }
    let silent = |path: &&super::super::facts::Path| path.reach == Reach::Silent;
    match facts.paths.iter().find(silent) {
        Some(path) => {
            Finding::unknown(CHECK, format!("{} answers no echo: it cannot be measured", path.peer))
        }
        None if facts.paths.is_empty() => Finding::unknown(CHECK, "there is no peer"),
        None => Finding::ok(CHECK, "full packets cross to every peer"),
    }
}

/// The same inside: here the peer answers, where the cloud's outer address does not.
pub(super) fn black_hole(_: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "black-hole";
    let narrow = facts.crossings.iter().find_map(|crossing| match crossing.reach {
        Reach::UpTo(octets) => Some((crossing, octets)),
        Reach::Silent | Reach::Whole(_) => None,
    });
    if let Some((crossing, octets)) = narrow {
        let (connection, tunnel) = (&crossing.connection, &crossing.tunnel);
        return Finding::problem(
            CHECK,
            format!("small packets cross {connection}/{tunnel}, and none of more than {octets} octets"),
            format!("write mtu = {octets} below [connection.{connection}], or mend the way"),
        );
    }
    if facts.status.is_none() {
        return Finding::unknown(CHECK, NO_DAEMON);
    }
    match facts.crossings.iter().filter(|crossing| crossing.reach != Reach::Silent).count() {
        0 => Finding::unknown(CHECK, "no tunnel is up whose peer answers echoes"),
        count => Finding::ok(CHECK, format!("packets as large as the MTU cross, in {count} of the tunnels")),
    }
}

/// What two networks claim goes to one of them.
pub(super) fn overlaps(_: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "overlaps";
    match facts.overlaps.first() {
        Some((message, fix)) => Finding::problem(CHECK, message, fix),
        None => Finding::ok(CHECK, "no two networks claim the same prefix"),
    }
}

/// Each tunnel by `CONNECTION/TUNNEL`.
fn tunnels(status: &Status) -> impl Iterator<Item = (String, &crate::api::status::TunnelStatus)> {
    status.connections.iter().flat_map(|connection| {
        connection.tunnels.iter().map(|tunnel| (format!("{}/{}", connection.name, tunnel.name), tunnel))
    })
}

/// The inner MTU that fits whatever the suite and the outer family are.
const fn inner(outer: u16) -> u16 {
    outer.saturating_sub(MOST_OVERHEAD)
}

const NO_DAEMON: &str = "no daemon answers";
/// What a rule may write for all of our devices.
const DEVICES: &str = "gth";
/// Octets around an inner packet: IPv6 40, UDP 8, ESP header 8, IV 16, padding 15, trailer 2, ICV 32.
const MOST_OVERHEAD: u16 = 121;

//! The kernel's settings.

use crate::api::status::{Duty, TunnelStatus};
use crate::config::Config;
use crate::config::model::Backend;
use crate::doctor::Finding;
use crate::doctor::facts::{Buffers, Facts};

/// Packets of the LAN must be passed on at all.
pub(super) fn forwarding(config: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "forwarding";
    let prefixes = config.connections.iter().flat_map(|connection| &connection.remote);
    let six = prefixes.chain(&config.gateway.advertise).any(|prefix| prefix.addr().is_ipv6());
    for (family, name, needed) in [("IPv4", IPV4_FORWARDING, true), ("IPv6", IPV6_FORWARDING, six)] {
        if !needed {
            continue;
        }
        match facts.sysctls.get(name) {
            Some(0) => {
                let message = format!(
                    "the host does not forward {family}: it carries its own packets, none of the LAN"
                );
                return Finding::problem(CHECK, message, "").set(name, 1);
            }
            None => return Finding::unknown(CHECK, format!("the kernel shows no {name}")),
            Some(_) => {}
        }
    }
    Finding::ok(CHECK, "the host forwards packets")
}

/// A reply may come back through another tunnel than the request left by.
pub(super) fn reverse_path(config: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "reverse-path";
    let of = |device: &str| facts.rp_filter.get(device).copied();
    let Some(all) = of("all") else {
        return Finding::unknown(CHECK, "the kernel shows no net.ipv4.conf.all.rp_filter");
    };
    // The kernel takes the larger of the two; a device that is yet to be made gets the default.
    let effective = |device: &str| all.max(of(device).or_else(|| of("default")).unwrap_or(0));
    let several = config.connections.iter().filter(|connection| connection.tunnels.len() > 1);
    let mut devices = several.flat_map(|connection| &connection.tunnels).map(|tunnel| &tunnel.interface);
    match devices.find(|device| effective(device) == STRICT) {
        Some(device) => {
            let message = format!(
                "{device} drops what comes back through another tunnel than it left by (rp_filter is strict)"
            );
            Finding::problem(CHECK, message, "").set("net.ipv4.conf.all.rp_filter", LOOSE)
        }
        None => Finding::ok(CHECK, "replies may come back through either tunnel"),
    }
}

/// Where several tunnels carry at once, ports must count, or all between two hosts shares one.
pub(super) fn flow_hash(config: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "multipath-hash";
    let Some(policy) = facts.sysctls.get(FLOW_HASH) else {
        return Finding::unknown(
            CHECK,
            format!("the kernel shows no {FLOW_HASH}: it has no multipath routes"),
        );
    };
    let spreads = config.connections.iter().any(|connection| connection.ecmp && connection.tunnels.len() > 1);
    if !spreads {
        return Finding::ok(CHECK, "one tunnel of each connection carries at a time");
    }
    let shared = "several tunnels carry, and all packets between two hosts take the same one";
    match (policy, config.gateway.routes.hash_by_flow) {
        // It sets it before they share a route, unless it cannot note in its state folder that it did.
        (0, true) if several_carry(facts) => Finding::warning(CHECK, shared, "").set(FLOW_HASH, 1),
        (0, true) => Finding::ok(CHECK, "the daemon sets it while several tunnels carry"),
        (0, false) => Finding::warning(CHECK, shared, "").set(FLOW_HASH, 1),
        _ => Finding::ok(CHECK, "flows are told apart by their ports"),
    }
}

/// Several tunnels of one connection carry at this moment.
fn several_carry(facts: &Facts) -> bool {
    let connections = facts.status.iter().flat_map(|status| &status.connections);
    let carrying = |tunnels: &[TunnelStatus]| tunnels.iter().filter(|t| t.duty == Duty::Carrying).count();
    connections.map(|connection| carrying(&connection.tunnels)).any(|carrying| carrying > 1)
}

/// io_uring moves more packets than plain system calls.
pub(super) fn io_uring(config: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "io-uring";
    let wanted = config.gateway.packet_path.backend;
    if wanted == Backend::Syscalls {
        return Finding::ok(CHECK, "not wanted: backend = \"syscalls\"");
    }
    let forbidden = facts.sysctls.get(IO_URING).copied().unwrap_or(0) > 0;
    let runs = facts.status.as_ref().map(|status| status.dataplane.backend.as_str());
    match (runs, forbidden) {
        (Some("io_uring"), _) => Finding::ok(CHECK, "the daemon moves packets with it"),
        (_, true) if wanted == Backend::IoUring => {
            let message =
                "the kernel forbids it, and backend = \"io_uring\" wants it: the daemon does not start";
            Finding::problem(CHECK, message, "").set(IO_URING, 0)
        }
        (_, true) => {
            let message =
                "the kernel forbids it: packets move with plain system calls, which costs throughput";
            Finding::warning(CHECK, message, "").set(IO_URING, 0)
        }
        (Some(_), false) => Finding::warning(
            CHECK,
            "the daemon moves packets with plain system calls, though the kernel has no objection",
            "see that the unit's SystemCallFilter, or the container's seccomp profile, permits io_uring_setup",
        ),
        (None, false) => Finding::ok(CHECK, "the kernel permits it"),
    }
}

/// What arrives while a worker is busy must have room.
pub(super) fn buffers(_: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "socket-buffers";
    let drops: u64 = facts.holders.iter().map(|holder| holder.drops).sum();
    if drops > 0 {
        return Finding::warning(
            CHECK,
            format!("{drops} datagrams found the buffer of a socket on UDP 500 or 4500 full"),
            "give the daemon a core of its own (CPUAffinity= of its unit), or write more `workers`",
        );
    }
    match facts.buffers {
        None => Finding::unknown(CHECK, "no UDP socket can be opened"),
        Some(Buffers { receive, wanted, .. }) if receive < wanted => short("receive", RMEM, receive, wanted),
        Some(Buffers { send, wanted, .. }) if send < wanted => short("send", WMEM, send, wanted),
        Some(Buffers { wanted, .. }) => Finding::ok(CHECK, format!("a socket gets {wanted} octets each way")),
    }
}

fn short(direction: &str, name: &str, got: usize, wanted: usize) -> Finding {
    let message = format!("a socket gets {got} of {wanted} octets to {direction}: bursts are dropped");
    Finding::warning("socket-buffers", message, "").set(name, u32::try_from(wanted).unwrap_or(u32::MAX))
}

/// The settings that are looked at.
pub(in crate::doctor) const LOOKED_AT: [&str; 4] = [IPV4_FORWARDING, IPV6_FORWARDING, FLOW_HASH, IO_URING];

const IPV4_FORWARDING: &str = "net.ipv4.ip_forward";
const IPV6_FORWARDING: &str = "net.ipv6.conf.all.forwarding";
const FLOW_HASH: &str = "net.ipv4.fib_multipath_hash_policy";
const IO_URING: &str = "kernel.io_uring_disabled";
const RMEM: &str = "net.core.rmem_max";
const WMEM: &str = "net.core.wmem_max";
/// `rp_filter` by which a packet must come in where the route to its sender leads out (RFC 3704 §2.2).
const STRICT: u32 = 1;
/// By which any route to the sender will do (RFC 3704 §2.4).
const LOOSE: u32 = 2;

//! What else runs on the host, and what the daemon may have.

use crate::config::Config;
use crate::config::model::TunnelAuth;
use crate::doctor::Finding;
use crate::doctor::facts::Facts;

/// IKE and ESP need their ports.
pub(super) fn ports(_: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "ports";
    let ours = |name: &str| name == DAEMON;
    for holder in &facts.holders {
        match &holder.program {
            Some(program) if ours(&program.name) => {}
            Some(program) => {
                return Finding::problem(
                    CHECK,
                    format!("UDP {} is taken by {} (process {})", holder.port, program.name, program.pid),
                    format!(
                        "stop {} and keep it from starting again: systemctl disable --now UNIT",
                        program.name
                    ),
                );
            }
            None => {
                return Finding::problem(
                    CHECK,
                    format!("UDP {} is taken by a process that cannot be seen from here", holder.port),
                    "run this as root; if it was, look for the process in containers of this network namespace",
                );
            }
        }
    }
    let held = if facts.holders.is_empty() { "free" } else { "ours" };
    Finding::ok(CHECK, format!("UDP 500 and 4500 are {held}"))
}

/// Two stacks on one host take each other's packets.
pub(super) fn stacks(_: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "other-ipsec";
    if let Some(program) = facts.stacks.first() {
        return Finding::problem(
            CHECK,
            format!("another IPsec stack runs: {} (process {})", program.name, program.pid),
            "stop it and keep it from starting again: systemctl disable --now strongswan ipsec",
        );
    }
    match facts.policies {
        None => {
            Finding::ok(CHECK, "no program of another IPsec stack runs; the kernel's policies cannot be read")
        }
        Some(0) => Finding::ok(CHECK, "there is none"),
        Some(count) => Finding::problem(
            CHECK,
            format!("the kernel has {count} IPsec policies, none of them ours: they take packets before us"),
            "see whose they are (ip xfrm policy), then: ip xfrm policy flush",
        ),
    }
}

/// A wrong clock breaks nothing with pre-shared keys, and certificates at once.
pub(super) fn clock(config: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "clock";
    let certificates = config.tunnels().any(|(_, tunnel)| matches!(tunnel.auth, TunnelAuth::Certificates(_)));
    match (facts.clock, certificates) {
        (None, _) => Finding::unknown(CHECK, "the kernel does not say"),
        (Some(true), _) => Finding::ok(CHECK, "synchronised"),
        (Some(false), true) => {
            Finding::problem(CHECK, "nobody sets the clock, and certificates are judged by it", CLOCK_FIX)
        }
        (Some(false), false) => Finding::warning(
            CHECK,
            "nobody sets the clock: the times of the log cannot be compared with the cloud's",
            CLOCK_FIX,
        ),
    }
}

/// Each tunnel costs descriptors: queues of its device, echoes, its BGP session.
pub(super) fn open_files(config: &Config, facts: &Facts) -> Finding {
    const CHECK: &str = "open-files";
    let tunnels = config.tunnels().count() as u64;
    let needed = tunnels.saturating_mul(FILES_OF_TUNNEL).saturating_add(FILES_OF_DAEMON);
    match facts.open_files {
        None => Finding::unknown(CHECK, "no daemon runs here, or its limits cannot be read"),
        Some(limit) if limit < needed => Finding::problem(
            CHECK,
            format!("the daemon may open {limit} files, and {tunnels} tunnels need some {needed}"),
            format!("systemctl edit gotthard: LimitNOFILE={}", needed.next_power_of_two().max(FEW)),
        ),
        Some(limit) => Finding::ok(CHECK, format!("the daemon may open {limit} files")),
    }
}

/// The daemon's name, as the kernel has it.
pub(in crate::doctor) const DAEMON: &str = "gotthard";
/// Programs of other IPsec stacks, as the kernel has their names: at most 15 octets.
pub(in crate::doctor) const STACKS: [&str; 7] =
    ["charon", "charon-systemd", "charon-nm", "pluto", "racoon", "iked", "starter"];

const CLOCK_FIX: &str = "timedatectl set-ntp true, or run chrony";
/// Of each worker a queue, the echoes of both families, a session and its listener.
const FILES_OF_TUNNEL: u64 = 8;
/// Sockets, rings, netlink, and clients of the control socket.
const FILES_OF_DAEMON: u64 = 128;
/// The least that is worth writing.
const FEW: u64 = 4096;

//! What is wrong with a host, and how to mend it: functions of what was found, a check each.

mod host;
mod kernel;
mod network;
mod ruleset;
#[cfg(test)]
mod tests;

use super::facts::Facts;
use super::{Finding, Report};
use crate::config::Config;

pub(super) use host::{DAEMON, STACKS};
pub(super) use kernel::LOOKED_AT as SETTINGS;

/// What all checks say of these facts, for this configuration.
pub fn judge(config: &Config, facts: &Facts) -> Report {
    Report::new(CHECKS.iter().map(|check| check(config, facts)).collect())
}

/// One check.
type Check = fn(&Config, &Facts) -> Finding;

/// In the order in which a person would look.
const CHECKS: [Check; 14] = [
    kernel::forwarding,
    kernel::reverse_path,
    kernel::flow_hash,
    kernel::io_uring,
    kernel::buffers,
    host::ports,
    host::stacks,
    host::clock,
    host::open_files,
    network::firewall,
    network::nat,
    network::outer_mtu,
    network::black_hole,
    network::overlaps,
];

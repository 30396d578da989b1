//! Looks at the host, and changes nothing.

mod echoes;
mod processes;
mod programs;
mod settings;
mod sockets;

use std::net::IpAddr;

use gotthard_dataplane::sys::clock;

use self::processes::Processes;
use super::facts::{Crossing, Facts, Path};
use super::judge;
use crate::api::routes::OverlapStatus;
use crate::api::status::{Status, TunnelState};
use crate::bgp::overlap::{Overlap, overlaps};
use crate::config::Config;

/// What the daemon says, where one runs.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// How its tunnels are.
    pub status: Option<Status>,
    /// Prefixes that two networks claim, as far as it knows.
    pub overlaps: Option<Vec<OverlapStatus>>,
}

/// Looks at everything. Takes some seconds where peers do not answer.
pub fn collect(config: &Config, told: Told) -> Facts {
    let processes = Processes::of_this_namespace();
    let holders = sockets::holders(&processes);
    let ours = |program: &super::facts::Program| program.name == judge::DAEMON;
    let daemon = holders.iter().filter_map(|holder| holder.program.as_ref()).find(|program| ours(program));
    Facts {
        sysctls: settings::sysctls(),
        rp_filter: settings::rp_filter(),
        buffers: sockets::buffers().ok(),
        stacks: processes.named(&judge::STACKS),
        policies: programs::policies(),
        clock: clock::is_synchronised(),
        paths: paths(config),
        crossings: told.status.as_ref().map(|status| crossings(config, status)).unwrap_or_default(),
        overlaps: told.overlaps.map_or_else(|| configured_overlaps(config), known_overlaps),
        ruleset: programs::ruleset(),
        open_files: daemon.and_then(|program| processes::open_files(program.pid)),
        holders,
        status: told.status,
    }
}

/// Each peer once, whatever number of tunnels it has.
fn paths(config: &Config) -> Vec<Path> {
    let mut peers: Vec<_> = config.tunnels().map(|(_, tunnel)| tunnel.peer).collect();
    peers.sort_unstable();
    peers.dedup();
    let way = |peer: &IpAddr| echoes::Way { device: None, source: None, target: *peer, most: FULL };
    let reached = echoes::measure(&peers.iter().map(way).collect::<Vec<_>>());
    peers.iter().zip(reached).map(|(peer, reach)| Path { peer: *peer, reach }).collect()
}

/// Through each tunnel that is up, from our inside address to the peer's.
fn crossings(config: &Config, status: &Status) -> Vec<Crossing> {
    let (mut names, mut ways) = (Vec::new(), Vec::new());
    for (connection, tunnel) in config.tunnels() {
        let up = status.connections.iter().filter(|one| one.name == connection.name);
        let mut up = up.flat_map(|one| &one.tunnels).filter(|one| one.state == TunnelState::Up);
        let Some(shown) = up.find(|one| one.name == tunnel.name) else { continue };
        let (Some(target), Some(most)) = (tunnel.peer_inside, shown.esp.mtu) else { continue };
        let source = tunnel.insides().map(|inside| inside.addr());
        let source = source.filter(|source| source.is_ipv4() == target.is_ipv4()).last();
        ways.push(echoes::Way { device: Some(tunnel.interface.clone()), source, target, most });
        names.push((connection.name.clone(), tunnel.name.clone()));
    }
    let named = names.into_iter().zip(echoes::measure(&ways));
    named.map(|((connection, tunnel), reach)| Crossing { connection, tunnel, reach }).collect()
}

fn known_overlaps(overlaps: Vec<OverlapStatus>) -> Vec<(String, String)> {
    overlaps.into_iter().map(|one| (format!("{}: {}", one.code, one.message), one.remedy)).collect()
}

fn configured_overlaps(config: &Config) -> Vec<(String, String)> {
    let found = overlaps(config.claims());
    found.iter().map(|one| (format!("{}: {one}", one.code()), Overlap::remedy().to_owned())).collect()
}

/// What a path is to carry: an Ethernet's worth.
const FULL: u16 = 1500;

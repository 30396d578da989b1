//! The prefixes behind the peers and the ways to them, from what the daemon knows.

use std::collections::BTreeMap;

use gotthard_ike::config::PeerId;
use ipnet::IpNet;

use super::gateway::Gateway;
use super::record::Record;
use crate::api::routes::{
    BgpPath, NotTaken, OverlapStatus, PathStatus, PrefixState, PrefixStatus, RefusedStatus, RouteTable,
    Source,
};
use crate::bgp::best_path::{Choice, Step};
use crate::bgp::overlap::Overlap;
use crate::bgp::route::Path;
use crate::bgp::speaker::Refused;
use crate::config::model::{Connection, Routing};
use crate::failover::decision::State;

/// The prefixes of every connection, or of the named one; `None`: there is none of that name.
pub(super) fn route_table(gateway: &Gateway, wanted: Option<&str>) -> Option<RouteTable> {
    let mut paths: BTreeMap<IpNet, Vec<PathStatus>> = BTreeMap::new();
    let all = gateway.config.connections.iter();
    let connections: Vec<_> = all.filter(|c| wanted.is_none_or(|name| name == c.name)).collect();
    for connection in &connections {
        for (prefix, path) in configured(gateway, connection) {
            paths.entry(prefix).or_default().push(path);
        }
    }
    let known = wanted.is_none() || !connections.is_empty();
    for (prefix, path) in announced(gateway, &connections) {
        paths.entry(prefix).or_default().push(path);
    }
    for (prefix, connection) in gateway.bgp.lost.iter() {
        if connections.iter().any(|asked| asked.name == connection) {
            paths.entry(prefix).or_default();
        }
    }
    let entries = paths.into_iter().map(|(prefix, paths)| entry(gateway, prefix, paths));
    known.then(|| {
        let overlaps = gateway.networks.overlaps.iter().map(overlap);
        RouteTable::new(entries.collect(), not_taken(gateway, &connections), overlaps.collect())
    })
}

fn overlap(overlap: &Overlap) -> OverlapStatus {
    OverlapStatus {
        code: overlap.code().to_owned(),
        message: overlap.to_string(),
        remedy: Overlap::remedy().to_owned(),
    }
}

fn entry(gateway: &Gateway, prefix: IpNet, mut paths: Vec<PathStatus>) -> PrefixStatus {
    let refused = gateway.refused.iter().find(|refused| refused.prefix == prefix);
    let refused =
        refused.map(|refused| RefusedStatus { code: REFUSED.to_owned(), message: refused.why.clone() });
    if refused.is_some() {
        for path in &mut paths {
            path.used = false;
            path.not_used = Some("the prefix is not routed".to_owned());
        }
    }
    let state = match &refused {
        Some(_) => PrefixState::Refused,
        None if paths.iter().any(|path| path.used) => PrefixState::Routed,
        None => PrefixState::Unreachable,
    };
    PrefixStatus { prefix, state, refused, paths }
}

/// What `remote` of a connection says: every prefix is behind every tunnel.
fn configured(gateway: &Gateway, connection: &Connection) -> Vec<(IpNet, PathStatus)> {
    if connection.routing != Routing::Static {
        return Vec::new();
    }
    let carriers = gateway.switch.carriers(&connection.name);
    let tunnels = connection.tunnels.iter().filter_map(|tunnel| {
        let mut records = gateway.records.values();
        records.find(|record| record.connection.name == connection.name && record.tunnel.name == tunnel.name)
    });
    let paths: Vec<PathStatus> = tunnels.map(|record| static_path(gateway, record, carriers)).collect();
    let each = |prefix: &IpNet| paths.iter().map(|path| (prefix.trunc(), path.clone())).collect::<Vec<_>>();
    connection.remote.iter().flat_map(each).collect()
}

fn static_path(gateway: &Gateway, record: &Record, carriers: &[PeerId]) -> PathStatus {
    let used = carriers.contains(&record.id);
    path_through(record, (!used).then(|| idle(gateway.switch.state(record.id))))
}

fn path_through(record: &Record, not_used: Option<String>) -> PathStatus {
    PathStatus {
        connection: record.connection.name.clone(),
        tunnel: record.tunnel.name.clone(),
        interface: record.tunnel.interface.clone(),
        source: Source::Static,
        used: not_used.is_none(),
        not_used,
        bgp: None,
    }
}

/// What the peers announce and we take.
fn announced(gateway: &Gateway, connections: &[&Connection]) -> Vec<(IpNet, PathStatus)> {
    let Gateway { bgp, switch, .. } = gateway;
    let mut found = Vec::new();
    let mut decided: Option<(IpNet, Choice<PeerId>)> = None;
    for (prefix, tunnel, local_pref, path) in bgp.speaker.routes() {
        let Some(record) = record_of(gateway, tunnel, connections) else { continue };
        if decided.as_ref().is_none_or(|(of, _)| *of != prefix) {
            let choice = bgp.speaker.explain(&prefix, |tunnel| switch.through(tunnel));
            decided = choice.map(|choice| (prefix, choice));
        }
        let lost = decided.as_ref().and_then(|(_, choice)| choice.lost.iter().find(|lost| lost.0 == tunnel));
        let used = decided.as_ref().is_some_and(|(_, choice)| choice.used.contains(&tunnel));
        let why = lost.map_or_else(|| idle(switch.state(tunnel)), |(_, step)| step.to_string());
        let (source, bgp) = (Source::Bgp, Some(attributes(path, local_pref)));
        found.push((prefix, PathStatus { source, bgp, ..path_through(record, (!used).then_some(why)) }));
    }
    found
}

fn attributes(path: &Path, local_pref: u32) -> BgpPath {
    let communities = path.communities.iter().map(ToString::to_string);
    BgpPath {
        next_hop: path.next_hop,
        as_path: path.as_path.to_string(),
        med: path.med,
        local_pref,
        communities: communities.chain(path.large_communities.iter().map(ToString::to_string)).collect(),
    }
}

fn not_taken(gateway: &Gateway, connections: &[&Connection]) -> Vec<NotTaken> {
    let records = gateway.records.keys().filter_map(|id| record_of(gateway, *id, connections));
    let refused = records.flat_map(|record| {
        gateway.bgp.speaker.refused(record.id).map(|Refused { prefix, refusal }| NotTaken {
            prefix,
            connection: record.connection.name.clone(),
            tunnel: record.tunnel.name.clone(),
            code: refusal.code().to_owned(),
            message: refusal.to_string(),
            remedy: refusal.remedy().to_owned(),
        })
    });
    refused.collect()
}

/// The tunnel, where it is one of these connections.
fn record_of<'g>(gateway: &'g Gateway, tunnel: PeerId, connections: &[&Connection]) -> Option<&'g Record> {
    let record = gateway.records.get(&tunnel)?;
    connections.iter().any(|connection| connection.name == record.connection.name).then_some(record)
}

/// Why a tunnel that could carry does not.
fn idle(state: State) -> String {
    match state {
        State::AdminDown => "the tunnel is wanted down".to_owned(),
        State::Down => "the tunnel is down".to_owned(),
        State::Held { .. } => "the tunnel fell a short while ago".to_owned(),
        State::Draining => "the tunnel is being left".to_owned(),
        State::Standby | State::Carrying => Step::Spread.to_string(),
    }
}

/// A prefix that the host's own routes do not leave to us.
const REFUSED: &str = "GTH-RTE-01";

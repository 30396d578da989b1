//! The prefixes behind the peers and the ways to them, from what the daemon knows.

use std::collections::BTreeMap;

use gotthard_ike::config::PeerId;
use ipnet::IpNet;

use super::gateway::Gateway;
use super::record::Record;
use crate::api::routes::{
    OverlapStatus, PathStatus, PrefixState, PrefixStatus, RefusedStatus, RouteTable, Source,
};
use crate::bgp::best_path::Step;
use crate::bgp::overlap::Overlap;
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
    let entries = paths.into_iter().map(|(prefix, paths)| entry(gateway, prefix, paths));
    known.then(|| RouteTable::new(entries.collect(), gateway.overlaps.iter().map(overlap).collect()))
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
    let not_used = (!used).then(|| idle(gateway.switch.state(record.id)));
    PathStatus {
        connection: record.connection.name.clone(),
        tunnel: record.tunnel.name.clone(),
        interface: record.tunnel.interface.clone(),
        source: Source::Static,
        used,
        not_used,
        bgp: None,
    }
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
const REFUSED: &str = "GTH-ROUTE-01";

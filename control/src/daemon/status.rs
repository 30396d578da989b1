//! The status object, from what the daemon knows.

use std::collections::HashMap;

use gotthard_ike::config::Encapsulation;
use gotthard_ike::event::Nat;
use gotthard_ike::{Counters, Time};

use super::chain::{self, Verdict};
use super::gateway::Gateway;
use super::record::{Record, escaped};
use crate::api::status::{
    BgpStatus, ConnectionState, ConnectionStatus, DataplaneStatus, Drops, Duty, EspStatus, IkeState,
    IkeStatus, LinkState, NatStatus, ProbeState, ProbeStatus, RouteStatus, Status, TunnelState, TunnelStatus,
};
use crate::bgp::speaker::View;
use crate::config::model::{Connection, Routing};
use crate::failover::decision as failover;
use crate::install::{self, Report};
use crate::probe::Liveness;
use crate::tunnels::Phase;

/// The status of every connection, or of the named one, with what the endpoint has counted; `None`: there is none of that
/// name.
pub(super) fn status(
    gateway: &Gateway,
    counters: &Counters,
    now: Time,
    wanted: Option<&str>,
) -> Option<Status> {
    // By connection in one pass: asked each for its own, the records of a thousand tunnels would be gone through for each of
    // hundreds of connections.
    let mut records: HashMap<&str, Vec<&Record>> = HashMap::new();
    for record in gateway.records.values() {
        records.entry(record.connection.name.as_str()).or_default().push(record);
    }
    let all = gateway.config.connections.iter();
    let connections: Vec<_> = all
        .filter(|connection| wanted.is_none_or(|name| name == connection.name))
        .map(|connection| {
            let records = records.remove(connection.name.as_str()).unwrap_or_default();
            connection_status(gateway, connection, &records, now)
        })
        .collect();
    let known = wanted.is_none() || !connections.is_empty();
    known.then(|| Status {
        traffic: gateway.books.status(&gateway.config.gateway.prices, wanted),
        ike_refused: counters.iter().map(|(refusal, count)| (refusal.name().to_owned(), count)).collect(),
        ..Status::new(dataplane_status(gateway.data.report()), connections)
    })
}

fn dataplane_status(report: Report) -> DataplaneStatus {
    DataplaneStatus {
        backend: report.backend.to_owned(),
        workers: report.workers,
        offloads: report.offloads.into_iter().map(str::to_owned).collect(),
        cbc: report.cbc.to_owned(),
    }
}

fn connection_status(
    gateway: &Gateway,
    connection: &Connection,
    records: &[&Record],
    now: Time,
) -> ConnectionStatus {
    let mut tunnels: Vec<TunnelStatus> =
        records.iter().map(|record| tunnel_status(gateway, connection, record, now)).collect();
    let place =
        |status: &TunnelStatus| connection.tunnels.iter().position(|tunnel| tunnel.name == status.name);
    tunnels.sort_by_cached_key(place);
    let up = tunnels.iter().filter(|tunnel| tunnel.state == TunnelState::Up).count();
    let state = match up {
        0 => ConnectionState::Down,
        n if n == tunnels.len() => ConnectionState::Up,
        _ => ConnectionState::Degraded,
    };
    ConnectionStatus { name: connection.name.clone(), state, tunnels }
}

fn tunnel_status(gateway: &Gateway, connection: &Connection, record: &Record, now: Time) -> TunnelStatus {
    let external = connection.routing == Routing::External;
    let routes = if external {
        RouteStatus::of_others(gateway.foreign_routes(&record.tunnel.interface))
    } else {
        RouteStatus::ours(gateway.installed.get(&record.tunnel.interface).copied().unwrap_or(0))
    };
    // What a peer announces may be on one tunnel alone, or better there: then the routes say who is used.
    let by_routes = connection.routing != Routing::Static;
    let carries = by_routes || gateway.switch.carriers(&connection.name).contains(&record.id);
    let Verdict { broken, notes, one_way } = chain::judge(gateway, connection, record, now);
    let state = match record.state.phase() {
        Phase::AdminDown => TunnelState::AdminDown,
        Phase::Up if record.facts().lives() && !one_way => TunnelState::Up,
        Phase::Connecting => TunnelState::Connecting,
        Phase::Up | Phase::Waiting => TunnelState::Down,
    };
    TunnelStatus {
        name: record.tunnel.name.clone(),
        peer: record.tunnel.peer,
        interface: record.tunnel.interface.clone(),
        state,
        active: carries && routes.installed > 0,
        duty: duty(gateway.switch.state(record.id)),
        since_s: (now - record.state.since()).as_secs(),
        ike: ike_status(record),
        esp: esp_status(record),
        probe: probe_status(record, state),
        bgp: gateway.bgp.speaker.session(record.id).map(|session| bgp_status(&session, now)),
        routes,
        broken,
        notes,
    }
}

const fn duty(state: failover::State) -> Duty {
    match state {
        failover::State::Carrying => Duty::Carrying,
        failover::State::Standby => Duty::Standby,
        failover::State::Held { .. } => Duty::Held,
        failover::State::Draining => Duty::Draining,
        failover::State::Down | failover::State::AdminDown => Duty::None,
    }
}

fn ike_status(record: &Record) -> IkeStatus {
    let sa = record.state.ike();
    let state = match (sa, record.state.phase()) {
        (Some(_), _) => IkeState::Established,
        (None, Phase::Connecting) => IkeState::Connecting,
        (None, Phase::AdminDown | Phase::Waiting | Phase::Up) => IkeState::Down,
    };
    IkeStatus {
        state,
        suite: sa.map(|sa| sa.suite.to_string()),
        spi_i: sa.map(|sa| format!("{:016x}", sa.spi_i)),
        spi_r: sa.map(|sa| format!("{:016x}", sa.spi_r)),
        rekeys: record.state.ike_rekeys(),
        nat: sa.map(|sa| nat(sa.nat)),
    }
}

const fn nat(nat: Nat) -> NatStatus {
    match (nat.local, nat.remote) {
        (false, false) => NatStatus::None,
        (true, false) => NatStatus::Local,
        (false, true) => NatStatus::Remote,
        (true, true) => NatStatus::Both,
    }
}

fn esp_status(record: &Record) -> EspStatus {
    let child = record.state.child();
    let mtu = child.and(record.mtu);
    let traffic = record.traffic();
    EspStatus {
        state: if child.is_some() && record.facts().esp { LinkState::Up } else { LinkState::Down },
        suite: child.map(|sa| sa.suite.to_string()),
        encapsulation: child.map(|sa| encapsulation(sa.encapsulation).to_owned()),
        mtu,
        mss: mtu.map(install::mss),
        esn: child.map(|sa| sa.esn),
        spi_in: child.map(|sa| format!("{:08x}", sa.spi_in)),
        spi_out: child.map(|sa| format!("{:08x}", sa.spi_out)),
        rekeys: record.state.child_rekeys(),
        rx_packets: traffic.rx_packets,
        rx_bytes: traffic.rx_bytes,
        tx_packets: traffic.tx_packets,
        tx_bytes: traffic.tx_bytes,
        drops: Drops {
            replay: traffic.replay,
            icv: traffic.icv,
            other: traffic.drops.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect(),
        },
    }
}

fn bgp_status(session: &View<'_>, now: Time) -> BgpStatus {
    BgpStatus {
        state: session.state.name().to_owned(),
        peer_asn: session.peer_asn,
        received: session.received as u64,
        sent: session.sent as u64,
        hold_time_s: session.hold_time.map(|hold_time| hold_time.as_secs()),
        since_s: session.since.map(|since| (now - since).as_secs()),
        error: session.failure.map(escaped),
    }
}

const fn encapsulation(encapsulation: Encapsulation) -> &'static str {
    match encapsulation {
        Encapsulation::Udp | Encapsulation::Auto => "udp",
        Encapsulation::Esp => "esp",
    }
}

fn probe_status(record: &Record, tunnel: TunnelState) -> ProbeStatus {
    let Some(probe) = record.prober.as_ref().map(|prober| &prober.probe) else {
        let off = tunnel == TunnelState::AdminDown;
        return ProbeStatus { state: if off { ProbeState::Off } else { ProbeState::Down }, rtt_ms: None };
    };
    let state = match probe.liveness() {
        Liveness::Up => ProbeState::Up,
        Liveness::Down => ProbeState::Down,
    };
    ProbeStatus { state, rtt_ms: probe.rtt().map(|rtt| rtt.as_secs_f64() * 1e3) }
}

//! The status object, from what the daemon knows.

use gotthard_ike::config::Encapsulation;
use gotthard_ike::event::Nat;
use gotthard_ike::{Counters, Time};

use super::gateway::Gateway;
use super::record::{Device, Record, escaped};
use crate::api::status::{
    BgpStatus, BrokenLink, ConnectionState, ConnectionStatus, DataplaneStatus, Drops, Duty, EspStatus,
    IkeState, IkeStatus, Link, LinkState, NatStatus, ProbeState, ProbeStatus, RouteStatus, Status,
    TunnelState, TunnelStatus,
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
    let all = gateway.config.connections.iter();
    let connections: Vec<_> = all
        .filter(|connection| wanted.is_none_or(|name| name == connection.name))
        .map(|connection| connection_status(gateway, connection, now))
        .collect();
    let known = wanted.is_none() || !connections.is_empty();
    known.then(|| Status {
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

fn connection_status(gateway: &Gateway, connection: &Connection, now: Time) -> ConnectionStatus {
    let records = gateway.records.values().filter(|record| record.connection.name == connection.name);
    let mut tunnels: Vec<TunnelStatus> =
        records.map(|record| tunnel_status(gateway, connection, record, now)).collect();
    let place =
        |status: &TunnelStatus| connection.tunnels.iter().position(|tunnel| tunnel.name == status.name);
    tunnels.sort_by_key(place);
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
    let carries = external || gateway.switch.carriers(&connection.name).contains(&record.id);
    let state = match record.state.phase() {
        Phase::AdminDown => TunnelState::AdminDown,
        Phase::Up if record.facts().lives() => TunnelState::Up,
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
        broken: broken(gateway, connection, record),
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

/// The first broken link of the chain IKE, ESP, probe, BGP, routes.
fn broken(gateway: &Gateway, connection: &Connection, record: &Record) -> Option<BrokenLink> {
    if record.state.phase() == Phase::AdminDown {
        return None;
    }
    if let Some(why) = &record.no_path {
        return Some(link(Link::Ike, "GTH-NET-01", why, "give the host that address or a route to the peer"));
    }
    if let Device::Missing { why, .. } = &record.device {
        return Some(link(Link::Esp, "GTH-ESP-01", why, DEVICE_REMEDY));
    }
    if record.set_down {
        let why = format!("somebody has set {} down", record.tunnel.interface);
        return Some(link(Link::Esp, "GTH-ESP-01", &why, "set it up again: `ip link set … up`"));
    }
    if record.state.phase() != Phase::Up {
        return record.state.failure().map(|failure| BrokenLink {
            link: if record.state.ike().is_some() { Link::Esp } else { Link::Ike },
            code: failure.code().to_owned(),
            message: escaped(failure),
            remedy: failure.remedy().to_owned(),
        });
    }
    if let Some(why) = &record.no_sa {
        return Some(link(Link::Esp, "GTH-ESP-02", why, "report it with the log"));
    }
    if !record.facts().probe {
        let (code, why) = record.why_silent();
        let lost = record.uplink.lost().is_some();
        return Some(link(Link::Probe, code, &why, if lost { UPLINK_REMEDY } else { PROBE_REMEDY }));
    }
    if let Some(session) = gateway.bgp.speaker.session(record.id).filter(|session| !session.carries()) {
        return session.failure.map(|failure| BrokenLink {
            link: Link::Bgp,
            code: failure.code().to_owned(),
            message: escaped(failure),
            remedy: failure.remedy().to_owned(),
        });
    }
    if connection.routing == Routing::External {
        return None;
    }
    if let Some(why) = &gateway.route_error {
        return Some(link(
            Link::Routes,
            "GTH-ROUTE-02",
            why,
            "see that nothing else changes the routes of our devices",
        ));
    }
    let refused = gateway.refused.iter().find(|refused| connection.remote.contains(&refused.prefix))?;
    Some(link(
        Link::Routes,
        "GTH-ROUTE-01",
        &refused.why,
        "mend the routes of the host or `remote`, then reload",
    ))
}

fn link(link: Link, code: &str, message: &str, remedy: &str) -> BrokenLink {
    BrokenLink { link, code: code.to_owned(), message: message.to_owned(), remedy: remedy.to_owned() }
}

const PROBE_REMEDY: &str = "see that the cloud's endpoint is up and that nothing on the way drops ESP or UDP 4500; its traffic has moved";
const UPLINK_REMEDY: &str =
    "see what became of the host's own link: `ip route get PEER`; its traffic has moved";
const DEVICE_REMEDY: &str =
    "see that /dev/net/tun exists, that we may use it, and that no other link has the name of `interface`";

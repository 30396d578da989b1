//! What there is to read: a row a metric. Names are never given another meaning.

use crate::api::messages::Sa;
use crate::api::status::{
    CloudTraffic, ConnectionState, ConnectionStatus, IkeState, LinkState, ProbeState, Status, TunnelState,
    TunnelStatus,
};

/// One metric of the things `T`.
pub struct Family<T> {
    /// Without `gotthard_`, the unit and the `_total` of a counter.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// The unit, which the name ends with.
    pub unit: Option<Unit>,
    /// The value of one of them; `None`: it has none at the moment.
    pub read: fn(&T) -> Option<Value>,
}

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of time.
    Seconds,
    /// Of data.
    Bytes,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Only ever grows.
    Counter(u64),
    /// May be anything, and is counted.
    Whole(i64),
    /// May be anything, and is measured.
    Real(f64),
}

/// Whether a value is a counter is the same for all of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a [`Value::Counter`].
    Counter,
    /// Of the others.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

impl Unit {
    /// As names end with it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }
}

impl Kind {
    /// As a page declares it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A row of one of the tables below; a thing has a value, or may have one.
macro_rules! family {
    ($kind:ident $name:literal $unit:expr, $help:literal, |$thing:ident| $value:expr) => {
        (Kind::$kind, Family { name: $name, help: $help, unit: $unit, read: |$thing| $value.into() })
    };
}

/// Those of the gateway.
pub const OF_GATEWAY: &[(Kind, Family<Status>)] = &[
    family!(Gauge "workers" None, "Threads that move packets.", |status| whole(status.dataplane.workers)),
    family!(
        Counter "ike_refused" None, "IKE datagrams of which nothing came, from whomever they were.",
        |status| counter(status.ike_refused.values().sum())
    ),
];

/// Those of a connection.
pub const OF_CONNECTION: &[(Kind, Family<ConnectionStatus>)] = &[
    family!(
        Gauge "connection_up" None, "1 while a tunnel of the connection carries traffic.",
        |connection| flag(connection.state != ConnectionState::Down)
    ),
    family!(
        Gauge "connection_tunnels" None, "Tunnels that the connection is configured with.",
        |connection| whole(connection.tunnels.len())
    ),
    family!(
        Gauge "connection_tunnels_up" None, "Tunnels of the connection that are up.",
        |connection| whole(connection.tunnels.iter().filter(|tunnel| tunnel.state == TunnelState::Up).count())
    ),
];

/// Those of a tunnel.
pub const OF_TUNNEL: &[(Kind, Family<TunnelStatus>)] = &[
    family!(Gauge "tunnel_up" None, "1 while the tunnel can carry traffic.", |tunnel| flag(tunnel.state == TunnelState::Up)),
    family!(
        Gauge "tunnel_wanted" None, "0 while an operator wants the tunnel down.",
        |tunnel| flag(tunnel.state != TunnelState::AdminDown)
    ),
    family!(Gauge "tunnel_active" None, "1 while routes point into the tunnel.", |tunnel| flag(tunnel.active)),
    family!(
        Gauge "tunnel_in_state" Some(Unit::Seconds), "How long the tunnel has been in its state.",
        |tunnel| whole(tunnel.since_s)
    ),
    family!(
        Gauge "tunnel_ike_up" None, "1 while there is an IKE SA.",
        |tunnel| flag(tunnel.ike.state == IkeState::Established)
    ),
    family!(
        Gauge "tunnel_esp_up" None, "1 while there is a child SA that the packet path uses.",
        |tunnel| flag(tunnel.esp.state == LinkState::Up)
    ),
    family!(
        Gauge "tunnel_probe_up" None, "1 while the peer is heard inside the tunnel.",
        |tunnel| flag(tunnel.probe.state == ProbeState::Up)
    ),
    family!(
        Gauge "tunnel_round_trip" Some(Unit::Seconds), "Round trip time inside the tunnel, smoothed.",
        |tunnel| tunnel.probe.rtt_ms.map(|millis| real(millis / 1e3))
    ),
    family!(
        Counter "tunnel_received" Some(Unit::Bytes), "Octets of the packets that came out of the tunnel.",
        |tunnel| counter(tunnel.esp.rx_bytes)
    ),
    family!(
        Counter "tunnel_sent" Some(Unit::Bytes), "Octets of the packets that went into the tunnel.",
        |tunnel| counter(tunnel.esp.tx_bytes)
    ),
    family!(
        Counter "tunnel_received_packets" None, "Packets that came out of the tunnel.",
        |tunnel| counter(tunnel.esp.rx_packets)
    ),
    family!(
        Counter "tunnel_sent_packets" None, "Packets that went into the tunnel.",
        |tunnel| counter(tunnel.esp.tx_packets)
    ),
    family!(
        Counter "tunnel_replay_drops" None, "Packets seen before, or too old for the replay window.",
        |tunnel| counter(tunnel.esp.drops.replay)
    ),
    family!(
        Counter "tunnel_integrity_drops" None, "Packets whose integrity check failed.",
        |tunnel| counter(tunnel.esp.drops.icv)
    ),
    family!(
        Counter "tunnel_other_drops" None, "Packets dropped for any other reason; the status names it.",
        |tunnel| counter(tunnel.esp.drops.other.values().sum())
    ),
    family!(Counter "tunnel_ike_rekeys" None, "Rekeys of the IKE SA.", |tunnel| counter(tunnel.ike.rekeys)),
    family!(Counter "tunnel_child_rekeys" None, "Rekeys of the child SA.", |tunnel| counter(tunnel.esp.rekeys)),
    family!(
        Gauge "tunnel_mtu" Some(Unit::Bytes), "Largest packet that fits into the tunnel.",
        |tunnel| tunnel.esp.mtu.map(whole)
    ),
    family!(
        Gauge "tunnel_bgp_up" None, "1 while the BGP session is established; absent where there is none to be.",
        |tunnel| tunnel.bgp.as_ref().map(|bgp| flag(bgp.state == ESTABLISHED))
    ),
    family!(
        Gauge "tunnel_bgp_received_prefixes" None, "Prefixes that the peer announces.",
        |tunnel| tunnel.bgp.as_ref().map(|bgp| whole(bgp.received))
    ),
    family!(
        Gauge "tunnel_bgp_sent_prefixes" None, "Prefixes that we announce to the peer.",
        |tunnel| tunnel.bgp.as_ref().map(|bgp| whole(bgp.sent))
    ),
    family!(
        Gauge "tunnel_routes" None, "Routes of the kernel that lead into the tunnel.",
        |tunnel| whole(tunnel.routes.installed)
    ),
];

/// Those of a cloud, of the calendar's month in UTC: they begin anew with it.
pub const OF_CLOUD: &[(Kind, Family<CloudTraffic>)] = &[
    family!(
        Gauge "month_received" Some(Unit::Bytes),
        "Octets that came from the cloud this month, as on the wire: what it bills as data transfer out.",
        |cloud| whole(cloud.in_bytes)
    ),
    family!(
        Gauge "month_sent" Some(Unit::Bytes), "Octets that went to the cloud this month, as on the wire.",
        |cloud| whole(cloud.out_bytes)
    ),
    family!(
        Gauge "month_connections" Some(Unit::Seconds),
        "How long the connections to the cloud have been there this month, in sum.",
        |cloud| whole(cloud.connection_s)
    ),
];

/// About what a cloud bills for the month; a currency cannot be added to another.
pub const MONTH_COST: &[(Kind, Family<CloudTraffic>)] = &[family!(
    Gauge "month_cost" None, "About what the cloud bills for this month, in units of the currency.",
    |cloud| real(cloud.cost)
)];

/// How long the traffic of a connection had no tunnel, each time that one was lost.
pub const FAILOVER_GAP: (&str, &str) =
    ("failover_gap", "How long the traffic of a connection had no tunnel, where one was lost.");

/// How long rekeys took, from the request to the new SA in use.
pub const REKEYS: [(Sa, (&str, &str)); 2] = [
    (Sa::Ike, ("connection_ike_rekey", "How long rekeys of IKE SAs took, from the request to the new SA.")),
    (
        Sa::Child,
        (
            "connection_child_rekey",
            "How long rekeys of child SAs took, from the request to the new SA in use.",
        ),
    ),
];

const fn counter(value: u64) -> Value {
    Value::Counter(value)
}

const fn real(value: f64) -> Value {
    Value::Real(value)
}

fn whole(value: impl TryInto<i64>) -> Value {
    Value::Whole(value.try_into().unwrap_or(i64::MAX))
}

const fn flag(set: bool) -> Value {
    Value::Whole(set as i64)
}

/// The state of a session that is up (RFC 4271 §8.2.2), as the status has it.
const ESTABLISHED: &str = "established";

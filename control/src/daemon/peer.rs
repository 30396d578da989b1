//! A configured tunnel as the IKE endpoint wants to hear of it.

use core::time::Duration;
use std::net::IpAddr;

use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::config::{Auth, PeerConfig, Retransmit};
use gotthard_ike::limits;

use crate::config::model::{Connection, Tunnel, TunnelAuth};

/// The peer of a tunnel, with our outer address `local`.
pub(super) fn peer_config(connection: &Connection, tunnel: &Tunnel, local: IpAddr) -> PeerConfig {
    let selectors = selectors(connection, tunnel);
    PeerConfig {
        mode: connection.mode,
        local,
        remote: tunnel.peer,
        local_id: tunnel.local_id.clone().unwrap_or_else(|| local.into()),
        remote_id: tunnel.peer_id.clone(),
        auth: auth(&tunnel.auth),
        ike_suites: connection.suites.clone(),
        esp_suites: connection.esp.clone(),
        ts_local: selectors.clone(),
        ts_remote: selectors,
        encapsulation: connection.encapsulation,
        dpd_interval: connection.dpd_interval,
        retransmit: retransmit(connection.dpd_interval),
        ike_lifetime: connection.lifetimes.ike,
        child_lifetime: connection.lifetimes.child,
        rekey_margin: connection.lifetimes.margin,
        rekey_fuzz: connection.lifetimes.fuzz,
        fragment_size: limits::FRAGMENT_SIZE,
        start_on_4500: false,
    }
}

fn auth(configured: &TunnelAuth) -> Auth {
    match configured {
        TunnelAuth::Psk(psk) => Auth::Psk(psk.0.clone()),
        TunnelAuth::Certificates(certificates) => Auth::Certificate(certificates.credentials.clone()),
    }
}

/// Who asks often whether the peer lives wants to know soon that it does not: the retransmissions shrink with the
/// interval, from 11.5 s in all at 10 s to 3.75 s at 1 s.
fn retransmit(dpd_interval: Duration) -> Retransmit {
    let usual = Retransmit::default();
    Retransmit { initial: usual.initial.min(dpd_interval / 4), max: usual.max.min(dpd_interval), ..usual }
}

/// Route-based: everything, of the families in use. A cloud that knows no IPv6 is not asked for it.
fn selectors(connection: &Connection, tunnel: &Tunnel) -> Vec<TrafficSelector> {
    let v6 = tunnel.insides().any(|net| net.addr().is_ipv6())
        || connection.remote.iter().any(|prefix| prefix.addr().is_ipv6());
    let v4 = !v6
        || tunnel.inside.is_none_or(|net| net.addr().is_ipv4())
        || connection.remote.iter().any(|prefix| prefix.addr().is_ipv4());
    let any_v4 = v4.then(TrafficSelector::any_v4);
    any_v4.into_iter().chain(v6.then(TrafficSelector::any_v6)).collect()
}

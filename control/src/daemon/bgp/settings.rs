//! From the configuration of a tunnel to its BGP session.

use core::time::Duration;
use std::net::Ipv4Addr;

use crate::bgp::codec::Families;
use crate::bgp::fsm;
use crate::bgp::guard::Neighbour;
use crate::bgp::speaker::{NextHops, Settings};
use crate::bgp_driver::Ends;
use crate::config::Config;
use crate::config::model::{Connection, Tunnel};

/// The session of a tunnel; `None` where routing is not by BGP.
pub(super) fn session(config: &Config, connection: &Connection, tunnel: &Tunnel) -> Option<Settings> {
    let (policy, bgp) = (connection.policy.as_ref()?, connection.bgp.as_ref()?);
    let (our_inside, asn) = (tunnel.inside?.addr(), tunnel.peer_asn?);
    let neighbour = Neighbour { asn, our_inside, our_inside6: tunnel.inside6.map(|net| net.addr()) };
    Some(Settings {
        config: fsm::Config {
            local_asn: config.gateway.asn?,
            peer_asn: asn,
            identifier: config.router_id().unwrap_or(ONLY_SPEAKER),
            families: NextHops::new(&neighbour).families(),
            hold_time: policy.hold_time,
            connect_retry: CONNECT_RETRY,
            passive: bgp.passive,
            restart_time: bgp.restart_time,
            // A daemon that ends takes its SAs and devices along: nothing is forwarded over a restart of it.
            preserved: Families::NONE,
        },
        neighbour,
        import: policy.import.clone(),
        export: policy.export.clone(),
        max_prefixes: policy.max_prefixes,
        excess: bgp.excess,
    })
}

/// Both ends of a tunnel's session.
pub(super) fn ends(connection: &Connection, tunnel: &Tunnel) -> Option<Ends> {
    let bgp = connection.bgp.as_ref()?;
    Some(Ends {
        ours: tunnel.inside?.addr(),
        peer: tunnel.peer_inside?,
        device: tunnel.interface.clone(),
        ttl_security: bgp.ttl_security,
        password: bgp.password.as_ref().map(|password| password.0.clone()),
    })
}

/// How long an attempt to connect may take. A cloud's end that was just replaced is worth another one soon.
const CONNECT_RETRY: Duration = Duration::from_secs(5);
/// The BGP Identifier of a speaker without an IPv4 address: it has to be unique in our AS alone (RFC 6286 §2.1).
const ONLY_SPEAKER: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

//! From the configuration of a tunnel to its BGP session.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::bgp::codec::Families;
use crate::bgp::fsm;
use crate::bgp::guard::{Neighbour, Site};
use crate::bgp::speaker::Settings;
use crate::bgp_driver::Ends;
use crate::config::Config;
use crate::config::model::{Connection, Local, Tunnel};

/// The session of a tunnel; `None` where routing is not by BGP.
pub(super) fn session(config: &Config, connection: &Connection, tunnel: &Tunnel) -> Option<Settings> {
    let bgp = connection.bgp.as_ref()?;
    let (our_inside, asn) = (tunnel.inside?.addr(), tunnel.peer_asn?);
    Some(Settings {
        config: fsm::Config {
            local_asn: config.gateway.asn?,
            peer_asn: asn,
            identifier: identifier(config),
            families: Families::ALL,
            hold_time: bgp.hold_time,
            connect_retry: CONNECT_RETRY,
            passive: bgp.passive,
            restart_time: bgp.restart_time,
            // A daemon that ends takes its SAs and devices along: nothing is forwarded over a restart of it.
            preserved: Families::NONE,
        },
        neighbour: Neighbour { asn, our_inside },
        import: bgp.import.clone(),
        export: bgp.export.clone(),
        max_prefixes: bgp.max_prefixes,
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

/// What of our own is kept from all peers.
pub(in crate::daemon) fn site(config: &Config) -> Site {
    let tunnels = || config.tunnels().map(|(_, tunnel)| tunnel);
    let local = match config.gateway.local {
        Local::Address(address) => Some(address),
        Local::Auto => None,
    };
    let linked = tunnels().filter_map(|tunnel| tunnel.inside).map(|inside| inside.trunc());
    let peers = tunnels().filter_map(|tunnel| tunnel.peer_inside).map(IpNet::from);
    Site {
        asn: config.gateway.asn.unwrap_or_default(),
        networks: config.gateway.advertise.clone(),
        outer: tunnels().map(|tunnel| tunnel.peer).chain(local).collect(),
        insides: linked.chain(peers).collect(),
    }
}

/// Our BGP Identifier, the same in every session (RFC 4271 §4.2): our outer address, else the first inside one, else, where
/// all is IPv6, what has to be unique in our AS alone (RFC 6286 §2.1).
fn identifier(config: &Config) -> Ipv4Addr {
    let outer = match config.gateway.local {
        Local::Address(IpAddr::V4(address)) => Some(address),
        Local::Address(IpAddr::V6(_)) | Local::Auto => None,
    };
    let inside = config.tunnels().find_map(|(_, tunnel)| match tunnel.inside?.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    outer.or(inside).unwrap_or(ONLY_SPEAKER)
}

/// How long an attempt to connect may take. A cloud's end that was just replaced is worth another one soon.
const CONNECT_RETRY: Duration = Duration::from_secs(5);
/// The identifier of a speaker without an IPv4 address.
const ONLY_SPEAKER: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

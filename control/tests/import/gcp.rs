//! Google Cloud: tunnels, gateway and router make one connection.

use gotthard::config::model::Routing;
use gotthard::import::{Origin, Refused, read};

use super::{ends, keys, one};

const ALL: &str = include_str!("files/gcp.json");

#[test]
fn tunnels_gateway_and_router_make_one_connection() {
    let found = one(Origin::Gcp, &[ALL]);
    assert_eq!((found.name.as_str(), found.routing, found.asn), ("ha-vpn", Routing::Bgp, Some(65010)));
    let expected = [
        ("198.51.100.31", "169.254.0.1", "169.254.0.2/30"),
        ("198.51.100.32", "169.254.1.1", "169.254.1.2/30"),
    ];
    assert_eq!(ends(&found), expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    assert!(found.tunnels.iter().all(|tunnel| tunnel.peer_asn == Some(64514)));
    assert_eq!(keys(&found), [Some("exampleTunnelOne_0123456789.abcd"), None], "asterisks are no key");
    assert_eq!(found.local, Some("203.0.113.10".parse().unwrap()));
}

#[test]
fn a_tunnel_alone_asks_for_its_gateway() {
    let tunnel = r#"{"kind": "compute#vpnTunnel", "name": "to-site", "peerIp": "203.0.113.10", "vpnGatewayInterface": 0}"#;
    let refused = read(Origin::Gcp, &[tunnel]).unwrap_err();
    assert!(
        matches!(refused, Refused::Missing { .. }) && refused.to_string().contains("vpn-gateways"),
        "{refused}"
    );
}

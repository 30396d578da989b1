//! The status object is a contract: every key is there, in its form, for a tunnel that is up and for one that is not.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;

use gotthard::api::status::{
    BgpStatus, BrokenLink, ConnectionState, ConnectionStatus, DataplaneStatus, Drops, Duty, EspStatus,
    IkeState, IkeStatus, Link, LinkState, NatStatus, ProbeState, ProbeStatus, RouteStatus, Status,
    TunnelState, TunnelStatus,
};
use serde_json::{Value, json};

#[test]
fn the_object_is_as_the_contract_has_it() {
    let expected = json!({"schema_version":1,
        "dataplane":{"backend":"io_uring","workers":2,"offloads":["tso","uso","udp_segment","udp_gro"],"cbc":"vaes+sha-ni"},
        "ike_refused":{"malformed":3,"unknown_spi":0},
        "connections":[{"name":"aws-prod","state":"degraded","tunnels":[
        {"name":"1","peer":"198.51.100.11","interface":"gth0","state":"up","active":true,"duty":"carrying","since_s":526_260,
         "ike":{"state":"established","suite":"aes256-sha256-modp2048","spi_i":"0102030405060708",
                "spi_r":"1112131415161718","rekeys":18,"nat":"none"},
         "esp":{"state":"up","suite":"aes256gcm16","encapsulation":"udp","mtu":1438,"mss":1398,"esn":true,
                "spi_in":"0a0b0c0d","spi_out":"1a1b1c1d",
                "rekeys":145,"rx_packets":1,"rx_bytes":2,"tx_packets":3,"tx_bytes":4,
                "drops":{"replay":0,"icv":0,"selectors":7}},
         "probe":{"state":"up","rtt_ms":8.1},
         "bgp":{"state":"established","peer_asn":64512,"received":12,"sent":1,"hold_time_s":30,"since_s":600,"error":null},
         "routes":{"installed":12,"by":{}},"broken":null},
        {"name":"2","peer":"198.51.100.12","interface":"gth1","state":"admin-down","active":false,"duty":"none","since_s":0,
         "ike":{"state":"down","suite":null,"spi_i":null,"spi_r":null,"rekeys":0,"nat":null},
         "esp":{"state":"down","suite":null,"encapsulation":null,"mtu":null,"mss":null,"esn":null,"spi_in":null,"spi_out":null,"rekeys":0,
                "rx_packets":0,"rx_bytes":0,"tx_packets":0,"tx_bytes":0,"drops":{"replay":0,"icv":0}},
         "probe":{"state":"off","rtt_ms":null},"bgp":null,"routes":{"installed":0,"by":{}},
         "broken":{"link":"ike","code":"GTH-IKE-01","message":"taken down","remedy":"gotthard up aws-prod/2"}}]}]});
    assert_eq!(serde_json::to_value(status()).unwrap(), expected);
    assert_eq!(serde_json::from_value::<Status>(expected).unwrap(), status());
}

#[test]
fn an_up_and_a_down_tunnel_have_the_same_keys() {
    let value = serde_json::to_value(status()).unwrap();
    let tunnels = &value["connections"][0]["tunnels"];
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&tunnels[0]), keys(&tunnels[1]));
    for part in ["ike", "probe", "routes"] {
        assert_eq!(keys(&tunnels[0][part]), keys(&tunnels[1][part]), "{part}");
    }
}

fn status() -> Status {
    let dataplane = DataplaneStatus {
        backend: "io_uring".to_owned(),
        workers: 2,
        offloads: ["tso", "uso", "udp_segment", "udp_gro"].map(str::to_owned).into(),
        cbc: "vaes+sha-ni".to_owned(),
    };
    let connection = ConnectionStatus {
        name: "aws-prod".to_owned(),
        state: ConnectionState::Degraded,
        tunnels: vec![up(), down()],
    };
    let ike_refused = BTreeMap::from([("malformed".to_owned(), 3), ("unknown_spi".to_owned(), 0)]);
    Status { ike_refused, ..Status::new(dataplane, vec![connection]) }
}

fn up() -> TunnelStatus {
    TunnelStatus {
        name: "1".to_owned(),
        peer: "198.51.100.11".parse().unwrap(),
        interface: "gth0".to_owned(),
        state: TunnelState::Up,
        active: true,
        duty: Duty::Carrying,
        since_s: 526_260,
        ike: IkeStatus {
            state: IkeState::Established,
            suite: Some("aes256-sha256-modp2048".to_owned()),
            spi_i: Some("0102030405060708".to_owned()),
            spi_r: Some("1112131415161718".to_owned()),
            rekeys: 18,
            nat: Some(NatStatus::None),
        },
        esp: EspStatus {
            state: LinkState::Up,
            suite: Some("aes256gcm16".to_owned()),
            encapsulation: Some("udp".to_owned()),
            mtu: Some(1438),
            mss: Some(1398),
            esn: Some(true),
            spi_in: Some("0a0b0c0d".to_owned()),
            spi_out: Some("1a1b1c1d".to_owned()),
            rekeys: 145,
            rx_packets: 1,
            rx_bytes: 2,
            tx_packets: 3,
            tx_bytes: 4,
            drops: Drops { replay: 0, icv: 0, other: BTreeMap::from([("selectors".to_owned(), 7)]) },
        },
        probe: ProbeStatus { state: ProbeState::Up, rtt_ms: Some(8.1) },
        bgp: Some(BgpStatus {
            state: "established".to_owned(),
            peer_asn: 64512,
            received: 12,
            sent: 1,
            hold_time_s: Some(30),
            since_s: Some(600),
            error: None,
        }),
        routes: RouteStatus::ours(12),
        broken: None,
    }
}

fn down() -> TunnelStatus {
    TunnelStatus {
        name: "2".to_owned(),
        peer: "198.51.100.12".parse().unwrap(),
        interface: "gth1".to_owned(),
        state: TunnelState::AdminDown,
        active: false,
        duty: Duty::None,
        since_s: 0,
        ike: IkeStatus { state: IkeState::Down, suite: None, spi_i: None, spi_r: None, rekeys: 0, nat: None },
        esp: EspStatus {
            state: LinkState::Down,
            suite: None,
            encapsulation: None,
            mtu: None,
            mss: None,
            esn: None,
            spi_in: None,
            spi_out: None,
            rekeys: 0,
            rx_packets: 0,
            rx_bytes: 0,
            tx_packets: 0,
            tx_bytes: 0,
            drops: Drops::default(),
        },
        probe: ProbeStatus { state: ProbeState::Off, rtt_ms: None },
        bgp: None,
        routes: RouteStatus::default(),
        broken: Some(BrokenLink {
            link: Link::Ike,
            code: "GTH-IKE-01".to_owned(),
            message: "taken down".to_owned(),
            remedy: "gotthard up aws-prod/2".to_owned(),
        }),
    }
}

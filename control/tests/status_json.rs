//! The status object is a contract, and its page is docs/status.md: every key is there, in its form, for a tunnel that is up
//! and for one that is not, and every name that counts something is explained.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;

use gotthard::api::status::{
    BgpStatus, BrokenLink, CloudTraffic, ConnectionState, ConnectionStatus, DataplaneStatus, Drops, Duty,
    EspStatus, IkeState, IkeStatus, Link, LinkState, MonthTraffic, NatStatus, Note, ProbeState, ProbeStatus,
    RouteStatus, Status, TrafficStatus, TunnelState, TunnelStatus,
};
use gotthard::config::presets::Cloud;
use gotthard::cost::Amount;
use gotthard_dataplane::drop_reason::DropReason;
use gotthard_ike::error::Refusal;
use serde_json::Value;

#[test]
fn the_object_is_as_its_page_shows_it() {
    let shown = PAGE.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let expected: Value = serde_json::from_str(shown).unwrap();
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
    let fixed = serde_json::to_value(TunnelStatus { bgp: None, ..up() }).unwrap();
    assert_eq!((keys(&fixed), &fixed["bgp"]), (keys(&tunnels[0]), &Value::Null), "without BGP");
}

#[test]
fn the_page_explains_every_reason_that_is_counted() {
    for reason in DropReason::ALL {
        let row = format!("\n| `{}` | {} |\n", reason.name(), reason.sentence());
        assert!(PAGE.contains(&row), "{row}");
    }
    let (_, refusals) = PAGE.split_once("\n## IKE datagrams").unwrap();
    let rows: Vec<&str> = refusals.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let names: Vec<&str> = rows.iter().filter_map(|row| row.split('`').next()).collect();
    assert_eq!(names, Refusal::ALL.map(Refusal::name));
}

#[test]
fn the_cost_that_is_shown_is_what_the_list_says_of_what_is_shown() {
    let [cloud] = status().traffic.this_month.clouds.try_into().unwrap();
    let cost = Amount::of(&Cloud::Aws.list_price(), cloud.in_bytes, cloud.connection_s);
    assert!((cost.units() - cloud.cost).abs() < 1e-9, "{}", cost.units());
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
    let traffic = CloudTraffic {
        cloud: "aws".to_owned(),
        in_bytes: 1_200_000_000_000,
        out_bytes: 80_300_000_000,
        connection_s: 1_555_200,
        cost: 122.18,
        currency: "USD".to_owned(),
    };
    let this_month = MonthTraffic { month: "2026-11".to_owned(), clouds: vec![traffic] };
    let traffic = TrafficStatus { this_month, last_month: None };
    Status { ike_refused, traffic, ..Status::new(dataplane, vec![connection]) }
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
            rx_packets: 1_100_000,
            rx_bytes: 1_500_000_000,
            tx_packets: 900_000,
            tx_bytes: 200_000_000,
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
        notes: vec![Note {
            code: "GTH-ESP-08".to_owned(),
            message: "sends 1.2 Gb/s, 97 % of the 1.25 Gb/s of AWS's standard tunnel".to_owned(),
            remedy: "spread flows over more tunnels (`ecmp`), …".to_owned(),
        }],
    }
}

fn down() -> TunnelStatus {
    TunnelStatus {
        name: "2".to_owned(),
        peer: "198.51.100.12".parse().unwrap(),
        interface: "gth1".to_owned(),
        state: TunnelState::Down,
        active: false,
        duty: Duty::None,
        since_s: 252,
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
        probe: ProbeStatus { state: ProbeState::Down, rtt_ms: None },
        bgp: Some(BgpStatus {
            state: "idle".to_owned(),
            peer_asn: 64512,
            received: 0,
            sent: 0,
            hold_time_s: None,
            since_s: None,
            error: None,
        }),
        routes: RouteStatus::default(),
        broken: Some(BrokenLink {
            link: Link::Ike,
            code: "GTH-IKE-01".to_owned(),
            message: "no IKE (phase 1) proposal chosen: …".to_owned(),
            remedy: "in the cloud console allow one of our suites for phase 1, …".to_owned(),
        }),
        notes: Vec::new(),
    }
}

const PAGE: &str = include_str!("../../docs/status.md");

//! Seeds of the BGP targets: messages of regular peers, and scripts with the steps of `src/bgp/session.rs` and
//! `src/bgp/link.rs`.

use std::net::{IpAddr, Ipv4Addr};

use gotthard::bgp::codec::capability::{Capabilities, GracefulRestart};
use gotthard::bgp::codec::iana::cease;
use gotthard::bgp::codec::{Families, Family, Notification, Open, RouteRefresh, Session, announce, header};
use gotthard::bgp::route::{Aggregator, AsPath, AsSegment, Community, LargeCommunity, Origin, Path};

use super::Seed;

/// Target, name, octets.
pub(super) fn messages() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let stream = [
        open().emit(),
        header::keepalive(),
        routes(IPV4, "10.200.0.0/16"),
        routes(IPV6, "fd00:200::/32"),
        announce::withdraw(&["10.201.0.0/16".parse().expect("a prefix")]).concat(),
        announce::end_of_rib(Family::Ipv4),
        announce::end_of_rib(Family::Ipv6),
        RouteRefresh { family: Family::Ipv6 }.emit(),
        Notification::with_text(cease::SHUTDOWN, "back at 06:00").hard().emit(),
    ];
    let of_old = Session { four_octet_as: false, ..SESSION };
    let wide = announce::announce(&path(IPV4), &["10.0.0.0/8".parse().expect("a prefix")], of_old);
    let update = |terms: u8, message: &[u8]| [&[terms], body(message)].concat();
    vec![
        ("bgp_message", "session", [&[23, 200][..], &stream.concat()].concat()),
        ("bgp_message", "octet_by_octet", [&[0, 0][..], &stream[0], &stream[2]].concat()),
        ("bgp_open", "all_capabilities", body(&open().emit()).to_vec()),
        ("bgp_open", "none", body(&Open { capabilities: Capabilities::default(), ..open() }.emit()).to_vec()),
        (
            "bgp_open",
            "long_parameters",
            [&[4, 0xfc, 0, 0, 30, 1, 2, 3, 4, 255, 255, 0, 5, 2, 0, 2, 2, 0][..]].concat(),
        ),
        ("bgp_update", "ipv4", update(0, &stream[2])),
        ("bgp_update", "ipv6", update(0, &stream[3])),
        ("bgp_update", "withdraw", update(0, &stream[4])),
        ("bgp_update", "end_of_ipv6", update(0, &stream[6])),
        ("bgp_update", "two_octets", update(1, &wide.expect("it fits").concat())),
        ("bgp_update", "internal", update(4, &stream[2])),
    ]
}

/// Scripts, and rules as they are written.
pub(super) const SCRIPTS: &[Seed] = &[
    ("bgp_session", "established", &[0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 4, 0, 3, 0, 4, 0, 0x80, 1, 6, 0, 1, 0, 10, 5]),
    ("bgp_session", "holds_its_time", &[0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 25, 3, 0, 0, 0, 2, 4]),
    ("bgp_session", "collides", &[0, 8, 1, 2, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 3, 0, 0, 3, 1, 0]),
    ("bgp_session", "restarts", &[0, 1, 2, 0, 16, 0, 0, 0, 0, 3, 0, 0, 4, 0, 3, 0, 9, 0, 0, 1, 9, 8, 2, 0, 16, 0, 0, 0, 0, 3, 0, 0]),
    ("bgp_session", "says_why", &[0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 5, 0, 6, 2, 6, 5, b'm', b'o', b'v', b'e', b'd', 0]),
    ("bgp_session", "passive", &[1, 8, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 4, 0, 0x40, 0]),
    ("bgp_session", "without_hold_time", &[8, 1, 2, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 2, 20]),
    ("bgp_session", "is_stopped", &[0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 10, 1, 10, 0, 1, 10, 4]),
    ("bgp_session", "octets", &[0, 1, 7, 0, 1, 4, 4, 0xfc, 0, 0, 0, 11, 0, 3, 1, 2, 3, 1]),
    ("bgp_pair", "good", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("bgp_pair", "crosses", &[0, 3, 5, 0, 0, 0, 0, 0, 0, 3, 50, 0, 0, 0, 0]),
    ("bgp_pair", "loses", &[1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 3, 50, 0, 0, 0x86, 0]),
    ("bgp_pair", "garbles", &[2, 0, 0, 5, 17, 1, 0, 4, 10, 0, 0, 5, 30, 255]),
    ("bgp_pair", "stops", &[4, 0, 0, 0, 0, 7, 1, 4, 3, 7, 0, 0x87, 3, 0, 0]),
    (
        "prefix_list",
        "lists",
        b"deny 10.200.9.0/24 le 32\n10.200.0.0/16 le 24\n10.0.0.0/8 ge 16 le 16\nfd00:200::/32 ge 48\n\
          12076:*\n12076:51004\n64512:1:2\n64512:1:*\n10.200.9.0/24\n10.200.1.0/24\nfd00:200:1::/48\n0.0.0.0/0\n",
    ),
];

fn open() -> Open {
    Open {
        asn: 64512,
        hold_time: 30,
        identifier: Ipv4Addr::new(169, 254, 10, 1),
        capabilities: Capabilities {
            families: Some(Families::ALL),
            route_refresh: true,
            four_octet_as: Some(64512),
            graceful_restart: Some(GracefulRestart {
                notification: true,
                time: 120,
                families: Families::ALL,
                preserved: Families::IPV4,
                restarting: false,
            }),
        },
    }
}

fn routes(next_hop: IpAddr, prefix: &str) -> Vec<u8> {
    let prefixes = [prefix.parse().expect("a prefix")];
    announce::announce(&path(next_hop), &prefixes, SESSION).expect("it fits").concat()
}

/// A path with every attribute.
fn path(next_hop: IpAddr) -> Path {
    let segments = vec![AsSegment::Sequence(vec![64512, 4_200_000_000]), AsSegment::Set(vec![1, 70_000])];
    Path {
        origin: Origin::Incomplete,
        as_path: AsPath(segments),
        med: Some(100),
        local_pref: Some(200),
        atomic_aggregate: true,
        aggregator: Some(Aggregator { asn: 70_000, identifier: Ipv4Addr::new(192, 0, 2, 9) }),
        communities: vec![Community::new(12076, 51004), Community::GRACEFUL_SHUTDOWN],
        large_communities: vec![LargeCommunity { global: 64512, local1: 1, local2: 2 }],
        ..Path::local(next_hop)
    }
}

/// What is behind the header.
fn body(message: &[u8]) -> &[u8] {
    &message[header::HEADER..]
}

const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 10, 1));
const IPV6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
const SESSION: Session =
    Session { peer_asn: 64512, external: false, four_octet_as: true, families: Families::ALL };

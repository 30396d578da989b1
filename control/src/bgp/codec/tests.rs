//! UPDATEs: round trips, RFC 7606 line by line, and octets that no speaker sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;

use super::announce::{self, Unsayable};
use super::flaw::{Handling, What};
use super::iana::{AttributeType, MessageType};
use super::*;
use crate::bgp::route::{Aggregator, AsPath, AsSegment, Community, LargeCommunity, Origin, Path, Route};

mod hostile;

const SESSION: Session =
    Session { peer_asn: 64512, external: true, four_octet_as: true, families: Families::ALL };
/// Of a peer that knows two-octet AS numbers alone.
const OLD: Session = Session { four_octet_as: false, ..SESSION };

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 10, 1));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn rich(next_hop: IpAddr) -> Path {
    Path {
        origin: Origin::Incomplete,
        as_path: AsPath(vec![
            AsSegment::Sequence(vec![64512, 4_200_000_000]),
            AsSegment::Set(vec![1, 70_000]),
        ]),
        med: Some(200),
        atomic_aggregate: true,
        aggregator: Some(Aggregator { asn: 4_200_000_000, identifier: Ipv4Addr::new(192, 0, 2, 9) }),
        communities: vec![Community::new(12076, 51004), Community::NO_EXPORT],
        large_communities: vec![LargeCommunity { global: 64512, local1: 1, local2: 2 }],
        ..Path::local(next_hop)
    }
}

/// What the other end reads of our messages.
fn read(messages: &[Vec<u8>], session: Session) -> Update {
    let mut all = Update::default();
    for message in messages {
        let (frame, rest) = Frame::split(message).unwrap().unwrap();
        assert_eq!((frame.kind, rest.len()), (MessageType::UPDATE, 0));
        let update = Update::parse(frame.body, session).unwrap();
        all.withdrawn.extend(update.withdrawn);
        all.announced.extend(update.announced);
        all.flaws.extend(update.flaws);
        all.end_of_rib = update.end_of_rib;
    }
    all
}

#[test]
fn routes_of_both_families_are_read_as_they_are_written() {
    for session in [SESSION, OLD] {
        for (next_hop, prefixes) in [(V4, ["10.0.0.0/8", "0.0.0.0/0"]), (V6, ["fd00:1::/48", "::/0"])] {
            let (path, prefixes) = (rich(next_hop), prefixes.map(net));
            let messages = announce::announce(&path, &prefixes, session).unwrap();
            assert_eq!(messages.len(), 1);
            let update = read(&messages, session);
            assert_eq!(update.announced.iter().map(|route| route.prefix).collect::<Vec<_>>(), prefixes);
            assert!(update.announced.iter().all(|route| *route.path == path), "{update:?}");
            assert_eq!((update.flaws, update.withdrawn), (vec![], vec![]));
        }
    }
}

#[test]
fn local_pref_stays_within_an_as() {
    let path = Path { local_pref: Some(200), ..rich(V4) };
    let sent = |session: Session| announce::announce(&path, &[net("10.0.0.0/8")], session).unwrap();
    let internal = Session { external: false, ..SESSION };
    assert_eq!(read(&sent(internal), internal).announced[0].path.local_pref, Some(200));
    assert_eq!(read(&sent(SESSION), SESSION).announced[0].path.local_pref, None);
    let update = read(&sent(internal), SESSION);
    assert_eq!(update.announced[0].path.local_pref, None, "an external peer does not set our preference");
    assert_eq!(update.flaws[0].what, What::Misplaced);
}

#[test]
fn ten_thousand_prefixes_go_in_full_messages() {
    let v4: Vec<IpNet> = (0..10_000_u32)
        .map(|n| IpNet::new(Ipv4Addr::from_bits((10 << 24) | (n << 8)).into(), 24).unwrap())
        .collect();
    let v6: Vec<IpNet> = (0..10_000_u128)
        .map(|n| IpNet::new(Ipv6Addr::from_bits((0xfd << 120) | (n << 64)).into(), 64).unwrap())
        .collect();
    for (next_hop, prefixes) in [(V4, v4), (V6, v6)] {
        let messages = announce::announce(&rich(next_hop), &prefixes, SESSION).unwrap();
        assert!(messages.len() < 30 && messages.iter().all(|message| message.len() <= header::MAX_MESSAGE));
        let update = read(&messages, SESSION);
        assert_eq!(update.announced.iter().map(|route| route.prefix).collect::<Vec<_>>(), prefixes);
        let messages = announce::withdraw(&prefixes);
        assert!(messages.len() < 30 && messages.iter().all(|message| message.len() <= header::MAX_MESSAGE));
        assert_eq!(read(&messages, SESSION).withdrawn, prefixes);
    }
}

#[test]
fn what_cannot_be_told_is_not_sent() {
    let long = Path { communities: (0..2000).map(Community).collect(), ..rich(V4) };
    assert_eq!(announce::announce(&long, &[net("10.0.0.0/8")], SESSION), Err(Unsayable::TooLong));
    assert_eq!(announce::announce(&rich(V4), &[net("fd00::/8")], SESSION), Err(Unsayable::NextHop));
    assert_eq!(announce::announce(&rich(V4), &[], SESSION), Ok(vec![]));
    assert_eq!(announce::withdraw(&[]), Vec::<Vec<u8>>::new());
}

#[test]
fn the_end_of_the_routes_is_told_for_each_family() {
    for family in Family::ALL {
        let update = read(&[announce::end_of_rib(family)], SESSION);
        assert_eq!(update, Update { end_of_rib: Some(family), ..Update::default() });
        let other: Families = Family::ALL.into_iter().filter(|other| *other != family).collect();
        let narrow = Session { families: other, ..SESSION };
        assert_eq!(read(&[announce::end_of_rib(family)], narrow).end_of_rib, None);
    }
    // The form that ends IPv4 routes by MP_UNREACH_NLRI, and one with a length of two octets.
    for field in [&[0x80, 15, 3, 0, 1, 1][..], &[0x90, 15, 0, 3, 0, 1, 1]] {
        let update = Update::parse(&hostile::body(&[], field, &[]), SESSION).unwrap();
        assert_eq!(update.end_of_rib, Some(Family::Ipv4));
    }
}

#[test]
fn a_next_hop_with_a_link_local_one_behind_it_is_the_global_one() {
    let mut value = vec![0, 2, 1, 32];
    value.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets());
    value.extend(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets());
    value.extend([0, 8, 0xfd]);
    let field =
        [&hostile::attribute(0x80, AttributeType::MP_REACH_NLRI, &value)[..], &hostile::mandatory()].concat();
    let update = Update::parse(&hostile::body(&[], &field, &[]), SESSION).unwrap();
    assert_eq!(update.announced.len(), 1);
    assert_eq!((update.announced[0].prefix, update.announced[0].path.next_hop), (net("fd00::/8"), V6));
}

fn paths() -> impl Strategy<Value = Path> {
    let segment = (any::<bool>(), prop::collection::vec(1..u32::MAX, 1..20))
        .prop_map(|(set, asns)| if set { AsSegment::Set(asns) } else { AsSegment::Sequence(asns) });
    let first = prop::collection::vec(1..u32::MAX, 0..10)
        .prop_map(|rest| AsSegment::Sequence([vec![SESSION.peer_asn], rest].concat()));
    let as_path = (first, prop::collection::vec(segment, 0..4))
        .prop_map(|(first, rest)| AsPath([vec![first], rest].concat()));
    let communities = prop::collection::btree_set(any::<u32>().prop_map(Community), 0..80);
    (as_path, any::<Option<u32>>(), communities, any::<bool>(), any::<bool>()).prop_map(
        |(as_path, med, communities, atomic_aggregate, wide)| Path {
            as_path,
            med,
            communities: communities.into_iter().collect(),
            atomic_aggregate,
            ..Path::local(if wide { V6 } else { V4 })
        },
    )
}

proptest! {
    #[test]
    fn any_path_is_read_as_it_is_written(path in paths(), lengths in prop::collection::vec(0..=32_u8, 1..50)) {
        let prefixes: Vec<IpNet> = lengths
            .iter()
            .map(|length| IpNet::new(path.next_hop, *length).unwrap().trunc())
            .collect();
        let update = read(&announce::announce(&path, &prefixes, SESSION).unwrap(), SESSION);
        let expected: Vec<Route> = prefixes
            .into_iter()
            .map(|prefix| Route { prefix, path: path.clone().into() })
            .collect();
        prop_assert_eq!(update.announced, expected);
    }

    #[test]
    fn no_octets_make_a_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..200), wide: bool, external: bool) {
        let session = Session { four_octet_as: wide, external, ..SESSION };
        let _ = Update::parse(&octets, session);
        let _ = Open::parse(&octets);
        let _ = RouteRefresh::parse(&octets);
        let _ = Notification::parse(&octets).to_string();
        let _ = Frame::split(&octets);
    }

    #[test]
    fn an_update_with_one_octet_changed_costs_no_more_than_its_own_routes(at: prop::sample::Index, value: u8) {
        let prefixes = [net("10.0.0.0/8"), net("10.1.0.0/16")];
        let messages = announce::announce(&rich(V4), &prefixes, SESSION).unwrap();
        let mut body = messages[0][header::HEADER..].to_vec();
        let at = at.index(body.len());
        body[at] = value;
        if let Ok(update) = Update::parse(&body, SESSION) {
            let withdraws = update.flaws.iter().any(|flaw| flaw.handling == Handling::TreatAsWithdraw);
            prop_assert!(!withdraws || update.announced.is_empty());
        }
    }
}

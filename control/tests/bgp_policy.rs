//! What is taken from a peer and what is offered to one: guards, prefix lists, communities; each refusal with its reason.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::net::IpAddr;
use std::sync::Arc;

use gotthard::bgp::guard::{MOST_ASNS, Neighbour, Site};
use gotthard::bgp::policy::{
    Action, CommunityPattern, CommunityRule, Export, Filter, Import, LOCAL_PREF, LOCAL_PREF_PRIVATE_LINE,
    PrefixList, PrefixRule, Rank,
};
use gotthard::bgp::refusal::Refusal;
use gotthard::bgp::route::{AsPath, AsSegment, Community, Path, Route};
use ipnet::IpNet;
use proptest::prelude::*;

/// H31, RFC 8212 §2: without a policy nothing comes in or goes out.
#[test]
fn without_a_policy_nothing_passes() {
    assert_eq!(Import::default().admit(&site(), &NEIGHBOUR, &route("10.200.0.0/16")), Err(Refusal::NoPolicy));
    let export = Export { filter: Filter::default(), ..export() };
    assert_eq!(export.offers(&[net("10.10.0.0/16")]), [(net("10.10.0.0/16"), Err(Refusal::NoPolicy))]);
}

/// H31: what cuts a site off is refused whatever the policy says, and the reason is told.
#[test]
fn guards_refuse_what_would_cut_us_off() {
    let inside = |text| Some(Refusal::Inside(net(text)));
    let own = |text| Some(Refusal::OwnNetwork(net(text)));
    let martian = |text| Some(Refusal::Martian(net(text)));
    let table: [(&str, Option<Refusal>); 30] = [
        ("10.200.0.0/16", None),
        ("10.200.1.1/32", None),
        ("10.0.0.0/8", None),
        ("100.64.0.0/10", None),
        ("198.51.100.0/24", None),
        ("fd00:200::/32", None),
        ("2001:db8::/32", None),
        ("0.0.0.0/0", Some(Refusal::DefaultRoute)),
        ("0.0.0.0/1", Some(Refusal::DefaultRoute)),
        ("128.0.0.0/1", Some(Refusal::DefaultRoute)),
        ("64.0.0.0/7", Some(Refusal::DefaultRoute)),
        ("::/0", Some(Refusal::DefaultRoute)),
        ("2000::/3", Some(Refusal::DefaultRoute)),
        ("10.10.0.0/16", own("10.10.0.0/16")),
        ("10.10.7.0/24", own("10.10.0.0/16")),
        ("10.10.7.7/32", own("10.10.0.0/16")),
        ("fd00:10:0:1::/64", own("fd00:10::/32")),
        ("198.51.100.11/32", Some(Refusal::OuterAddress(ip("198.51.100.11")))),
        ("203.0.113.10/32", Some(Refusal::OuterAddress(ip("203.0.113.10")))),
        ("2001:db8::11/128", Some(Refusal::OuterAddress(ip("2001:db8::11")))),
        ("10.99.0.1/32", inside("10.99.0.0/30")),
        ("fd00:99::/126", inside("fd00:99::/126")),
        ("0.1.0.0/16", martian("0.0.0.0/8")),
        ("127.0.0.1/32", martian("127.0.0.0/8")),
        ("169.254.0.0/16", martian("169.254.0.0/16")),
        ("239.1.0.0/16", martian("224.0.0.0/3")),
        ("255.255.255.255/32", martian("224.0.0.0/3")),
        ("::1/128", martian("::/8")),
        ("fe80::/64", martian("fe80::/10")),
        ("ff02::/16", martian("ff00::/8")),
    ];
    for (prefix, refused) in table {
        assert_eq!(guarded().admit(&site(), &NEIGHBOUR, &route(prefix)).err(), refused, "{prefix}");
    }
}

#[test]
fn a_default_route_is_taken_where_it_is_allowed() {
    let import = Import { default_route: true, ..guarded() };
    for prefix in ["0.0.0.0/0", "128.0.0.0/1", "::/0"] {
        assert_eq!(import.admit(&site(), &NEIGHBOUR, &route(prefix)), Ok(LOCAL_PREF), "{prefix}");
    }
}

#[test]
fn guards_refuse_paths_that_cannot_be_the_peers() {
    let refused = |path: Path| {
        let route = Route { prefix: net("10.200.0.0/16"), path: Arc::new(path) };
        guarded().admit(&site(), &NEIGHBOUR, &route).err()
    };
    assert_eq!(refused(path(&[64512, 7224])), None);
    assert_eq!(refused(path(&[64512, 65010])), Some(Refusal::Loop(65010)));
    assert_eq!(refused(path(&[7224])), Some(Refusal::FirstAs { peer: 64512, found: Some(7224) }));
    assert_eq!(refused(path(&[])), Some(Refusal::FirstAs { peer: 64512, found: None }));
    let ours = ["169.254.10.2", "fd00:10::2"];
    for (next_hop, ours) in [(ours[0], ours[0]), ("::ffff:169.254.10.2", ours[0]), (ours[1], ours[1])] {
        let path = Path { next_hop: ip(next_hop), ..path(&[64512]) };
        assert_eq!(refused(path), Some(Refusal::NextHop(ip(ours))), "{next_hop}");
    }
}

/// H32: each prefix may have a path of its own, so that the longest one counts as often as there are prefixes.
#[test]
fn guards_refuse_paths_that_are_too_long_in_whatever_segments() {
    let refused = |segments: Vec<AsSegment>| {
        let path = Path { as_path: AsPath(segments), ..path(&[]) };
        guarded()
            .admit(&site(), &NEIGHBOUR, &Route { prefix: net("10.200.0.0/16"), path: Arc::new(path) })
            .err()
    };
    let too_long = |asns| Some(Refusal::PathTooLong { asns, most: MOST_ASNS });
    let first = AsSegment::Sequence(vec![64512]);
    for asns in [MOST_ASNS - 1, MOST_ASNS, 2_000] {
        let expected = too_long(asns + 1).filter(|_| asns >= MOST_ASNS);
        let set = AsSegment::Set((1_u32..).take(asns).collect());
        assert_eq!(refused(vec![first.clone(), set]), expected, "{asns} in a set");
        let singles = (1_u32..).take(asns).map(|asn| AsSegment::Set(vec![asn]));
        assert_eq!(refused([first.clone()].into_iter().chain(singles).collect()), expected, "{asns} sets");
        assert_eq!(refused(vec![AsSegment::Sequence(vec![64512; asns + 1])]), expected, "{asns} prepended");
    }
}

#[test]
fn the_first_rule_of_a_prefix_list_that_matches_decides() {
    let rules =
        ["deny 10.200.9.0/24 le 32", "10.200.0.0/16 le 24", "10.0.0.0/8 ge 16 le 16", "fd00:200::/32 ge 48"];
    let list = PrefixList(rules.map(|rule| rule.parse().unwrap()).to_vec());
    let import = Import { filter: Filter::Listed(list), ..guarded() };
    let table = [
        ("10.200.0.0/16", true),
        ("10.200.1.0/24", true),
        ("10.200.1.0/25", false),
        ("10.200.9.0/24", false),
        ("10.200.9.8/32", false),
        ("10.3.0.0/16", true),
        ("10.0.0.0/8", false),
        ("10.3.0.0/17", false),
        ("192.168.0.0/16", false),
        ("fd00:200::/32", false),
        ("fd00:200:1::/48", true),
        ("fd00:200::1/128", true),
    ];
    for (prefix, permitted) in table {
        let expected = if permitted { Ok(LOCAL_PREF) } else { Err(Refusal::NotListed) };
        assert_eq!(import.admit(&site(), &NEIGHBOUR, &route(prefix)), expected, "{prefix}");
    }
}

#[test]
fn a_rule_that_can_match_nothing_or_too_much_is_no_rule() {
    for text in [
        "",
        "deny",
        "10.200.0.0",
        "10.200.0.1/16",
        "10.200.0.0/33",
        "10.200.0.0/16 le",
        "10.200.0.0/16 le 33",
        "10.200.0.0/16 le 8",
        "10.200.0.0/16 ge 24 le 20",
        "10.200.0.0/16 le 24 le 25",
        "10.200.0.0/16 to 24",
        "permit 10.200.0.0/16",
    ] {
        assert!(text.parse::<PrefixRule>().is_err(), "{text:?}");
    }
}

#[test]
fn communities_are_read_and_give_the_preference() {
    let rule = |pattern: &str, action| CommunityRule { pattern: pattern.parse().unwrap(), action };
    let import = Import {
        communities: vec![
            rule("12076:5010", Action::Refuse),
            rule("12076:*", Action::LocalPref(LOCAL_PREF_PRIVATE_LINE)),
            rule("64512:1:*", Action::LocalPref(50)),
        ],
        ..guarded()
    };
    let admitted = |communities: &[&str], large: &[&str]| {
        let mut path = path(&[64512]);
        path.communities = communities.iter().map(|text| text.parse().unwrap()).collect();
        path.large_communities = large.iter().map(|text| text.parse().unwrap()).collect();
        import.admit(&site(), &NEIGHBOUR, &Route { prefix: net("10.200.0.0/16"), path: Arc::new(path) })
    };
    assert_eq!(admitted(&[], &[]), Ok(LOCAL_PREF));
    assert_eq!(admitted(&["12076:51004"], &[]), Ok(LOCAL_PREF_PRIVATE_LINE));
    assert_eq!(
        admitted(&["12076:5010", "12076:51004"], &[]),
        Err(Refusal::Community("12076:5010".to_owned()))
    );
    assert_eq!(admitted(&["12077:51004"], &["12076:1:1"]), Ok(LOCAL_PREF_PRIVATE_LINE));
    assert_eq!(admitted(&[], &["64512:1:7"]), Ok(50));
    assert_eq!(admitted(&["64512:1"], &["64512:2:7"]), Ok(LOCAL_PREF));
    assert_eq!(admitted(&["65535:0"], &[]), Ok(0), "GRACEFUL_SHUTDOWN");
}

#[test]
fn a_pattern_is_shown_as_it_is_written() {
    for text in ["12076:*", "12076:51004", "4200000000:1:2", "64512:1:*"] {
        assert_eq!(text.parse::<CommunityPattern>().unwrap().to_string(), text);
    }
    for text in ["", "*", "*:1", "12076", "65536:1", "12076:+1", "1:2:3:4", "1:*:2", "12076:65536"] {
        assert!(text.parse::<CommunityPattern>().is_err(), "{text:?}");
    }
}

/// H32 from our side: a cloud ends the session of who offers it too much.
#[test]
fn no_more_is_offered_than_the_cloud_takes() {
    let prefixes: Vec<IpNet> = (0..150).map(|n| net(&format!("10.10.{n}.0/24"))).collect();
    let offers = Export { limit: 100, ..export() }.offers(&prefixes);
    assert!(offers.iter().take(100).all(|(_, verdict)| verdict.is_ok()));
    assert!(offers.iter().skip(100).all(|(_, verdict)| *verdict == Err(Refusal::TooMany(100))));
    let refused = export().offers(&[net("0.0.0.0/0"), net("169.254.0.0/16"), net("10.10.0.0/16")]);
    let errors: Vec<_> = refused.into_iter().map(|(_, verdict)| verdict.err()).collect();
    assert_eq!(errors, [Some(Refusal::DefaultRoute), Some(Refusal::Martian(net("169.254.0.0/16"))), None]);
}

#[test]
fn tunnels_are_ranked_by_med_and_never_by_the_length_of_the_path() {
    let path = |rank| Export::path(65010, ip("169.254.10.2"), rank);
    let (first, equal, last) = (path(Rank::First), path(Rank::Equal), path(Rank::Last));
    assert!(first.med < equal.med && equal.med < last.med);
    assert_eq!([&first, &equal, &last].map(|path| path.as_path.hops()), [1, 1, 1]);
    assert_eq!((equal.communities, last.communities), (vec![], vec![Community::GRACEFUL_SHUTDOWN]));
}

#[test]
fn every_refusal_has_a_code_of_its_own_a_sentence_and_a_remedy() {
    let all = [
        Refusal::NoPolicy,
        Refusal::NotListed,
        Refusal::Community("12076:*".to_owned()),
        Refusal::Martian(net("127.0.0.0/8")),
        Refusal::DefaultRoute,
        Refusal::OwnNetwork(net("10.10.0.0/16")),
        Refusal::OuterAddress(ip("198.51.100.11")),
        Refusal::Inside(net("169.254.10.0/30")),
        Refusal::Loop(65010),
        Refusal::FirstAs { peer: 64512, found: None },
        Refusal::NextHop(ip("169.254.10.2")),
        Refusal::TooMany(100),
    ];
    // 15 and 16 are overlaps: what they are about is taken.
    let later = [Refusal::PathTooLong { asns: 101, most: 100 }];
    for (number, refusal) in (3..).zip(&all).chain((17..).zip(&later)) {
        assert_eq!(refusal.code(), format!("GTH-RTE-{number:02}"));
        assert!(!refusal.to_string().is_empty() && !refusal.remedy().is_empty());
    }
}

proptest! {
    /// H31: whatever is announced, what is taken holds no address of ours and of no tunnel's inside, and is no default route.
    #[test]
    fn nothing_that_is_taken_lies_in_a_network_of_ours(
        address in prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            (0_u32..1 << 16).prop_map(|low| IpAddr::V4((0x0a0a_0000 | low).into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
            any::<u64>().prop_map(|low| IpAddr::V6((0xfd00_0010_u128 << 96 | u128::from(low)).into())),
        ],
        length in 0_u8..=128,
    ) {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = IpNet::new(address, length.min(most)).unwrap().trunc();
        let route = Route { prefix, path: Arc::new(path(&[64512])) };
        if guarded().admit(&site(), &NEIGHBOUR, &route).is_ok() {
            let site = site();
            prop_assert!(site.networks.iter().chain(&site.insides).all(|own| !own.contains(&prefix)));
            prop_assert!(site.outer.iter().all(|address| prefix != IpNet::from(*address)));
            prop_assert!(prefix.prefix_len() >= 8);
        }
    }
}

const NEIGHBOUR: Neighbour = Neighbour {
    asn: 64512,
    our_inside: IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 10, 2)),
    our_inside6: Some(std::net::Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 2)),
};

fn site() -> Site {
    Site {
        asn: 65010,
        networks: vec![net("10.10.0.0/16"), net("fd00:10::/32")],
        outer: vec![ip("198.51.100.11"), ip("203.0.113.10"), ip("2001:db8::11")],
        insides: vec![net("169.254.10.2/30"), net("10.99.0.0/30"), net("fd00:99::1/126")],
    }
}

fn guarded() -> Import {
    Import { filter: Filter::Guarded, ..Import::default() }
}

fn export() -> Export {
    Export { filter: Filter::Guarded, default_route: false, limit: 4_000 }
}

fn route(prefix: &str) -> Route {
    Route { prefix: net(prefix), path: Arc::new(path(&[64512])) }
}

fn path(asns: &[u32]) -> Path {
    let segments = if asns.is_empty() { vec![] } else { vec![AsSegment::Sequence(asns.to_vec())] };
    Path { as_path: AsPath(segments), ..Path::local(ip("169.254.10.1")) }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

//! IKE_SA_INIT and IKE_AUTH with a pre-shared key, every suite, over every link (RFC 7296 §1.2).

use core::time::Duration;

use gotthard_ike::config::{Encapsulation, PeerConfig};
use gotthard_ike::event::{Event, Nat};
use gotthard_ike::suite::{EspSuite, IkeSuite};

use crate::support::link::Weather;
use crate::support::pair::Pair;

/// ```text
/// a --> HDR, SAi1, KEi, Ni
/// a <-- HDR, SAr1, KEr, Nr
/// a --> HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}
/// a <-- HDR, SK {IDr, AUTH, SAr2, TSi, TSr}
/// ```
#[test]
fn four_messages_bring_a_tunnel_up() {
    let mut pair = Pair::new(1, Weather::FAIR);
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    assert_eq!(pair.link.sent.len(), 4);
    for side in [&pair.a, &pair.b] {
        assert_eq!((side.ike_up(), side.child_up()), (1, 1));
        assert!(matches!(side.events[0], Event::IkeUp { nat: Nat { local: false, remote: false }, .. }));
        assert!(matches!(
            side.events[1],
            Event::ChildUp { esn: true, encapsulation: Encapsulation::Esp, rekey: None, .. }
        ));
    }
}

#[test]
fn packets_of_both_ends_arrive_from_the_first_one_on() {
    let mut pair = Pair::established();
    for _ in 0..10 {
        pair.ping_a();
        pair.ping_b();
        pair.run_for(Duration::from_millis(1));
    }
    pair.run_for(Duration::from_millis(10));
    assert_eq!((pair.a.esp_taken, pair.b.esp_taken), (10, 10));
    assert_eq!((pair.a.esp_lost, pair.b.esp_lost), (0, 0));
}

#[test]
fn both_ends_name_the_same_spis() {
    let pair = Pair::established();
    let spis = |events: &[Event]| {
        events.iter().find_map(|event| {
            if let Event::IkeUp { spi_i, spi_r, .. } = event { Some((*spi_i, *spi_r)) } else { None }
        })
    };
    assert_eq!(spis(&pair.a.events), spis(&pair.b.events));
}

#[test]
fn every_ike_suite_brings_a_tunnel_up() {
    for cipher in
        ["aes256-sha256", "aes256-sha384", "aes256-sha512", "aes256gcm16-sha256", "aes256gcm16-sha512"]
    {
        for group in ["modp2048", "modp3072", "modp4096", "ecp256", "ecp384", "x25519"] {
            // The large groups cost most; one cipher with each is enough for what they have in common.
            if matches!(group, "modp3072" | "modp4096") && cipher != "aes256-sha256" {
                continue;
            }
            let suite: IkeSuite = format!("{cipher}-{group}").parse().unwrap();
            let pair = brought_up(|config| config.ike_suites = vec![suite]);
            assert!(
                matches!(pair.a.events[0], Event::IkeUp { suite: negotiated, .. } if negotiated == suite),
                "{suite}"
            );
        }
    }
}

#[test]
fn every_esp_suite_brings_a_tunnel_up() {
    let suites = [
        "aes128gcm16",
        "aes256gcm16",
        "chacha20poly1305",
        "aes128-sha256",
        "aes256-sha256",
        "aes256-sha384",
        "aes256-sha512",
    ];
    for text in suites {
        let suite: EspSuite = text.parse().unwrap();
        let pair = brought_up(|config| config.esp_suites = vec![suite]);
        assert_eq!(pair.a.outbound.as_ref().unwrap().suite, suite);
    }
}

#[test]
fn the_group_of_an_esp_suite_waits_for_the_first_rekey() {
    let pair = brought_up(|config| config.esp_suites = vec!["aes256gcm16-modp2048".parse().unwrap()]);
    assert_eq!(pair.a.outbound.as_ref().unwrap().suite.group, None);
}

#[test]
fn the_responder_prefers_its_own_order() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        a.ike_suites =
            ["aes256-sha256-x25519", "aes256gcm16-sha256-x25519"].map(|s| s.parse().unwrap()).to_vec();
        b.ike_suites =
            ["aes256gcm16-sha256-x25519", "aes256-sha256-x25519"].map(|s| s.parse().unwrap()).to_vec();
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    assert!(matches!(pair.a.events[0], Event::IkeUp { suite, .. } if suite == pair.config_b.ike_suites[0]));
}

#[test]
fn a_tunnel_comes_up_over_a_link_that_loses_doubles_and_reorders() {
    for seed in 0..200 {
        let mut pair = Pair::new(seed, Weather::FOUL);
        // One attempt may fail at 30 % loss; who wants the tunnel tries again.
        for _ in 0..5 {
            pair.initiate_a();
            let end = pair.now() + Duration::from_secs(40);
            if pair.run_until(end, |pair| pair.a.ike_up() > 0 && pair.b.ike_up() > 0) {
                break;
            }
        }
        pair.link.weather = Weather::FAIR;
        pair.run_for(Duration::from_secs(1));
        pair.assert_up();
    }
}

#[test]
fn a_second_initiate_while_the_first_is_under_way_does_nothing() {
    let mut pair = Pair::new(1, Weather::FAIR);
    pair.initiate_a();
    pair.initiate_a();
    assert_eq!(pair.link.sent.len(), 1);
    pair.run_for(Duration::from_secs(1));
    pair.initiate_a();
    assert_eq!(pair.link.sent.len(), 4);
}

#[test]
fn ipv6_outer_addresses_work_alike() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        let (address_a, address_b) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        *a = crate::support::side::config(address_a, address_b);
        *b = crate::support::side::config(address_b, address_a);
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
}

fn brought_up(change: impl Fn(&mut PeerConfig)) -> Pair {
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        change(a);
        change(b);
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    pair
}

//! Rekeys that we start (RFC 7296 §1.3, §2.8, §2.18, §2.25), where nothing crosses them.

use core::time::Duration;

use gotthard_ike::codec::header::Header;
use gotthard_ike::codec::iana::{ExchangeType, NotifyType};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::config::PeerConfig;
use gotthard_ike::error::{Failure, Sa};
use gotthard_ike::event::Event;

use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::scripted::Scripted;
use crate::support::side::PEER;

/// Runs a pair for as long, with ESP both ways every 20 ms: each packet must arrive.
fn run_with_traffic(pair: &mut Pair, duration: Duration) {
    let end = pair.now() + duration;
    while pair.now() < end {
        pair.ping_a();
        pair.ping_b();
        pair.run_for(Duration::from_millis(20));
    }
    pair.run_for(Duration::from_secs(1));
    assert_eq!((pair.a.esp_lost, pair.b.esp_lost), (0, 0));
}

/// One child pair at both ends, and nothing left of those before it.
fn assert_one_child(pair: &mut Pair) {
    pair.run_for(Duration::from_secs(12));
    pair.assert_up();
    assert_eq!((pair.a.inbound.len(), pair.b.inbound.len()), (1, 1));
    assert!(pair.a.down().is_none() && pair.b.down().is_none());
}

fn rekeyed(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::IkeRekeyed { .. })).count()
}

/// ```text
/// a --> HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}
/// a <-- HDR, SK {SA, Nr, TSi, TSr}
/// a --> HDR, SK {D}
/// a <-- HDR, SK {D}
/// ```
#[test]
fn a_child_is_rekeyed_without_a_packet_lost() {
    let mut pair = Pair::established();
    let before = pair.a.outbound.as_ref().unwrap().spi;
    pair.a.endpoint.rekey_child(pair.now(), PEER);
    run_with_traffic(&mut pair, Duration::from_secs(2));
    assert_ne!(pair.a.outbound.as_ref().unwrap().spi, before);
    assert_one_child(&mut pair);
}

/// ```text
/// a --> HDR, SK {SA, Ni, KEi}
/// a <-- HDR, SK {SA, Nr, KEr}
/// a --> HDR, SK {D}             (under the old keys)
/// a <-- HDR, SK {}
/// ```
#[test]
fn the_ike_sa_is_rekeyed_and_its_child_lives_on() {
    let mut pair = Pair::established();
    let before = pair.a.outbound.as_ref().unwrap().spi;
    pair.a.endpoint.rekey_ike(pair.now(), PEER);
    run_with_traffic(&mut pair, Duration::from_secs(2));
    assert_eq!(pair.a.outbound.as_ref().unwrap().spi, before);
    assert_eq!((rekeyed(&pair.a.events), rekeyed(&pair.b.events)), (1, 1));
    // The child belongs to the new one at both ends.
    pair.b.endpoint.rekey_child(pair.now(), PEER);
    run_with_traffic(&mut pair, Duration::from_secs(1));
    assert_ne!(pair.a.outbound.as_ref().unwrap().spi, before);
    assert_one_child(&mut pair);
}

#[test]
fn a_tunnel_lives_through_all_its_lifetimes_without_a_packet_lost() {
    let mut pair = Pair::with(7, Weather::FAIR, |a, b| {
        for config in [a, b] {
            config.child_lifetime = Duration::from_secs(20);
            config.ike_lifetime = Duration::from_secs(70);
            config.rekey_margin = Duration::from_secs(5);
        }
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    run_with_traffic(&mut pair, Duration::from_mins(5));
    assert!(pair.a.child_up() >= 15 && rekeyed(&pair.a.events) >= 4);
    assert_eq!((pair.a.ike_up(), pair.b.ike_up()), (1, 1));
    pair.assert_up();
    assert!(pair.a.inbound.len() <= 2 && pair.b.inbound.len() <= 2, "the one in use and one in its grace");
}

/// ```text
/// a --> HDR, SK {N(REKEY_SA), SA, Ni, KEi(x25519), TSi, TSr}
/// a <-- HDR, SK {N(INVALID_KE_PAYLOAD, ecp256)}
/// a --> HDR, SK {N(REKEY_SA), SA, Ni, KEi(ecp256), TSi, TSr}
/// a <-- HDR, SK {SA, Nr, KEr, TSi, TSr}
/// ```
#[test]
fn a_rekey_follows_the_peer_to_another_group() {
    let mut pair = Pair::with(3, Weather::FAIR, |a, b| {
        a.esp_suites = ["aes256gcm16-x25519", "aes256gcm16-ecp256"].map(|s| s.parse().unwrap()).to_vec();
        b.esp_suites = vec!["aes256gcm16-ecp256".parse().unwrap()];
        a.ike_suites =
            ["aes256gcm16-sha256-x25519", "aes256gcm16-sha256-ecp256"].map(|s| s.parse().unwrap()).to_vec();
        b.ike_suites = vec!["aes256gcm16-sha256-ecp256".parse().unwrap()];
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.a.endpoint.rekey_child(pair.now(), PEER);
    pair.a.endpoint.rekey_ike(pair.now(), PEER);
    run_with_traffic(&mut pair, Duration::from_secs(2));
    assert_eq!((pair.a.child_up(), rekeyed(&pair.a.events)), (2, 1));
    assert_one_child(&mut pair);
}

#[test]
fn a_peer_that_rekeys_without_a_key_exchange_is_rekeyed_without_one() {
    let mut pair = Pair::with(3, Weather::FAIR, |a, b| {
        a.esp_suites = ["aes256gcm16-x25519", "aes256gcm16"].map(|s| s.parse().unwrap()).to_vec();
        b.esp_suites = vec!["aes256gcm16".parse().unwrap()];
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    for _ in 0..2 {
        pair.b.endpoint.rekey_child(pair.now(), PEER);
        run_with_traffic(&mut pair, Duration::from_secs(1));
        pair.a.endpoint.rekey_child(pair.now(), PEER);
        run_with_traffic(&mut pair, Duration::from_secs(1));
    }
    assert_eq!(pair.a.child_up(), 5);
    assert_one_child(&mut pair);
}

/// Lets the endpoint live with a peer that answers liveness checks and refuses every other request with `kind`; returns
/// how often it asked for a child or an IKE SA, and how often for an authentication.
fn live_with_refusals(script: &mut Scripted, kind: NotifyType, duration: Duration) -> (usize, usize) {
    let end = script.now + duration;
    let (mut rekeys, mut attempts) = (0, 0);
    while script.now < end && script.b.down().is_none() {
        let mut sent = script.wait(Duration::from_millis(50));
        while let Some(datagram) = sent.pop() {
            match Header::parse(&datagram).unwrap().exchange {
                ExchangeType::IKE_SA_INIT => attempts += 1,
                ExchangeType::CREATE_CHILD_SA => {
                    rekeys += 1;
                    sent.extend(script.answer(&datagram, &[Payload::Notify(Notify::new(kind, &[]))]));
                }
                _ => sent.extend(script.acknowledge(&datagram)),
            }
        }
    }
    (rekeys, attempts)
}

fn short_child(config: &mut PeerConfig) {
    config.child_lifetime = Duration::from_secs(40);
}

#[test]
fn a_refused_rekey_is_told_and_another_ike_sa_is_asked_for_before_the_child_ends() {
    let mut script = Scripted::established_with(short_child);
    let (rekeys, attempts) =
        live_with_refusals(&mut script, NotifyType::NO_PROPOSAL_CHOSEN, Duration::from_mins(1));
    assert_eq!(rekeys, 1);
    assert!(attempts > 0);
    let told = |event: &Event| {
        let reason = Failure::ChildProposal {
            by: gotthard_ike::error::Side::Peer,
            ours: "aes256gcm16".to_owned(),
            theirs: None,
        };
        matches!(event, Event::RekeyFailed { what: Sa::Child, reason: r, .. } if *r == reason)
    };
    assert!(script.b.events.iter().any(told), "{:?}", script.b.events);
    assert_eq!(script.b.down(), Some(&Failure::Lifetime { what: Sa::Child }));
}

#[test]
fn a_rekey_that_is_put_off_is_tried_again() {
    let mut script = Scripted::established_with(short_child);
    let (rekeys, attempts) =
        live_with_refusals(&mut script, NotifyType::TEMPORARY_FAILURE, Duration::from_secs(39));
    assert!((3..40).contains(&rekeys), "{rekeys}");
    assert_eq!(attempts, 0);
    assert!(script.b.down().is_none());
}

/// The peer has lost the child: another one is made at once.
#[test]
fn a_child_that_the_peer_does_not_have_is_made_anew() {
    let mut script = Scripted::established();
    script.b.endpoint.rekey_child(script.now, PEER);
    let sent = script.wait(Duration::ZERO);
    let refusal = Notify::new(NotifyType::CHILD_SA_NOT_FOUND, &[]);
    let sent = script.answer(&sent[0], &[Payload::Notify(refusal)]);
    let inner = script.sa().open(&sent[0]);
    assert_eq!(inner.header.exchange, ExchangeType::CREATE_CHILD_SA);
    assert!(!inner.notify(NotifyType::REKEY_SA));
}

#[test]
fn an_ike_sa_that_cannot_be_rekeyed_ends_with_its_lifetime() {
    let mut script = Scripted::established_with(|config| config.ike_lifetime = Duration::from_secs(40));
    live_with_refusals(&mut script, NotifyType::NO_ADDITIONAL_SAS, Duration::from_mins(1));
    assert_eq!(script.b.down(), Some(&Failure::Lifetime { what: Sa::Ike }));
    assert!(script.b.inbound.is_empty() && script.b.outbound.is_none());
}

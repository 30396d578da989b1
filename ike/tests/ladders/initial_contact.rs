//! A peer that comes back, with or without its state, and two ends that start at once (RFC 7296 §2.4, §2.8).

use core::time::Duration;

use gotthard_ike::config::PeerId;
use gotthard_ike::event::Event;

use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::side::{B, config};

#[test]
fn a_peer_that_restarts_without_state_and_initiates_replaces_its_old_sa_at_once() {
    let mut pair = Pair::established();
    pair.restart_b();
    pair.initiate_b();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    assert_eq!(pair.a.inbound.len(), 1, "INITIAL_CONTACT removed the old one");
    assert_eq!(pair.a.ike_up(), 2);
    assert!(pair.a.down().is_none(), "the tunnel was never down");
}

#[test]
fn a_peer_that_restarts_without_state_and_waits_is_found_dead_and_initiated_again() {
    let mut pair = Pair::established();
    pair.restart_b();
    let end = pair.now() + Duration::from_secs(30);
    assert!(pair.run_until(end, |pair| pair.a.down().is_some()));
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
}

#[test]
fn initial_contact_removes_only_the_sas_of_its_own_peer() {
    let mut pair = Pair::established();
    let other = "198.51.100.2".parse().unwrap();
    pair.a.endpoint.add_peer(PeerId(2), config(pair.a.address, other));
    pair.restart_b();
    // The same gateway's other tunnel comes up from another address, with INITIAL_CONTACT.
    pair.config_b = config(other, pair.a.address);
    pair.b = crate::support::side::Side::new(99, other);
    pair.b.endpoint.add_peer(crate::support::side::PEER, pair.config_b.clone());
    pair.initiate_b();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.b.child_up(), 1);
    assert_eq!(pair.a.inbound.len(), 2);
    assert!(pair.a.down().is_none());
    assert_ne!(pair.b.address, B);
}

#[test]
fn both_ends_that_start_at_once_keep_the_same_one_of_two() {
    for seed in 0..100 {
        let mut pair = Pair::new(seed, Weather { jitter: Duration::from_millis(20), ..Weather::FAIR });
        pair.initiate_a();
        pair.initiate_b();
        let up = |pair: &Pair| pair.a.outbound.is_some() && pair.b.outbound.is_some();
        assert!(pair.run_until(pair.now() + Duration::from_secs(1), up), "seed {seed}");
        pair.run_for(Duration::from_millis(30)); // the other two of the four have arrived
        for _ in 0..600 {
            pair.ping_a();
            pair.ping_b();
            pair.run_for(Duration::from_millis(100));
        }
        assert_eq!((pair.a.esp_lost, pair.b.esp_lost), (0, 0), "seed {seed}");
        pair.assert_up();
        let (a, b) = (&pair.a, &pair.b);
        assert_eq!(
            (a.inbound.len(), b.inbound.len()),
            (1, 1),
            "seed {seed}:\n{:#?}\n{:#?}",
            a.events,
            b.events
        );
        let down = |event: &Event| matches!(event, Event::IkeDown { .. } | Event::Failed { .. });
        assert!(!a.events.iter().chain(&b.events).any(down), "seed {seed}: {:?} {:?}", a.events, b.events);
    }
}

#[test]
fn both_ends_that_start_at_once_agree_over_a_foul_link() {
    for seed in 0..100 {
        let mut pair = Pair::new(seed, Weather::FOUL);
        for _ in 0..6 {
            pair.initiate_a();
            pair.initiate_b();
            pair.run_for(Duration::from_secs(40));
        }
        pair.link.weather = Weather::FAIR;
        for _ in 0..3 {
            pair.run_for(Duration::from_secs(40));
            pair.initiate_a();
            pair.initiate_b();
        }
        pair.run_for(Duration::from_mins(1));
        pair.assert_up();
        assert_eq!((pair.a.inbound.len(), pair.b.inbound.len()), (1, 1), "seed {seed}");
    }
}

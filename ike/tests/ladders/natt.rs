//! NAT traversal: detection, port 4500, forced encapsulation, rebinding (RFC 7296 §2.23, RFC 3948).

use core::time::Duration;
use std::net::IpAddr;

use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::config::{Encapsulation, PeerConfig};
use gotthard_ike::event::{Event, Nat};

use crate::support::link::{Translator, Weather};
use crate::support::pair::Pair;
use crate::support::scripted::Scripted;
use crate::support::side::{B, End, PEER, config};

const OUTSIDE: &str = "203.0.113.7";

/// A is behind a translator; its identity is the outer address that the cloud was told.
fn behind_nat() -> Pair {
    behind_nat_with(Duration::from_secs(10))
}

/// As [`behind_nat`], with this time of silence before either end asks whether the other lives.
fn behind_nat_with(dpd_interval: Duration) -> Pair {
    let inside: IpAddr = "10.0.0.5".parse().unwrap();
    let outside: IpAddr = OUTSIDE.parse().unwrap();
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        *a = PeerConfig { local_id: outside.into(), dpd_interval, ..config(inside, B) };
        *b = PeerConfig { dpd_interval, ..config(B, outside) };
    });
    pair.link.nat = Some(Translator::new(inside, outside));
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    pair
}

#[test]
fn a_translator_is_seen_at_both_ends_and_the_exchange_floats() {
    let pair = behind_nat();
    assert!(matches!(pair.a.events[0], Event::IkeUp { nat: Nat { local: true, remote: false }, .. }));
    assert!(matches!(pair.b.events[0], Event::IkeUp { nat: Nat { local: false, remote: true }, .. }));
    let out = pair.b.outbound.as_ref().unwrap();
    assert_eq!(out.encapsulation, Encapsulation::Udp);
    assert_eq!(out.local.port(), 4500);
    assert!(out.remote.port() > 40_000, "the translator's port");
    assert!(pair.link.sent[2..].iter().all(|sent| sent.local.port() == 4500));
}

#[test]
fn a_translator_that_forgets_is_followed_after_an_authentic_message() {
    let mut pair = behind_nat();
    let before = pair.b.outbound.as_ref().unwrap().remote;
    pair.link.nat.as_mut().unwrap().restart();
    // A, behind the translator, asks first: its interval is the same, and B's question cannot get through.
    pair.run_for(Duration::from_secs(30));
    let after = pair.b.outbound.as_ref().unwrap().remote;
    assert_ne!(before, after);
    pair.assert_up();
}

/// B believes in A as long as it hears it, from whatever port. A hears nothing, and asks after its interval.
#[test]
fn a_translator_that_forgets_costs_no_more_than_the_interval_of_liveness_checks() {
    let mut pair = behind_nat();
    pair.start_traffic(Duration::from_millis(100));
    pair.run_for(Duration::from_mins(1));
    pair.link.nat.as_mut().unwrap().restart();
    let (taken, start) = (pair.a.esp_taken, pair.now());
    // What was under way when it forgot may still have a port to go to.
    pair.run_for(Duration::from_millis(200));
    assert!(pair.a.esp_taken <= taken + 2);
    let taken = pair.a.esp_taken;
    assert!(pair.run_until(start + Duration::from_secs(11), |pair| pair.a.esp_taken > taken));
    assert!(pair.a.down().is_none() && pair.b.down().is_none());
    pair.assert_up();
}

/// ```text
/// a --> 0xff, every 20 s
/// ```
#[test]
fn who_is_behind_a_translator_reminds_it_when_it_has_nothing_else_to_send() {
    let mut pair = behind_nat_with(Duration::ZERO);
    let up = pair.now();
    pair.run_for(Duration::from_secs(100));
    let since: Vec<u64> = pair.a.keepalives.iter().map(|at| (*at - up).as_secs()).collect();
    assert_eq!(since, [19, 39, 59, 79, 99], "the tunnel came up within the first second");
    assert!(pair.b.keepalives.is_empty(), "only one end is behind it");
}

#[test]
fn what_is_sent_for_other_reasons_keeps_a_translator_too() {
    // A question every 10 s.
    let mut pair = behind_nat();
    pair.run_for(Duration::from_mins(2));
    assert!(pair.a.keepalives.is_empty());
    // Packets of ours every 15 s.
    let mut pair = behind_nat_with(Duration::ZERO);
    for _ in 0..10 {
        let now = pair.now();
        pair.a.endpoint.traffic_sent(now, PEER);
        pair.run_for(Duration::from_secs(15));
    }
    assert!(pair.a.keepalives.is_empty());
}

#[test]
fn keepalives_end_with_the_tunnel_and_outlive_a_rekey_of_its_ike_sa() {
    let mut pair = behind_nat_with(Duration::ZERO);
    pair.rekey_ike(End::A);
    pair.run_for(Duration::from_secs(30));
    assert_eq!((pair.a.ike_rekeys(), pair.a.keepalives.len()), (1, 1));
    pair.terminate(End::A);
    pair.run_for(Duration::from_mins(2));
    assert_eq!(pair.a.keepalives.len(), 1);
}

#[test]
fn without_a_translator_there_are_no_keepalives() {
    for encapsulation in [Encapsulation::Auto, Encapsulation::Udp] {
        let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
            a.encapsulation = encapsulation;
            a.dpd_interval = Duration::ZERO;
            b.dpd_interval = Duration::ZERO;
        });
        pair.initiate_a();
        pair.run_for(Duration::from_mins(2));
        pair.assert_up();
        assert!(pair.a.keepalives.is_empty(), "{encapsulation:?}");
    }
}

#[test]
fn a_forged_source_moves_nothing() {
    let mut script = Scripted::established_with(|config| config.encapsulation = Encapsulation::Udp);
    let request = script.seal(ExchangeType::INFORMATIONAL, &[]);
    let mut forged = request.clone();
    *forged.last_mut().unwrap() ^= 1;
    let genuine = script.from;
    script.from = "192.0.2.66:4500".parse().unwrap();
    assert!(script.send(&forged).is_empty());
    script.from = genuine;
    let before = script.b.outbound.as_ref().unwrap().remote;
    assert_eq!(script.send(&request).len(), 1);
    assert_eq!(script.b.outbound.as_ref().unwrap().remote, before);
    // A replay of what was authentic is not fresh.
    script.from = "192.0.2.66:4500".parse().unwrap();
    script.send(&request);
    assert_eq!(script.b.outbound.as_ref().unwrap().remote, before);
}

#[test]
fn forced_encapsulation_makes_the_peer_see_a_translator() {
    for initiator_forces in [true, false] {
        let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
            let forcing = if initiator_forces { a } else { b };
            forcing.encapsulation = Encapsulation::Udp;
        });
        pair.initiate_a();
        pair.run_for(Duration::from_secs(1));
        pair.assert_up();
        let sa = pair.a.outbound.as_ref().unwrap();
        assert_eq!((sa.encapsulation, sa.local.port(), sa.remote.port()), (Encapsulation::Udp, 4500, 4500));
    }
}

#[test]
fn an_initiator_that_starts_on_port_4500_is_answered_there() {
    let mut script = Scripted::new();
    script.from.set_port(4500);
    script.to.set_port(4500);
    script.init();
    script.authenticate(|_, _| {});
    assert_eq!(script.b.child_up(), 1);
    assert_eq!(script.b.outbound.as_ref().unwrap().local.port(), 4500);
}

#[test]
fn a_handshake_of_ours_starts_on_port_4500_where_it_is_told_to() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, _| a.start_on_4500 = true);
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    assert!(pair.link.sent.iter().all(|sent| (sent.local.port(), sent.remote.port()) == (4500, 4500)));
    assert_eq!(pair.a.outbound.as_ref().unwrap().encapsulation, Encapsulation::Esp, "no translator is there");
}

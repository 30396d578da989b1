//! Attempts that fail, and what the operator is told (RFC 7296 §2.21).

use core::time::Duration;
use std::net::SocketAddr;

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{ExchangeType, NotifyType};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::id::Identification;
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::config::Auth;
use gotthard_ike::error::{Failure, Refusal, Side, Stage};
use gotthard_ike::suite::IkeSuite;

use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::scripted::{Scripted, ike_sa};
use crate::support::side::{A, B};

#[test]
fn different_keys_are_told_at_both_ends() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, _| a.auth = Auth::psk(b"another"));
    pair.initiate_a();
    pair.run_for(Duration::from_secs(2));
    assert!(matches!(pair.a.failed(), Some(Failure::RefusedByPeer { .. })), "{:?}", pair.a.failed());
    assert!(matches!(pair.b.failed(), Some(Failure::PeerKey { .. })), "{:?}", pair.b.failed());
    pair.assert_down();
    assert!(pair.a.endpoint.is_idle());
    pair.run_for(Duration::from_mins(1));
    assert!(pair.b.endpoint.is_idle());
}

#[test]
fn an_identity_that_nobody_has_is_named() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, _| a.local_id = "gw.example.org".parse().unwrap());
    pair.initiate_a();
    pair.run_for(Duration::from_secs(2));
    assert_eq!(
        pair.b.failed(),
        Some(&Failure::PeerIdentity { ours: A.to_string(), theirs: "gw.example.org".into() })
    );
}

#[test]
fn an_initiator_refuses_a_responder_with_another_identity_and_tells_it() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, _| a.remote_id = "cloud.example.org".parse().unwrap());
    pair.initiate_a();
    pair.run_for(Duration::from_secs(2));
    assert_eq!(
        pair.a.failed(),
        Some(&Failure::PeerIdentity { ours: "cloud.example.org".into(), theirs: B.to_string() })
    );
    assert!(matches!(pair.b.down(), Some(Failure::RefusedByPeer { .. })), "{:?}", pair.b.down());
    pair.assert_down();
}

#[test]
fn no_common_ike_suite_is_told_within_two_seconds_with_ours_and_theirs() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        a.ike_suites = vec!["aes256-sha256-modp2048".parse().unwrap()];
        b.ike_suites = vec!["aes256gcm16-sha384-ecp384".parse().unwrap()];
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(2));
    let Some(Failure::IkeProposal { by: Side::Peer, ours, theirs: None }) = pair.a.failed() else {
        panic!("{:?}", pair.a.events)
    };
    assert_eq!(ours, "aes256-sha256-modp2048");
    let Some(Failure::IkeProposal { by: Side::Ours, theirs: Some(theirs), .. }) = pair.b.failed() else {
        panic!("{:?}", pair.b.events)
    };
    assert_eq!(theirs, "aes256-sha256-modp2048");
    assert!(pair.b.endpoint.is_idle(), "a refused request leaves no state");
}

#[test]
fn no_common_esp_suite_ends_the_ike_sa_too() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        a.esp_suites = vec!["aes256-sha256".parse().unwrap()];
        b.esp_suites = vec!["aes256gcm16".parse().unwrap()];
    });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(30));
    assert!(matches!(pair.a.failed(), Some(Failure::ChildProposal { by: Side::Peer, .. })));
    assert!(matches!(pair.b.failed(), Some(Failure::ChildProposal { by: Side::Ours, .. })));
    assert_eq!(pair.a.ike_up() + pair.b.ike_up(), 0, "a tunnel is both or nothing");
    pair.assert_down();
    assert!(pair.a.endpoint.is_idle() && pair.b.endpoint.is_idle());
}

#[test]
fn a_peer_that_does_not_answer_is_given_up() {
    let mut pair = Pair::new(1, Weather { loss_percent: 100, ..Weather::FAIR });
    pair.initiate_a();
    pair.run_for(Duration::from_secs(12));
    assert_eq!(pair.a.failed(), Some(&Failure::Timeout { exchange: Stage::Init, hint: None }));
    assert_eq!(pair.link.sent.len(), 5);
    assert!(pair.link.sent.iter().all(|sent| sent == &pair.link.sent[0]), "retransmissions are the same");
    assert!(pair.a.endpoint.is_idle());
}

/// RFC 7748 §6.1: zeros, with which every secret agrees on zeros. It may be forged, so that the attempt goes on meanwhile.
#[test]
fn a_public_value_that_gives_the_secret_away_is_refused_and_named() {
    let suite: IkeSuite = "aes256gcm16-sha256-x25519".parse().unwrap();
    let weather = Weather { loss_percent: 100, ..Weather::FAIR };
    let mut pair = Pair::with(1, weather, |a, _| a.ike_suites = vec![suite]);
    pair.initiate_a();
    let request = Message::parse(&pair.link.sent[0].payload).unwrap().header;
    let flags = Flags { initiator: false, response: true, version: false };
    let header = Header::new(request.spi_i, 7, ExchangeType::IKE_SA_INIT, flags, 0);
    let key = KeyExchange { group: suite.group, public: &[0; 32] };
    let payloads = [Payload::Sa(ike_sa(suite, &[])), Payload::Ke(key), Payload::Nonce(Nonce(&[7; 32]))];
    let answer = emit_clear(header, &payloads);
    pair.inject((B, 500).into(), (A, 500).into(), &answer);
    assert_eq!(pair.a.failed(), None);
    pair.run_for(Duration::from_secs(12));
    let failed = pair.a.failed().unwrap();
    assert_eq!((failed, failed.code()), (&Failure::PublicValue { group: suite.group }, "GTH-IKE-16"));
    assert!(pair.a.endpoint.is_idle());
}

#[test]
fn ikev1_is_not_answered_but_named() {
    let mut pair = Pair::new(1, Weather::FAIR);
    let mut main_mode = vec![0; 28];
    main_mode[..8].copy_from_slice(&[1; 8]);
    main_mode[17] = 0x10;
    let (from, to): (SocketAddr, SocketAddr) = ((A, 500).into(), (B, 500).into());
    for _ in 0..10 {
        pair.inject(from, to, &main_mode);
    }
    assert!(pair.link.sent.is_empty());
    assert_eq!(pair.b.events.len(), 1, "reported at a bounded rate");
    assert_eq!(pair.b.failed(), Some(&Failure::IkeV1));
    assert!(pair.b.failed().unwrap().remedy().contains("ikev2"));
    assert_eq!(pair.b.endpoint.counters().refused(Refusal::Version), 10);
}

#[test]
fn a_higher_major_version_is_told_ours() {
    let mut pair = Pair::new(1, Weather::FAIR);
    let flags = Flags { initiator: true, response: false, version: false };
    let mut datagram =
        emit_clear(Header { major: 3, ..Header::new(7, 0, ExchangeType::IKE_SA_INIT, flags, 0) }, &[]);
    datagram.extend([0; 64]);
    pair.inject((A, 500).into(), (B, 500).into(), &datagram);
    let answer = Message::parse(&pair.link.sent[0].payload).unwrap();
    assert!(answer.select().has_notify(NotifyType::INVALID_MAJOR_VERSION));
}

#[test]
fn a_refused_authentication_is_answered_again_when_it_is_asked_again() {
    let mut script = Scripted::new();
    script.init();
    let request = script.auth_request(Identification::new(A.into()), b"wrong", |_, _| {});
    let first = script.send(&request);
    assert!(script.sa().open(&first[0]).notify(NotifyType::AUTHENTICATION_FAILED));
    assert_eq!(script.send(&request), first);
    let right = script.psk();
    let late = script.auth_request(Identification::new(A.into()), &right, |_, _| {});
    assert_eq!(script.send(&late), first, "there is one try");
    assert!(script.b.outbound.is_none());
}

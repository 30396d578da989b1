//! COOKIE and INVALID_KE_PAYLOAD as initiator, from the peer and from who pretends to be it (RFC 7296 §1.2, §2.6).

use core::time::Duration;

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{ExchangeType, Group, NotifyType};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::error::{Failure, Refusal, Stage};
use gotthard_ike::event::Event;

use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::side::{A, B};

/// A clear answer to the attempt of A.
fn answer(pair: &Pair, kind: NotifyType, data: &[u8]) -> Vec<u8> {
    let request = Message::parse(&pair.link.sent[0].payload).unwrap();
    let flags = Flags { initiator: false, response: true, version: false };
    let header = Header::new(request.header.spi_i, 0, ExchangeType::IKE_SA_INIT, flags, 0);
    emit_clear(header, &[Payload::Notify(Notify::new(kind, data))])
}

fn pretend(pair: &mut Pair, kind: NotifyType, data: &[u8]) {
    let datagram = answer(pair, kind, data);
    pair.inject((B, 500).into(), (A, 500).into(), &datagram);
}

fn two_groups() -> Pair {
    Pair::with(1, Weather::FAIR, |a, b| {
        a.ike_suites =
            ["aes256gcm16-sha256-x25519", "aes256gcm16-sha256-ecp256"].map(|s| s.parse().unwrap()).to_vec();
        b.ike_suites = vec!["aes256gcm16-sha256-ecp256".parse().unwrap()];
    })
}

/// ```text
/// a --> HDR, SAi1, KEi, Ni
/// a <-- HDR, N(COOKIE)
/// a --> HDR, N(COOKIE), SAi1, KEi, Ni
/// ```
#[test]
fn a_cookie_comes_back_first_in_an_otherwise_equal_request() {
    let mut pair = Pair::new(1, Weather { loss_percent: 100, ..Weather::FAIR });
    pair.initiate_a();
    pair.link.weather = Weather::FAIR;
    pretend(&mut pair, NotifyType::COOKIE, b"a cookie");
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    let first = Message::parse(&pair.link.sent[0].payload).unwrap();
    let second = Message::parse(&pair.link.sent[1].payload).unwrap();
    assert_eq!(second.payloads[0], Payload::Notify(Notify::new(NotifyType::COOKIE, b"a cookie")));
    assert_eq!(second.payloads[1..], first.payloads);
    assert_eq!(second.header.spi_i, first.header.spi_i);
}

/// ```text
/// a --> HDR, SAi1, KEi(Curve25519), Ni
/// a <-- HDR, N(INVALID_KE_PAYLOAD, 19)
/// a --> HDR, SAi1, KEi(P-256), Ni
/// ```
#[test]
fn another_group_of_the_offer_is_tried_when_it_is_asked_for() {
    let mut pair = two_groups();
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    assert!(matches!(pair.a.events[0], Event::IkeUp { suite, .. } if suite.group == Group::ECP_256));
    assert_eq!(pair.link.sent.len(), 6);
}

#[test]
fn a_group_that_was_not_offered_is_never_used_and_named() {
    let mut pair = Pair::new(1, Weather { loss_percent: 100, ..Weather::FAIR });
    pair.initiate_a();
    pretend(&mut pair, NotifyType::INVALID_KE_PAYLOAD, &Group::MODP_1024.0.to_be_bytes());
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.link.sent.iter().filter(|sent| sent.payload != pair.link.sent[0].payload).count(), 0);
    assert!(
        matches!(pair.a.failed(), Some(Failure::KeyExchange { theirs, .. }) if *theirs == Group::MODP_1024)
    );
}

#[test]
fn endless_cookies_and_groups_end_after_bounded_rounds() {
    let mut pair = two_groups();
    pair.link.weather.loss_percent = 100;
    pair.initiate_a();
    for round in 0..2_000_u16 {
        pretend(&mut pair, NotifyType::COOKIE, &round.to_be_bytes());
        let group = if round % 2 == 0 { Group::ECP_256 } else { Group::CURVE25519 };
        pretend(&mut pair, NotifyType::INVALID_KE_PAYLOAD, &group.0.to_be_bytes());
        pair.run_for(Duration::from_millis(1));
    }
    assert!(pair.link.sent.len() < 20, "{}", pair.link.sent.len());
    assert!(pair.a.endpoint.counters().refused(Refusal::Rounds) > 0);
    pair.run_for(Duration::from_secs(20));
    assert!(pair.a.failed().is_some(), "the attempt ends, and who wants the tunnel tries again");
}

#[test]
fn the_genuine_answer_wins_over_forged_ones() {
    let forgeries: [(NotifyType, &[u8]); 6] = [
        (NotifyType::COOKIE, b"forged"),
        (NotifyType::INVALID_KE_PAYLOAD, &[0, 19]),
        (NotifyType::NO_PROPOSAL_CHOSEN, b""),
        (NotifyType::AUTHENTICATION_FAILED, b""),
        (NotifyType::INVALID_SYNTAX, b""),
        (NotifyType::INVALID_MAJOR_VERSION, b""),
    ];
    for (kind, data) in forgeries {
        let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
            let suites = ["aes256gcm16-sha256-x25519", "aes256gcm16-sha256-ecp256"];
            a.ike_suites = suites.map(|s| s.parse().unwrap()).to_vec();
            b.ike_suites = a.ike_suites.clone();
        });
        pair.initiate_a();
        pretend(&mut pair, kind, data);
        pair.run_for(Duration::from_secs(1));
        pair.assert_up();
    }
}

#[test]
fn an_answer_from_another_address_is_not_looked_at() {
    let mut pair = Pair::new(1, Weather { loss_percent: 100, ..Weather::FAIR });
    pair.initiate_a();
    let datagram = answer(&pair, NotifyType::COOKIE, b"a cookie");
    pair.inject((B, 501).into(), (A, 500).into(), &datagram);
    assert_eq!(pair.a.endpoint.counters().refused(Refusal::Source), 1);
}

#[test]
fn an_error_in_the_clear_is_a_hint_in_the_report_of_a_timeout() {
    let mut pair = Pair::new(1, Weather { loss_percent: 100, ..Weather::FAIR });
    pair.initiate_a();
    pretend(&mut pair, NotifyType::INVALID_SYNTAX, &[]);
    pair.run_for(Duration::from_secs(12));
    let hint = Some(NotifyType::INVALID_SYNTAX);
    assert_eq!(pair.a.failed(), Some(&Failure::Timeout { exchange: Stage::Init, hint }));
    assert_eq!(pair.link.sent.len(), 5, "it was retransmitted all the same");
}

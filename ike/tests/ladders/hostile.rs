//! Floods: ten thousand of each, no state change, no growth, no answer where none is due.

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{ExchangeType, Group, NotifyType, PayloadType};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::codec::payload::encrypted::Encrypted;
use gotthard_ike::codec::payload::id::Identification;
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::error::{Failure, Refusal, Sa};
use gotthard_ike::limits;

use crate::support::clock::Seeded;
use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::scripted::{Scripted, ike_sa, init_header};
use crate::support::side::{A, B};

const FLOOD: u32 = 10_000;

/// A protected message with a wrong ICV, its header as given.
fn garbage(header: Header, random: &mut Seeded) -> Vec<u8> {
    let body: Vec<u8> = (0..64).map(|_| random.next() as u8).collect();
    let sk = Encrypted { first: PayloadType::NOTIFY, offset: 0, body: &body };
    emit_clear(header, &[Payload::Encrypted(sk)])
}

#[test]
fn messages_that_fit_no_state_change_nothing_and_get_no_answer() {
    let mut script = Scripted::established();
    let (spi_i, spi_r) = (script.sa().spi_i, script.sa().spi_r);
    let exchanges = [
        ExchangeType::IKE_SA_INIT,
        ExchangeType::IKE_AUTH,
        ExchangeType::CREATE_CHILD_SA,
        ExchangeType::INFORMATIONAL,
        ExchangeType(99),
    ];
    let mut random = Seeded::new(1);
    for round in 0..FLOOD {
        let flags = Flags::from_octet(random.next() as u8);
        let exchange = exchanges[round as usize % exchanges.len()];
        let id = [0, 1, 2, 3, 1000, u32::MAX][random.next() as usize % 6];
        let datagram = garbage(Header::new(spi_i, spi_r, exchange, flags, id), &mut random);
        assert!(script.send(&datagram).is_empty());
    }
    assert_eq!(script.b.events.len(), 2);
    let counted: u64 = script.b.endpoint.counters().iter().map(|(_, count)| count).sum();
    assert_eq!(counted, u64::from(FLOOD));
    script.exchange(ExchangeType::INFORMATIONAL, &[]);
}

#[test]
fn authentic_messages_outside_the_window_change_nothing() {
    let mut script = Scripted::established();
    let mut random = Seeded::new(2);
    for id in [0, 1, 4, 1000, u32::MAX - 1, u32::MAX] {
        for response in [false, true] {
            let delete = [Payload::Delete(Delete::ike())];
            let sa = script.sa.as_mut().unwrap();
            let datagram = sa.seal(ExchangeType::INFORMATIONAL, response, id, &delete, &mut random);
            // The retransmission of IKE_AUTH, id 1, is another message: its kept answer goes out again.
            let answers = script.send(&datagram);
            assert_eq!(answers.len(), usize::from(id == 1 && !response));
        }
    }
    assert!(script.b.down().is_none());
}

#[test]
fn exchanges_before_authentication_and_a_second_authentication_change_nothing() {
    let mut script = Scripted::new();
    script.init();
    let mut random = Seeded::new(3);
    for exchange in [ExchangeType::CREATE_CHILD_SA, ExchangeType::INFORMATIONAL] {
        let delete = [Payload::Delete(Delete::ike())];
        let datagram = script.sa().seal(exchange, false, 1, &delete, &mut random);
        assert!(script.send(&datagram).is_empty());
    }
    script.authenticate(|_, _| {});
    assert_eq!(script.b.child_up(), 1);
    let psk = script.psk();
    let datagram = {
        let again = script.auth_request(Identification::new(A.into()), &psk, |_, _| {});
        assert_eq!(script.send(&again).len(), 1, "the kept answer, for the id that it has");
        script.sa().seal(ExchangeType::IKE_AUTH, false, 2, &[], &mut random)
    };
    assert!(script.send(&datagram).is_empty());
    assert_eq!((script.b.child_up(), script.b.inbound.len()), (1, 1));
}

#[test]
fn our_own_messages_reflected_change_nothing() {
    let mut pair = Pair::established();
    let sent = pair.link.sent.clone();
    let events = (pair.a.events.len(), pair.b.events.len());
    for _ in 0..1000 {
        for transmit in &sent {
            pair.inject(transmit.remote, transmit.local, &transmit.payload);
        }
    }
    assert_eq!(pair.link.sent.len(), sent.len());
    assert_eq!((pair.a.events.len(), pair.b.events.len()), events);
    pair.assert_up();
}

#[test]
fn a_reflected_first_request_makes_no_half_open_sa() {
    let mut pair = Pair::new(1, Weather { loss_percent: 100, ..Weather::FAIR });
    pair.initiate_a();
    let request = pair.link.sent[0].clone();
    pair.inject(request.remote, request.local, &request.payload);
    assert_eq!(pair.link.sent.len(), 1);
    assert_eq!(pair.a.endpoint.counters().refused(Refusal::Unexpected), 1);
}

#[test]
fn first_requests_of_strangers_get_nothing() {
    let mut pair = Pair::new(1, Weather::FAIR);
    pair.initiate_a();
    let request = pair.link.sent[0].payload.clone();
    let mut random = Seeded::new(4);
    for _ in 0..FLOOD {
        let stranger = std::net::Ipv4Addr::from_bits(0x0a00_0000 | (random.next() as u32 & 0xff_ffff));
        pair.inject((stranger, 500).into(), (B, 500).into(), &request);
    }
    assert_eq!(pair.link.sent.len(), 1);
    assert!(pair.b.endpoint.is_idle());
    assert_eq!(pair.b.endpoint.counters().refused(Refusal::UnknownPeer), u64::from(FLOOD));
}

#[test]
fn a_repeated_first_request_gets_the_same_answer_and_one_half_open_sa() {
    let mut script = Scripted::new();
    script.init();
    let request = script.sa().request.clone();
    let response = script.sa().response.clone();
    for _ in 0..100 {
        assert_eq!(script.send(&request), std::slice::from_ref(&response));
    }
    script.authenticate(|_, _| {});
    assert!(script.send(&request).is_empty(), "it has moved on");
    assert_eq!(script.b.endpoint.counters().refused(Refusal::Duplicate), 1);
}

#[test]
fn payloads_that_may_be_there_once_are_refused_twice() {
    for index in 0..3 {
        let mut script = Scripted::new();
        let public = [5; 32];
        let mut payloads = vec![
            Payload::Sa(ike_sa(script.suite, &[])),
            Payload::Ke(KeyExchange { group: Group::CURVE25519, public: &public }),
            Payload::Nonce(Nonce(&[1; 32])),
        ];
        payloads.push(payloads[index].clone());
        let answers = script.send(&emit_clear(init_header(9), &payloads));
        let message = Message::parse(&answers[0]).unwrap();
        assert!(message.select().has_notify(NotifyType::INVALID_SYNTAX));
        assert!(script.b.endpoint.is_idle());
    }
    for index in 0..5 {
        let mut script = Scripted::new();
        script.init();
        let inner = script.authenticate(|payloads, _| payloads.push(payloads[index].clone()));
        assert!(inner.notify(NotifyType::INVALID_SYNTAX));
        assert!(script.b.outbound.is_none());
    }
}

#[test]
fn key_exchange_values_that_their_group_excludes_make_no_sa() {
    for (public, group) in [
        (vec![0; 32], Group::CURVE25519),
        (vec![5; 31], Group::CURVE25519),
        (vec![5; 32], Group(0)),
        (Vec::new(), Group::CURVE25519),
    ] {
        let mut script = Scripted::new();
        let payloads = [
            Payload::Sa(ike_sa(script.suite, &[])),
            Payload::Ke(KeyExchange { group, public: &public }),
            Payload::Nonce(Nonce(&[1; 32])),
        ];
        let request = emit_clear(init_header(9), &payloads);
        let answers = script.send(&request);
        assert!(answers.iter().all(|answer| answer.len() <= request.len()));
        assert!(Message::parse(&answers[0]).unwrap().select().error().is_some());
        assert!(script.b.endpoint.is_idle());
    }
}

#[test]
fn protected_payloads_in_a_first_request_are_dropped() {
    let mut script = Scripted::new();
    let datagram = garbage(init_header(9), &mut Seeded::new(5));
    assert!(script.send(&datagram).is_empty());
    assert!(script.b.endpoint.is_idle());
}

#[test]
fn noise_is_counted_and_nothing_else() {
    let mut pair = Pair::established();
    let sent = pair.link.sent.len();
    let templates: Vec<_> = pair.link.sent.clone();
    let mut random = Seeded::new(6);
    for round in 0..FLOOD as usize {
        let template = &templates[round % templates.len()];
        let mut datagram = template.payload.clone();
        for _ in 0..=random.next() % 4 {
            let at = random.next() as usize % datagram.len();
            datagram[at] ^= (random.next() as u8).max(1);
        }
        if random.percent(30) {
            datagram.truncate(random.next() as usize % datagram.len());
        }
        pair.inject(template.local, template.remote, &datagram);
    }
    let answers = pair.link.sent.len() - sent;
    // A first request that was changed where it does no harm is a first request.
    assert!(answers <= limits::HALF_OPEN_PER_ADDRESS + FLOOD as usize / 4, "{answers}");
    pair.assert_up();
}

#[test]
fn a_malformed_authentic_request_ends_the_sa_and_says_so() {
    let mut script = Scripted::established();
    let twice = [Payload::Sa(ike_sa(script.suite, &[1; 8])), Payload::Sa(ike_sa(script.suite, &[2; 8]))];
    let inner = script.exchange(ExchangeType::CREATE_CHILD_SA, &twice);
    assert!(inner.notify(NotifyType::INVALID_SYNTAX));
    assert!(matches!(script.b.down(), Some(Failure::InvalidSyntax { .. })));
    assert!(script.b.inbound.is_empty());
}

#[test]
fn a_clear_delete_or_initial_contact_ends_nothing() {
    let mut script = Scripted::established();
    let (spi_i, spi_r) = (script.sa().spi_i, script.sa().spi_r);
    for response in [false, true] {
        let flags = Flags { initiator: true, response, version: false };
        let header = Header::new(spi_i, spi_r, ExchangeType::INFORMATIONAL, flags, 2);
        let initial_contact = Payload::Notify(Notify::new(NotifyType::INITIAL_CONTACT, &[]));
        script.send(&emit_clear(header, &[Payload::Delete(Delete::ike()), initial_contact]));
    }
    assert!(script.b.down().is_none());
    assert!(!matches!(script.b.down(), Some(Failure::PeerDeleted { what: Sa::Ike })));
}

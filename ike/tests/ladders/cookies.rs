//! Cookies as responder, and what an initiator without one may cost (RFC 7296 §2.6).

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use gotthard_ike::codec::iana::{Group, NotifyType};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::config::PeerId;
use gotthard_ike::error::Refusal;
use gotthard_ike::limits;

use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::scripted::{Scripted, ike_sa, init_header};
use crate::support::side::{A, B, config};

const FLOOD: u64 = 10_000;
const PUBLIC: [u8; 32] = [9; 32];

/// A first request that nothing is wrong with, but the group if `group` is another.
fn request(script: &Scripted, spi_i: u64, group: Group, cookies: &[&[u8]]) -> Vec<u8> {
    let cookies = cookies.iter().map(|c| Payload::Notify(Notify::new(NotifyType::COOKIE, c)));
    let payloads: Vec<_> = cookies
        .chain([
            Payload::Sa(ike_sa(script.suite, &[])),
            Payload::Ke(KeyExchange { group, public: &PUBLIC }),
            Payload::Nonce(Nonce(&[1; 32])),
        ])
        .collect();
    emit_clear(init_header(spi_i), &payloads)
}

fn good(script: &Scripted, spi_i: u64, cookies: &[&[u8]]) -> Vec<u8> {
    request(script, spi_i, Group::CURVE25519, cookies)
}

/// The cookie that an answer asks to be sent back.
fn cookie(answer: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(answer).unwrap();
    message.select().single_notify(NotifyType::COOKIE).unwrap().map(|notify| notify.data.to_vec())
}

/// A responder that its peer's address, real or forged, has filled up to where cookies begin.
fn pressed() -> Scripted {
    let mut script = Scripted::new();
    for spi_i in 1..=limits::COOKIE_HALF_OPEN_PER_ADDRESS as u64 {
        let answers = script.send(&good(&script, spi_i, &[]));
        assert_eq!(cookie(&answers[0]), None);
    }
    script
}

/// Requests with new SPIs in the name of `from`, which never sends a cookie back.
fn flood(pair: &mut Pair, from: IpAddr, to: IpAddr) {
    let script = Scripted::new();
    for spi_i in 1..=FLOOD {
        pair.inject((from, 500).into(), (to, 500).into(), &good(&script, spi_i, &[]));
    }
}

/// ```text
/// a --> HDR, SAi1, KEi, Ni
/// a <-- HDR, N(COOKIE)
/// a --> HDR, N(COOKIE), SAi1, KEi, Ni
/// a <-- HDR, SAr1, KEr, Nr
/// ```
#[test]
fn an_honest_peer_comes_up_while_its_own_address_is_forged() {
    let mut pair = Pair::new(1, Weather::FAIR);
    flood(&mut pair, A, B);
    pair.link.sent.clear();
    pair.initiate_a();
    pair.run_for(Duration::from_secs(2));
    pair.assert_up();
    assert!(cookie(&pair.link.sent[1].payload).is_some());
    assert_eq!(pair.link.sent.len(), 6);
}

#[test]
fn a_peer_that_is_up_and_starts_again_comes_up_while_its_own_address_is_forged() {
    let mut pair = Pair::established();
    flood(&mut pair, B, A);
    pair.restart_b();
    pair.initiate_b();
    pair.run_for(Duration::from_secs(2));
    pair.assert_up();
    assert_eq!(pair.a.inbound.len(), 1);
    assert!(pair.a.down().is_none(), "the tunnel was never down");
}

#[test]
fn an_honest_peer_comes_up_while_all_addresses_are_forged() {
    let mut pair = Pair::new(1, Weather::FAIR);
    let script = Scripted::new();
    for peer in 2..2_000_u32 {
        let address = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + peer * 256));
        pair.b.endpoint.add_peer(PeerId(peer), config(B, address));
        for spi_i in 1..=20 {
            pair.inject((address, 500).into(), (B, 500).into(), &good(&script, spi_i, &[]));
        }
    }
    assert_eq!(pair.b.endpoint.ike_sas(), limits::COOKIE_HALF_OPEN);
    pair.initiate_a();
    pair.run_for(Duration::from_secs(2));
    pair.assert_up();
}

#[test]
fn a_flood_without_cookies_leaves_nothing_behind() {
    let mut script = pressed();
    for spi_i in 100..FLOOD {
        let request = good(&script, spi_i, &[]);
        let answers = script.send(&request);
        assert!(cookie(&answers[0]).is_some());
        assert!(answers[0].len() <= request.len(), "a forged source gains nothing");
    }
    assert_eq!(script.b.endpoint.ike_sas(), limits::COOKIE_HALF_OPEN_PER_ADDRESS);
    assert_eq!(script.b.endpoint.counters().refused(Refusal::CookieAsked), FLOOD - 100);
    script.wait(limits::HALF_OPEN_LIFETIME);
    assert!(script.b.endpoint.is_idle());
}

#[test]
fn half_open_sas_of_who_sends_cookies_back_are_bounded_and_end() {
    let mut script = pressed();
    let mut answered = 0;
    for spi_i in 100..FLOOD {
        let answers = script.send(&good(&script, spi_i, &[]));
        let cookie = cookie(&answers[0]).unwrap();
        answered += script.send(&good(&script, spi_i, &[&cookie])).len();
    }
    assert_eq!(answered + limits::COOKIE_HALF_OPEN_PER_ADDRESS, limits::HALF_OPEN_PER_ADDRESS);
    assert_eq!(script.b.endpoint.ike_sas(), limits::HALF_OPEN_PER_ADDRESS);
    script.wait(limits::HALF_OPEN_LIFETIME + Duration::from_secs(1));
    assert!(script.b.endpoint.is_idle());
    script.init();
}

#[test]
fn a_cookie_that_is_wrong_foreign_cut_long_or_doubled_is_answered_by_another() {
    let mut script = pressed();
    let asked = cookie(&script.send(&good(&script, 100, &[]))[0]).unwrap();
    let foreign = cookie(&script.send(&good(&script, 101, &[]))[0]).unwrap();
    let (long, oversize) = ([&asked[..], &[0]].concat(), vec![7; 1000]);
    let wrong: [&[&[u8]]; 7] =
        [&[&[7; 17]], &[&foreign], &[&asked[1..]], &[&long], &[&oversize], &[&[]], &[&asked, &asked]];
    for cookies in wrong {
        let request = good(&script, 100, cookies);
        let answers = script.send(&request);
        assert_eq!(cookie(&answers[0]).as_deref(), Some(&asked[..]), "{cookies:?}");
        assert!(answers[0].len() <= request.len());
    }
    assert_eq!(script.b.endpoint.ike_sas(), limits::COOKIE_HALF_OPEN_PER_ADDRESS);
    let answers = script.send(&good(&script, 100, &[&asked]));
    assert!(Message::parse(&answers[0]).unwrap().select().single_ke().unwrap().is_some());
}

#[test]
fn a_cookie_of_another_address_is_worth_nothing() {
    let mut script = pressed();
    let neighbour = IpAddr::from([192, 0, 2, 77]);
    script.b.endpoint.add_peer(PeerId(2), config(B, neighbour));
    let asked = cookie(&script.send(&good(&script, 100, &[]))[0]).unwrap();
    script.from = (neighbour, 500).into();
    for spi_i in 1..=limits::COOKIE_HALF_OPEN_PER_ADDRESS as u64 {
        assert!(cookie(&script.send(&good(&script, spi_i, &[]))[0]).is_none());
    }
    assert!(cookie(&script.send(&good(&script, 100, &[&asked]))[0]).is_some());
}

#[test]
fn an_old_cookie_is_good_until_its_secret_has_been_changed_twice() {
    for (age, good_still) in [(1, true), (2, false)] {
        let mut script = pressed();
        let asked = cookie(&script.send(&good(&script, 100, &[]))[0]).unwrap();
        script.wait(limits::COOKIE_SECRET_LIFETIME * age);
        for spi_i in 1..=limits::COOKIE_HALF_OPEN_PER_ADDRESS as u64 {
            script.send(&good(&script, spi_i, &[]));
        }
        let answers = script.send(&good(&script, 100, &[&asked]));
        assert_eq!(cookie(&answers[0]).is_none(), good_still, "{age}");
    }
}

#[test]
fn refusals_in_the_clear_become_cookies_when_there_are_many() {
    let mut script = Scripted::new();
    let mut refused = 0;
    for spi_i in 1..=FLOOD {
        let answers = script.send(&request(&script, spi_i, Group::MODP_2048, &[]));
        refused += u32::from(cookie(&answers[0]).is_none());
    }
    assert_eq!(refused, limits::REFUSALS - limits::REFUSALS_RESERVE);
    assert!(script.b.endpoint.is_idle());
    script.wait(Duration::from_secs(1));
    assert!(cookie(&script.send(&request(&script, 1, Group::MODP_2048, &[]))[0]).is_none());
}

#[test]
fn refusals_of_who_sends_cookies_back_are_bounded_too() {
    let mut script = pressed();
    let mut refused = 0;
    for spi_i in 100..1100 {
        let answers = script.send(&request(&script, spi_i, Group::MODP_2048, &[]));
        let cookie = cookie(&answers[0]).unwrap();
        refused += script.send(&request(&script, spi_i, Group::MODP_2048, &[&cookie])).len();
    }
    assert_eq!(u32::try_from(refused).unwrap(), limits::REFUSALS);
    assert!(script.b.endpoint.counters().refused(Refusal::TooManyRefused) > 900);
}

/// ```text
/// a --> HDR, SAi1, KEi(Curve25519), Ni
/// a <-- HDR, N(COOKIE)
/// a --> HDR, N(COOKIE), SAi1, KEi(Curve25519), Ni
/// a <-- HDR, N(INVALID_KE_PAYLOAD, 19)
/// a --> HDR, N(COOKIE), SAi1, KEi(P-256), Ni
/// a <-- HDR, SAr1, KEr, Nr
/// ```
#[test]
fn a_cookie_stays_good_for_the_other_group() {
    let mut pair = Pair::with(1, Weather::FAIR, |a, b| {
        let suites = ["aes256gcm16-sha256-x25519", "aes256gcm16-sha256-ecp256"];
        a.ike_suites = suites.map(|s| s.parse().unwrap()).to_vec();
        b.ike_suites = vec![suites[1].parse().unwrap()];
    });
    let script = Scripted::new();
    for spi_i in 1..=FLOOD {
        let forged = request(&script, spi_i, Group::MODP_2048, &[]);
        pair.inject((A, 500).into(), (B, 500).into(), &forged);
    }
    pair.link.sent.clear();
    pair.initiate_a();
    pair.run_for(Duration::from_secs(2));
    pair.assert_up();
    assert_eq!(pair.link.sent.len(), 8);
}

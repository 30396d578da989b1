//! A peer that wants to see an authentication again in time (RFC 4478): another IKE SA takes the place of the one that it
//! limits, make before break.

use core::time::Duration;

use gotthard_ike::codec::iana::{ExchangeType, NotifyType};
use gotthard_ike::codec::message::Message;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::{Payload, parse_chain};
use gotthard_ike::crypto::protect::{SkCipher, seal_message};
use gotthard_ike::limits;

use crate::support::clock::Seeded;
use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::scripted::Scripted;
use crate::support::side::{A, B, End};

/// A pair with packets both ways, of which b's IKE_AUTH response was given a limit of so many seconds.
fn limited(seconds: u32) -> Pair {
    let mut pair = Pair::new(1, Weather::FAIR);
    pair.b.endpoint.reveal_keys(true);
    let answers = End::B.responses(ExchangeType::IKE_AUTH);
    pair.hold(answers);
    pair.initiate_a();
    pair.run_for(Duration::from_millis(100));
    let limited = with_limit(&pair, seconds);
    pair.inject((B, 500).into(), (A, 500).into(), &limited);
    pair.release(answers);
    pair.start_traffic(Duration::from_millis(5));
    pair
}

/// The response that b has sent last, with N(AUTH_LIFETIME) in it.
fn with_limit(pair: &Pair, seconds: u32) -> Vec<u8> {
    let sent = &pair.link.sent.last().unwrap().payload;
    let message = Message::parse(sent).unwrap();
    let Some(Payload::Encrypted(sk)) = message.payloads.last() else { panic!("it is not protected") };
    let keys = pair.b.revealed.last().unwrap();
    let mut cipher = SkCipher::new(&keys.suite, keys.er.as_bytes(), keys.ar.as_bytes()).unwrap();
    let inner = cipher.open(sent, sk.offset).unwrap();
    let mut payloads = parse_chain(sk.first, &inner).unwrap();
    let data = seconds.to_be_bytes();
    payloads.push(Payload::Notify(Notify::new(NotifyType::AUTH_LIFETIME, &data)));
    seal_message(message.header, &payloads, &mut cipher, &mut Seeded::new(9))
}

/// ```text
/// a --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }
/// a <-- IKE_AUTH { IDr, AUTH, SA, TSi, TSr, N(AUTH_LIFETIME) }
/// a --> IKE_SA_INIT { SA, KE, Ni }                               before the time is over
/// a --> INFORMATIONAL { D(IKE) }                                 under the first, when the second is up
/// ```
#[test]
fn a_limit_in_the_ike_auth_response_is_obeyed_without_a_packet_lost() {
    let mut pair = limited(600);
    pair.run_for(Duration::from_mins(1));
    assert_eq!(pair.a.ike_up(), 1, "that is too early");
    pair.run_for(Duration::from_mins(9));
    assert_eq!((pair.a.ike_up(), pair.b.ike_up()), (2, 2));
    pair.assert_settled();
}

/// The limit outlives a rekey: that authenticates nobody.
#[test]
fn a_limit_holds_for_the_ike_sa_that_a_rekey_makes() {
    for end in End::BOTH {
        let mut pair = limited(600);
        pair.run_for(Duration::from_mins(1));
        pair.rekey_ike(end);
        pair.run_for(Duration::from_mins(9));
        assert_eq!((pair.a.ike_rekeys(), pair.a.ike_up()), (1, 2));
        pair.assert_settled();
    }
}

/// Two IKE SAs overlap, and neither end does nothing but authenticate.
#[test]
fn a_limit_that_is_over_at_once_is_obeyed_in_time() {
    let mut pair = limited(0);
    pair.run_for(limits::AUTHENTICATION * 9 / 20);
    assert_eq!(pair.a.ike_up(), 1);
    pair.run_for(limits::AUTHENTICATION / 10);
    assert_eq!(pair.a.ike_up(), 2);
    pair.assert_settled();
}

/// ```text
/// b <-- INFORMATIONAL { N(AUTH_LIFETIME) }
/// b --> INFORMATIONAL { }
/// b --> IKE_SA_INIT { SA, KE, Ni }          before the time is over
/// ```
#[test]
fn a_limit_that_comes_later_is_obeyed() {
    let mut script = Scripted::established_with(|config| config.dpd_interval = Duration::ZERO);
    let limit = 600_u32.to_be_bytes();
    let notify = Payload::Notify(Notify::new(NotifyType::AUTH_LIFETIME, &limit));
    script.exchange(ExchangeType::INFORMATIONAL, &[notify]);
    assert!(script.wait(Duration::from_mins(1)).is_empty(), "that is too early");
    let sent = script.wait(Duration::from_mins(9));
    let first = Message::parse(sent.first().expect("a request")).unwrap();
    assert_eq!(first.header.exchange, ExchangeType::IKE_SA_INIT);
}

//! The keys of an IKE SA for a person who decrypts a capture: handed out on demand, and else never.

use core::time::Duration;

use gotthard_ike::RevealedKeys;
use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::codec::message::Message;
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::crypto::protect::SkCipher;

use crate::support::link::Weather;
use crate::support::pair::Pair;

#[test]
fn without_the_call_no_key_leaves_the_endpoint() {
    let mut pair = Pair::established();
    pair.run_for(Duration::from_mins(1));
    assert!(pair.a.revealed.is_empty() && pair.b.revealed.is_empty());
}

#[test]
fn both_ends_reveal_the_same_keys_and_they_open_every_message() {
    let mut pair = Pair::new(1, Weather::FAIR);
    pair.a.endpoint.reveal_keys(true);
    pair.b.endpoint.reveal_keys(true);
    pair.initiate_a(); // HDR, SAi1, KEi, Ni -->  and HDR, SK {IDi, …} with the keys that follow
    pair.run_for(Duration::from_mins(1));
    pair.assert_up();

    let [ours] = &pair.a.revealed[..] else { panic!("{:?}", pair.a.revealed) };
    let [theirs] = &pair.b.revealed[..] else { panic!("{:?}", pair.b.revealed) };
    assert_eq!((ours.spi_i, ours.spi_r, ours.suite), (theirs.spi_i, theirs.spi_r, theirs.suite));
    assert_eq!(ours.ei.as_bytes(), theirs.ei.as_bytes());
    let sealed = pair.link.sent.iter().filter(|sent| open(theirs, &sent.payload)).count();
    assert!(sealed >= 4, "IKE_AUTH and liveness, both ways: {sealed}");
}

#[test]
fn what_is_revealed_has_a_debug_that_shows_no_key() {
    let mut pair = Pair::new(1, Weather::FAIR);
    pair.a.endpoint.reveal_keys(true);
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    let shown = format!("{:?}", pair.a.revealed[0]);
    assert!(shown.contains("SkEi(..)") && shown.contains("SkAr(..)"), "{shown}");
}

/// Opens a protected message, and fails where that fails; false for one in the clear.
fn open(keys: &RevealedKeys, datagram: &[u8]) -> bool {
    let message = Message::parse(datagram).unwrap();
    let Some(Payload::Encrypted(sk)) = message.payloads.last() else {
        assert_eq!(message.header.exchange, ExchangeType::IKE_SA_INIT);
        return false;
    };
    let (sk_e, sk_a) = if message.header.flags.initiator {
        (keys.ei.as_bytes(), keys.ai.as_bytes())
    } else {
        (keys.er.as_bytes(), keys.ar.as_bytes())
    };
    SkCipher::new(&keys.suite, sk_e, sk_a).unwrap().open(datagram, sk.offset).unwrap();
    true
}

//! Fragments of the peer's messages, and of ours (RFC 7383).

use core::time::Duration;

use gotthard_ike::Transmit;
use gotthard_ike::codec::iana::{ExchangeType, NotifyType};
use gotthard_ike::codec::message::Message;
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::id::Identity;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::error::Refusal;

use crate::support::link::{Link, Weather};
use crate::support::pair::Pair;
use crate::support::scripted::Scripted;

const FILLER: [u8; 3000] = [0x5a; 3000];

fn filler() -> Vec<Payload<'static>> {
    vec![Payload::Notify(Notify::new(NotifyType(50_000), &FILLER))]
}

fn fragments(script: &mut Scripted) -> Vec<Vec<u8>> {
    let mut random = script.random.clone();
    let sa = script.sa();
    let id = sa.next_id;
    sa.next_id += 1;
    sa.seal_fragments(ExchangeType::INFORMATIONAL, id, &filler(), 600, &mut random)
}

#[test]
fn a_fragmented_request_is_answered_when_it_is_whole_in_whatever_order() {
    let mut script = Scripted::established();
    let parts = fragments(&mut script);
    assert!(parts.len() > 4);
    let (first, others) = parts.split_first().unwrap();
    for part in others.iter().rev() {
        assert!(script.send(part).is_empty());
    }
    assert_eq!(script.send(first).len(), 1);
}

#[test]
fn the_answer_is_sent_again_for_the_first_fragment_alone() {
    let mut script = Scripted::established();
    let parts = fragments(&mut script);
    let answers: Vec<_> = parts.iter().flat_map(|part| script.send(part)).collect();
    assert_eq!(answers.len(), 1);
    let again: Vec<_> = parts.iter().flat_map(|part| script.send(part)).collect();
    assert_eq!(again, answers);
}

#[test]
fn a_forged_fragment_does_not_disturb_the_message_under_way() {
    let mut script = Scripted::established();
    let parts = fragments(&mut script);
    let mut forged = parts[1].clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(script.send(&parts[0]).is_empty());
    assert!(script.send(&forged).is_empty());
    assert_eq!(script.b.endpoint.counters().refused(Refusal::Integrity), 1);
    let answers: Vec<_> = parts[1..].iter().flat_map(|part| script.send(part)).collect();
    assert_eq!(answers.len(), 1);
}

#[test]
fn fragments_that_were_not_negotiated_are_dropped() {
    let mut script = Scripted::new();
    script.init_shuffled(|payloads, _| payloads.retain(|p| !matches!(p, Payload::Notify(_))));
    script.authenticate(|_, _| {});
    let parts = fragments(&mut script);
    for part in &parts {
        assert!(script.send(part).is_empty());
    }
    assert_eq!(script.b.endpoint.counters().refused(Refusal::Fragment), parts.len() as u64);
}

/// Two ends whose identities make both IKE_AUTH messages too long for a datagram.
fn long_identities(fragment_size: u16) -> Pair {
    Pair::with(1, Weather::FAIR, |a, b| {
        for (config, ours, theirs) in [(a, 1, 2), (b, 2, 1)] {
            config.fragment_size = fragment_size;
            config.local_id = Identity::KeyId(vec![ours; 2000]);
            config.remote_id = Identity::KeyId(vec![theirs; 2000]);
        }
    })
}

/// Number and total of a fragment; a whole message is the only one.
fn numbering(transmit: &Transmit) -> (u16, u16) {
    let message = Message::parse(&transmit.payload).unwrap();
    match message.payloads.last() {
        Some(Payload::EncryptedFragment(fragment)) => (fragment.number, fragment.total),
        _ => (1, 1),
    }
}

/// ```text
/// a --> HDR, SKF(1/4), SKF(2/4), SKF(3/4), SKF(4/4) {IDi, IDr, AUTH, SAi2, TSi, TSr}
/// a <-- HDR, SKF(1/2), SKF(2/2) {IDr, AUTH, SAr2, TSi, TSr}
/// ```
#[test]
fn a_long_message_leaves_in_fragments_that_the_path_takes() {
    for (size, longest) in [(1280, 1280 - 32), (576, 576 - 32)] {
        let mut pair = long_identities(size);
        pair.link.mtu = longest;
        pair.initiate_a();
        pair.run_for(Duration::from_millis(400));
        pair.assert_up();
        let fragments: Vec<_> = pair.link.sent[2..].iter().map(numbering).collect();
        let of_request = usize::from(fragments[0].1);
        assert!(of_request > 1 && fragments.len() > of_request + 1, "{fragments:?}");
        assert!(fragments[..of_request].iter().map(|(number, _)| *number).eq(1..=fragments[0].1));
        assert!(
            pair.link.sent.iter().any(|sent| sent.payload.len() > longest - 32),
            "all of the path is used"
        );
    }
}

#[test]
fn a_message_that_fits_leaves_whole() {
    let pair = Pair::established();
    assert!(pair.link.sent[2..].iter().all(|sent| numbering(sent) == (1, 1)));
}

#[test]
fn a_peer_that_takes_no_fragments_gets_none() {
    let mut script = Scripted::with(|config| config.local_id = Identity::KeyId(vec![1; 2000]));
    script.init_shuffled(|payloads, _| payloads.retain(|p| !matches!(p, Payload::Notify(_))));
    script.authenticate(|_, _| {});
    assert_eq!(script.b.child_up(), 1);
}

/// ```text
/// a --> HDR, SKF(1/4) ... SKF(4/4) {IDi, ...}       lost: too long for the path
/// a --> HDR, SKF(1/4) ... SKF(4/4) {IDi, ...}       the same, octet for octet
/// a --> HDR, SKF(1/9) ... SKF(9/9) {IDi, ...}       576 octets each
/// a <-- HDR, SKF(1/2), SKF(2/2) {IDr, ...}          lost alike, until a has asked for it twice more
/// ```
#[test]
fn a_narrow_path_is_found_after_two_transmissions_in_either_direction() {
    let mut pair = long_identities(1280);
    pair.link.mtu = 1000;
    pair.initiate_a();
    pair.run_for(Duration::from_secs(12));
    pair.assert_up();
    let of_a = pair.link.sent.iter().filter(|sent| sent.local.ip() == pair.a.address);
    let wide: Vec<_> = of_a.clone().filter(|sent| numbering(sent).1 == 4).collect();
    assert_eq!(wide.len(), 2 * 4);
    assert_eq!(wide[..4], wide[4..], "a retransmission is the same, octet for octet");
    assert!(of_a.clone().any(|sent| numbering(sent).1 > 4));
}

#[test]
fn the_smallest_fragments_too_are_sent_again_octet_for_octet() {
    let mut pair = long_identities(1280);
    pair.link.mtu = 500;
    pair.initiate_a();
    pair.run_for(Duration::from_secs(12));
    assert!(pair.a.failed().is_some());
    let narrow: Vec<_> = pair.link.sent.iter().filter(|sent| numbering(sent).1 > 4).collect();
    let sets: Vec<_> = narrow.chunks(usize::from(numbering(narrow[0]).1)).collect();
    assert_eq!(sets.len(), 3);
    assert!(sets.iter().all(|set| *set == sets[0]));
}

#[test]
fn fragments_bring_a_tunnel_up_over_a_link_that_loses_doubles_and_reorders() {
    for seed in 0..50 {
        let mut pair = long_identities(1280);
        pair.link = Link::new(seed, Weather { loss_percent: 10, ..Weather::FOUL });
        for _ in 0..8 {
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

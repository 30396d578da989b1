//! Fragments of the peer's messages (RFC 7383).

use gotthard_ike::codec::iana::{ExchangeType, NotifyType};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::error::Refusal;

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

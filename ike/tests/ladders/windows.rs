//! The two windows of an IKE SA, each of size 1 whatever the peer could take (RFC 7296 §2.3).

use core::time::Duration;

use gotthard_ike::codec::iana::{ExchangeType, NotifyType};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::notify::Notify;

use crate::support::scripted::Scripted;
use crate::support::side::PEER;

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

fn window_of(size: &[u8]) -> Payload<'_> {
    Payload::Notify(Notify::new(NotifyType::SET_WINDOW_SIZE, size))
}

/// ```text
/// b <-- IKE_AUTH { IDi, AUTH, SA, TSi, TSr, N(SET_WINDOW_SIZE, 16) }
/// b --> CREATE_CHILD_SA { ... }   and nothing else before its answer
/// ```
#[test]
fn one_request_of_ours_is_in_flight_also_where_the_peer_takes_more() {
    let mut script = Scripted::new();
    script.init();
    script.authenticate(|payloads, _| payloads.push(window_of(&[0, 0, 0, 16])));
    assert_eq!(script.b.child_up(), 1);
    script.b.endpoint.rekey_child(script.now, PEER);
    script.b.endpoint.rekey_ike(script.now, PEER);
    let request = script.request();
    assert_eq!(request.header.exchange, ExchangeType::CREATE_CHILD_SA);
    let next = script.accept_child(&request, 0x5678);
    assert_eq!(next.len(), 1, "the window is free again, for one");
}

#[test]
fn a_window_that_the_peer_changes_later_or_cannot_spell_is_acknowledged_and_no_more() {
    let mut script = Scripted::established();
    let sizes: [&[u8]; 5] = [&[0, 0, 0, 4], &[0, 0, 0, 0], &[0xff; 4], &[], &[1; 9]];
    for size in sizes {
        let answer = script.exchange(INFORMATIONAL, &[window_of(size)]);
        assert!(answer.payloads().is_empty());
    }
    assert!(script.b.down().is_none());
}

/// ```text
/// b <-- INFORMATIONAL { }, id 3       before id 2: our window is 1
/// b <-- INFORMATIONAL { }, id 2
/// b <-- INFORMATIONAL { }, id 3       again
/// ```
#[test]
fn a_request_ahead_of_our_window_waits_for_its_retransmission() {
    let mut script = Scripted::established();
    let [second, third] = [(); 2].map(|()| script.seal(INFORMATIONAL, &[]));
    assert!(script.send(&third).is_empty());
    assert_eq!(script.send(&second).len(), 1);
    assert_eq!(script.send(&third).len(), 1);
    assert!(script.send(&second).is_empty(), "it is behind the window");
}

#[test]
fn an_answer_comes_again_only_when_it_is_asked_for_again() {
    let mut script = Scripted::established_with(|config| config.dpd_interval = Duration::ZERO);
    let request = script.seal(INFORMATIONAL, &[]);
    let answer = script.send(&request);
    assert_eq!(answer.len(), 1);
    assert!(script.wait(Duration::from_mins(1)).is_empty());
    assert_eq!(script.send(&request), answer, "octet for octet");
}

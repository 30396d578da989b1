//! Both ends rekey the child SA at once (RFC 7296 §2.8.1, §2.25.1). Of the two that they make, the one with the lowest
//! of the four nonces is redundant, and the end that made it deletes it; the other end deletes the old one.

use core::time::Duration;

use gotthard_ike::codec::iana::ExchangeType;

use crate::support::pair::Pair;
use crate::support::side::End;
use crate::{
    AGAIN, LONG, SOON, busy_with, cross, from_both_ends, lead_nonces, lead_nonces_of_answers, with_each_loser,
};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }
/// y --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni2, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr1, TSi, TSr }
/// y <-- CREATE_CHILD_SA { SA, Nr2, TSi, TSr }
/// the loser --> INFORMATIONAL { D(redundant) }
/// the other --> INFORMATIONAL { D(old) }
/// ```
#[test]
fn of_two_rekeys_at_once_the_one_with_the_lowest_nonce_is_closed_by_its_maker() {
    for loser in End::BOTH {
        let mut pair = crate::busy();
        lead_nonces(&mut pair, loser);
        cross(&mut pair, Pair::rekey_child);
        pair.run_for(SOON);
        assert_eq!(pair.a.inbound.len(), 3, "the old one, the redundant one and the new one");
        pair.assert_settled();
    }
}

/// As above with KE payloads.
#[test]
fn two_rekeys_at_once_with_a_key_exchange() {
    for loser in End::BOTH {
        let mut pair = busy_with(|a, b| {
            a.esp_suites = vec!["aes256gcm16-x25519".parse().unwrap()];
            b.esp_suites = a.esp_suites.clone();
        });
        lead_nonces(&mut pair, loser);
        cross(&mut pair, Pair::rekey_child);
        pair.assert_settled();
    }
}

/// The ends prefer different groups, and each permits the other's: whether they are asked to try again or not, they end
/// with the same one. The retries cross or do not cross, as the time says at which the second end starts.
///
/// ```text
/// a --> CREATE_CHILD_SA { N(REKEY_SA), SA(31, 19), Ni1, KEi(31), TSi, TSr }
/// b --> CREATE_CHILD_SA { N(REKEY_SA), SA(19, 31), Ni2, KEi(19), TSi, TSr }
/// ```
#[test]
fn two_rekeys_at_once_with_mixed_groups() {
    let groups = [["aes256gcm16-x25519", "aes256gcm16-ecp256"], ["aes256gcm16-ecp256", "aes256gcm16-x25519"]];
    for (first, apart) in End::BOTH.into_iter().flat_map(|first| [0, 2, 6, 11].map(|apart| (first, apart))) {
        let mut pair = busy_with(|a, b| {
            a.esp_suites = groups[0].map(|suite| suite.parse().unwrap()).to_vec();
            b.esp_suites = groups[1].map(|suite| suite.parse().unwrap()).to_vec();
        });
        pair.rekey_child(first);
        pair.run_for(Duration::from_millis(apart));
        pair.rekey_child(first.other());
        pair.assert_settled();
    }
}

/// One end permits one group alone, and the other prefers another: one of the two is asked to try again.
///
/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA(31, 19), Ni1, KEi(31), TSi, TSr }
/// y --> CREATE_CHILD_SA { N(REKEY_SA), SA(19), Ni2, KEi(19), TSi, TSr }
/// x <-- CREATE_CHILD_SA { N(INVALID_KE_PAYLOAD, 19) }
/// y <-- CREATE_CHILD_SA { SA(19), Nr2, KEr(19), TSi, TSr }
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA(31, 19), Ni3, KEi(19), TSi, TSr }  unless x has learned that it is done
/// ```
#[test]
fn a_rekey_with_another_group_crosses_one_that_succeeds() {
    for (x, apart) in End::BOTH.into_iter().flat_map(|x| [0, 2, 6, 11].map(|apart| (x, apart))) {
        let mut pair = one_group_at(x);
        pair.rekey_child(x);
        pair.run_for(Duration::from_millis(apart));
        pair.rekey_child(x.other());
        pair.assert_settled();
    }
}

/// As above; x's second request is on its way until y has finished with the old child, or has even deleted it.
#[test]
fn a_rekey_that_is_tried_again_with_another_group_comes_late() {
    for (x, late) in End::BOTH.into_iter().flat_map(|x| [SOON, AGAIN, LONG].map(|late| (x, late))) {
        let mut pair = one_group_at(x);
        pair.rekey_child(x);
        pair.rekey_child(x.other());
        pair.run_for(Duration::from_millis(7)); // the requests have arrived, the answers not yet
        pair.hold(x.requests(CREATE));
        pair.run_for(late);
        pair.release(x.requests(CREATE));
        pair.assert_settled();
    }
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }
/// y --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni2, TSi, TSr }
/// y <-- CREATE_CHILD_SA { SA, Nr2, TSi, TSr }
/// y --> INFORMATIONAL { D(old or redundant) }
/// x <-- CREATE_CHILD_SA { SA, Nr1, TSi, TSr }              held: y deletes while x does not know its own
/// ```
#[test]
fn of_two_rekeys_at_once_the_answer_to_one_comes_late() {
    for late in [SOON, AGAIN, LONG] {
        with_each_loser(|mut pair, x, y| {
            pair.hold(y.responses(CREATE));
            cross(&mut pair, Pair::rekey_child);
            pair.run_for(late);
            pair.release(y.responses(CREATE));
            pair.assert_settled();
            assert!(pair.side(x).child_rekeys() > 0);
        });
    }
}

/// As above, and y's Delete comes later still.
#[test]
fn of_two_rekeys_at_once_the_answer_to_one_comes_late_and_so_does_the_delete() {
    with_each_loser(|mut pair, _, y| {
        pair.hold(y.responses(CREATE));
        pair.hold(y.requests(INFORM));
        cross(&mut pair, Pair::rekey_child);
        pair.run_for(AGAIN);
        pair.release(y.responses(CREATE));
        pair.run_for(SOON);
        pair.release(y.requests(INFORM));
        pair.assert_settled();
    });
}

/// As above, in the other order: y's Delete overtakes its answer, and x's answer to it is late.
#[test]
fn of_two_rekeys_at_once_the_delete_overtakes_the_answer() {
    with_each_loser(|mut pair, x, y| {
        pair.hold(y.responses(CREATE));
        pair.hold(x.responses(INFORM));
        cross(&mut pair, Pair::rekey_child);
        pair.run_for(AGAIN);
        pair.release(y.responses(CREATE));
        pair.run_for(SOON);
        pair.release(x.responses(INFORM));
        pair.assert_settled();
    });
}

#[test]
fn of_two_rekeys_at_once_both_answers_come_late_or_are_lost() {
    for lost in [false, true] {
        with_each_loser(|mut pair, x, y| {
            for responses in [x.responses(CREATE), y.responses(CREATE)] {
                pair.hinder(responses, lost);
            }
            cross(&mut pair, Pair::rekey_child);
            pair.run_for(AGAIN);
            pair.release(x.responses(CREATE));
            pair.run_for(SOON);
            pair.release(y.responses(CREATE));
            pair.assert_settled();
        });
    }
}

/// y's rekey is done before x's request arrives, but for y's Delete: y refuses.
///
/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }  held
/// y --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni2, TSi, TSr }
/// y <-- CREATE_CHILD_SA { SA, Nr2, TSi, TSr }
/// y --> INFORMATIONAL { D(old) }                            held
/// x <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
/// ```
#[test]
fn a_request_to_rekey_comes_when_the_child_is_being_deleted() {
    with_each_loser(|mut pair, x, y| {
        pair.hold(x.requests(CREATE));
        pair.hold(y.requests(INFORM));
        cross(&mut pair, Pair::rekey_child);
        pair.run_for(SOON);
        pair.release(x.requests(CREATE));
        pair.run_for(SOON);
        pair.release(y.requests(INFORM));
        pair.assert_settled();
    });
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }  held
/// y --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni2, TSi, TSr }
/// y <-- CREATE_CHILD_SA { SA, Nr2, TSi, TSr }
/// y --> INFORMATIONAL { D(old) }
/// y <-- INFORMATIONAL { D(old) }
/// x <-- CREATE_CHILD_SA { N(CHILD_SA_NOT_FOUND) }           at once, within the grace of the old one, or after it
/// ```
#[test]
fn a_request_to_rekey_comes_when_the_child_is_deleted() {
    for late in [SOON, AGAIN, LONG] {
        with_each_loser(|mut pair, x, _| {
            pair.hold(x.requests(CREATE));
            cross(&mut pair, Pair::rekey_child);
            pair.run_for(late);
            pair.release(x.requests(CREATE));
            pair.assert_settled();
        });
    }
}

/// As above, and y rekeys once more before x's request arrives.
#[test]
fn a_request_to_rekey_comes_when_the_next_child_is_being_rekeyed() {
    for (late, gap) in [(SOON, SOON), (SOON, AGAIN), (AGAIN, SOON), (LONG, SOON)] {
        with_each_loser(|mut pair, x, y| {
            pair.hold(x.requests(CREATE));
            cross(&mut pair, Pair::rekey_child);
            pair.run_for(late);
            pair.rekey_child(y);
            pair.run_for(gap);
            pair.release(x.requests(CREATE));
            pair.assert_settled();
        });
    }
}

/// As above, and the answer to y's Delete is late too: the request and the Delete of the same child meet.
#[test]
fn a_request_to_rekey_meets_the_delete_of_its_child() {
    with_each_loser(|mut pair, x, _| {
        pair.hold(x.requests(CREATE));
        pair.hold(x.responses(INFORM));
        cross(&mut pair, Pair::rekey_child);
        pair.run_for(SOON);
        pair.release(x.requests(CREATE));
        pair.run_for(SOON);
        pair.release(x.responses(INFORM));
        pair.assert_settled();
    });
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }  lost, and sent again half a second later
/// y --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni2, TSi, TSr }
/// ```
#[test]
fn of_two_rekeys_at_once_one_request_is_lost() {
    with_each_loser(|mut pair, x, _| {
        pair.lose(x.requests(CREATE));
        cross(&mut pair, Pair::rekey_child);
        pair.run_for(SOON);
        pair.release(x.requests(CREATE));
        pair.assert_settled();
    });
}

/// Of two rekeys at once: both Deletes are lost once, or one of their answers.
#[test]
fn of_two_rekeys_at_once_a_delete_is_lost() {
    with_each_loser(|mut pair, x, y| {
        for which in [x.requests(INFORM), y.requests(INFORM), x.responses(INFORM)] {
            pair.lose(which);
        }
        cross(&mut pair, Pair::rekey_child);
        pair.run_for(SOON);
        pair.release(x.requests(INFORM));
        pair.release(y.requests(INFORM));
        pair.run_for(AGAIN);
        pair.release(x.responses(INFORM));
        pair.assert_settled();
    });
}

/// Nothing of what two rekeys at once leave behind stands in the way of the next two.
#[test]
fn collisions_follow_each_other() {
    from_both_ends(|mut pair, x, _| {
        for round in 0..20 {
            let loser = if round % 3 == 0 { x } else { x.other() };
            lead_nonces(&mut pair, loser);
            cross(&mut pair, Pair::rekey_child);
            pair.run_for(Duration::from_millis(round * 97));
        }
        lead_nonces_of_answers(&mut pair);
        pair.assert_settled();
    });
}

/// A pair of which `x` prefers a group that the other end does not permit.
fn one_group_at(x: End) -> Pair {
    busy_with(|a, b| {
        let (prefers, permits) = if x == End::A { (a, b) } else { (b, a) };
        prefers.esp_suites =
            ["aes256gcm16-x25519", "aes256gcm16-ecp256"].map(|suite| suite.parse().unwrap()).to_vec();
        permits.esp_suites = vec!["aes256gcm16-ecp256".parse().unwrap()];
    })
}

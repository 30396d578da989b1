//! Both ends rekey the IKE SA at once (RFC 7296 §2.8.2, §2.25.2). Of the two that they make, the one with the lowest of
//! the four nonces is deleted by the end that made it; the other one inherits the child.

use core::time::Duration;

use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::error::Failure;

use crate::support::pair::Pair;
use crate::support::side::End;
use crate::{
    AGAIN, LONG, SOON, busy_with, cross, from_both_ends, lead_nonces, lead_nonces_of_answers, with_each_loser,
};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni1, KEi1 }
/// y --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// x <-- CREATE_CHILD_SA { SA, Nr1, KEr1 }
/// y <-- CREATE_CHILD_SA { SA, Nr2, KEr2 }
/// the loser --> INFORMATIONAL { D(IKE) }  under the one that it made
/// the other --> INFORMATIONAL { D(IKE) }  under the old one
/// ```
#[test]
fn of_two_rekeys_at_once_the_one_with_the_lowest_nonce_is_closed_by_its_maker() {
    for loser in End::BOTH {
        let mut pair = crate::busy();
        lead_nonces(&mut pair, loser);
        cross(&mut pair, Pair::rekey_ike);
        pair.assert_settled();
        // The one that is left does all that one can do.
        for end in End::BOTH {
            pair.rekey_child(end);
            pair.run_for(SOON);
            pair.rekey_ike(end);
            pair.run_for(SOON);
        }
        pair.assert_settled();
    }
}

/// The ends prefer different groups, and each permits the other's.
///
/// ```text
/// a --> CREATE_CHILD_SA { SA(31, 19), Ni1, KEi(31) }
/// b --> CREATE_CHILD_SA { SA(19, 31), Ni2, KEi(19) }
/// ```
#[test]
fn two_rekeys_at_once_with_mixed_groups() {
    let groups = [
        ["aes256gcm16-sha256-x25519", "aes256gcm16-sha256-ecp256"],
        ["aes256gcm16-sha256-ecp256", "aes256gcm16-sha256-x25519"],
    ];
    for (first, apart) in End::BOTH.into_iter().flat_map(|first| [0, 2, 6, 11].map(|apart| (first, apart))) {
        let mut pair = busy_with(|a, b| {
            a.ike_suites = groups[0].map(|suite| suite.parse().unwrap()).to_vec();
            b.ike_suites = groups[1].map(|suite| suite.parse().unwrap()).to_vec();
        });
        pair.rekey_ike(first);
        pair.run_for(Duration::from_millis(apart));
        pair.rekey_ike(first.other());
        pair.assert_settled();
    }
}

/// ```text
/// x --> CREATE_CHILD_SA { SA(31, 19), Ni1, KEi(31) }
/// y --> CREATE_CHILD_SA { SA(19), Ni2, KEi(19) }
/// x <-- CREATE_CHILD_SA { N(INVALID_KE_PAYLOAD, 19) }
/// y <-- CREATE_CHILD_SA { SA(19), Nr2, KEr(19) }
/// ```
#[test]
fn a_rekey_with_another_group_crosses_one_that_succeeds() {
    for (x, apart) in End::BOTH.into_iter().flat_map(|x| [0, 2, 6, 11].map(|apart| (x, apart))) {
        let mut pair = one_group_at(x);
        pair.rekey_ike(x);
        pair.run_for(Duration::from_millis(apart));
        pair.rekey_ike(x.other());
        pair.assert_settled();
    }
}

/// As above; x's second request is on its way until y has finished with the old one.
#[test]
fn a_rekey_that_is_tried_again_with_another_group_comes_late() {
    for (x, late) in End::BOTH.into_iter().flat_map(|x| [SOON, AGAIN, LONG].map(|late| (x, late))) {
        let mut pair = one_group_at(x);
        pair.rekey_ike(x);
        pair.rekey_ike(x.other());
        pair.run_for(Duration::from_millis(7)); // the requests have arrived, the answers not yet
        pair.hold(x.requests(CREATE));
        pair.run_for(late);
        pair.release(x.requests(CREATE));
        pair.assert_settled();
    }
}

/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni1, KEi1 }
/// y --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// y <-- CREATE_CHILD_SA { SA, Nr2, KEr2 }
/// y --> INFORMATIONAL { D(IKE) }           under the one that it deletes
/// x <-- CREATE_CHILD_SA { SA, Nr1, KEr1 }  held
/// ```
#[test]
fn of_two_rekeys_at_once_the_answer_to_one_comes_late() {
    for late in [SOON, AGAIN, LONG] {
        with_each_loser(|mut pair, _, y| {
            pair.hold(y.responses(CREATE));
            cross(&mut pair, Pair::rekey_ike);
            pair.run_for(late);
            pair.release(y.responses(CREATE));
            pair.assert_settled();
        });
    }
}

/// As above, and the Deletes come later still.
#[test]
fn of_two_rekeys_at_once_the_answer_to_one_comes_late_and_so_does_the_delete() {
    with_each_loser(|mut pair, _, y| {
        pair.hold(y.responses(CREATE));
        pair.hold(y.requests(INFORM));
        cross(&mut pair, Pair::rekey_ike);
        pair.run_for(AGAIN);
        pair.release(y.responses(CREATE));
        pair.run_for(SOON);
        pair.release(y.requests(INFORM));
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
            cross(&mut pair, Pair::rekey_ike);
            pair.run_for(AGAIN);
            pair.release(x.responses(CREATE));
            pair.run_for(SOON);
            pair.release(y.responses(CREATE));
            pair.assert_settled();
        });
    }
}

/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni1, KEi1 }  lost, and sent again half a second later
/// y --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// ```
#[test]
fn of_two_rekeys_at_once_one_request_is_lost() {
    with_each_loser(|mut pair, x, _| {
        pair.lose(x.requests(CREATE));
        cross(&mut pair, Pair::rekey_ike);
        pair.run_for(SOON);
        pair.release(x.requests(CREATE));
        pair.assert_settled();
    });
}

/// y's rekey is done before x's request arrives, but for its Delete: under the old one nothing new is made.
///
/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni1, KEi1 }         held
/// y --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// y <-- CREATE_CHILD_SA { SA, Nr2, KEr2 }
/// y --> INFORMATIONAL { D(IKE) }                  held
/// x <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
/// ```
#[test]
fn a_request_to_rekey_comes_when_the_ike_sa_is_being_deleted() {
    with_each_loser(|mut pair, x, y| {
        pair.hold(x.requests(CREATE));
        pair.hold(y.requests(INFORM));
        cross(&mut pair, Pair::rekey_ike);
        pair.run_for(SOON);
        pair.release(x.requests(CREATE));
        pair.run_for(SOON);
        pair.release(y.requests(INFORM));
        pair.assert_settled();
    });
}

/// As above, and y's Delete is there before x's request: nobody answers that any more.
#[test]
fn a_request_to_rekey_comes_when_the_ike_sa_is_deleted() {
    for late in [SOON, AGAIN, LONG] {
        with_each_loser(|mut pair, x, _| {
            pair.hold(x.requests(CREATE));
            cross(&mut pair, Pair::rekey_ike);
            pair.run_for(late);
            pair.release(x.requests(CREATE));
            pair.run_for(Duration::from_secs(50));
            pair.assert_one_tunnel();
            for end in End::BOTH {
                assert!(pair.side(end).down().is_none(), "{:?}", pair.side(end).events);
                assert_eq!(pair.side(end).esp_lost, 0);
            }
        });
    }
}

#[test]
fn of_two_rekeys_at_once_a_delete_is_lost() {
    with_each_loser(|mut pair, x, y| {
        for which in [x.requests(INFORM), y.requests(INFORM), x.responses(INFORM)] {
            pair.lose(which);
        }
        cross(&mut pair, Pair::rekey_ike);
        pair.run_for(SOON);
        pair.release(x.requests(INFORM));
        pair.release(y.requests(INFORM));
        pair.run_for(AGAIN);
        pair.release(x.responses(INFORM));
        pair.assert_settled();
    });
}

#[test]
fn collisions_follow_each_other() {
    from_both_ends(|mut pair, x, _| {
        for round in 0..20 {
            let loser = if round % 3 == 0 { x } else { x.other() };
            lead_nonces(&mut pair, loser);
            cross(&mut pair, Pair::rekey_ike);
            pair.run_for(Duration::from_millis(round * 97));
        }
        lead_nonces_of_answers(&mut pair);
        pair.assert_settled();
    });
}

/// A pair of which `x` prefers a group that the other end does not permit for a rekey.
/// y has deleted what it made and ends the tunnel, which x has yet to see under the SA that it made itself.
///
/// ```text
/// x <-- CREATE_CHILD_SA { SA, Nr1, KEr1 }  lost
/// y <-- CREATE_CHILD_SA { SA, Nr2, KEr2 }
/// y --> INFORMATIONAL { D(IKE) }           under the one that it made
/// y --> INFORMATIONAL { D(IKE) }           under the old one
/// ```
#[test]
fn of_two_rekeys_at_once_neither_is_left_when_the_old_one_is_deleted() {
    from_both_ends(|mut pair, x, y| {
        lead_nonces(&mut pair, y);
        pair.lose(y.responses(CREATE));
        cross(&mut pair, Pair::rekey_ike);
        pair.run_for(SOON);
        pair.terminate(y);
        pair.run_for(SOON);
        assert!(
            matches!(pair.side(x).down(), Some(Failure::PeerDeleted { .. })),
            "{:?}",
            pair.side(x).events
        );
        pair.run_for(LONG);
        pair.assert_down();
    });
}

fn one_group_at(x: End) -> Pair {
    busy_with(|a, b| {
        let (prefers, permits) = if x == End::A { (a, b) } else { (b, a) };
        prefers.ike_suites = ["aes256gcm16-sha256-x25519", "aes256gcm16-sha256-ecp256"]
            .map(|suite| suite.parse().unwrap())
            .to_vec();
        permits.ike_suites = vec!["aes256gcm16-sha256-ecp256".parse().unwrap()];
    })
}

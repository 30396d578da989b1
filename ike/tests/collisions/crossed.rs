//! A rekey of the child meets a rekey or a Delete of the IKE SA (RFC 7296 §2.25.1, §2.25.2).

use core::time::Duration;

use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::error::Failure;
use gotthard_ike::limits;

use crate::support::pair::Pair;
use crate::support::side::End;
use crate::{AGAIN, LONG, SOON, from_both_ends, with_each_loser};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }
/// y --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// x <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }            y is rekeying the IKE SA
/// y <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }            x is rekeying the child
/// ```
#[test]
fn a_rekey_of_the_child_crosses_one_of_the_ike_sa() {
    from_both_ends(|mut pair, x, y| {
        pair.rekey_child(x);
        pair.rekey_ike(y);
        pair.assert_settled();
    });
}

/// One of the two requests, or one of the two answers, is late or lost.
#[test]
fn a_rekey_of_the_child_crosses_one_of_the_ike_sa_and_a_message_is_late_or_lost() {
    for (late, lost) in [(SOON, false), (AGAIN, false), (LONG, false), (SOON, true), (AGAIN, true)] {
        from_both_ends(|_, x, y| {
            for which in [x.requests(CREATE), y.requests(CREATE), x.responses(CREATE), y.responses(CREATE)] {
                let mut pair = crate::busy();
                pair.hinder(which, lost);
                pair.rekey_child(x);
                pair.rekey_ike(y);
                pair.run_for(late);
                pair.release(which);
                pair.assert_settled();
            }
        });
    }
}

/// Both ends rekey both at once.
#[test]
fn both_ends_rekey_the_child_and_the_ike_sa_at_once() {
    with_each_loser(|mut pair, x, y| {
        pair.rekey_child(x);
        pair.rekey_ike(x);
        pair.rekey_ike(y);
        pair.rekey_child(y);
        pair.assert_settled();
        // Whatever gave way is asked for again, and comes.
        assert!(pair.side(x).ike_rekeys() > 0);
    });
}

/// x has deleted nothing yet of the old child when y rekeys the IKE SA: the Delete goes on under one of the two.
///
/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr1, TSi, TSr }
/// x --> INFORMATIONAL { D(old) }                            held
/// y --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// y <-- CREATE_CHILD_SA { SA, Nr2, KEr2 }
/// ```
#[test]
fn a_delete_of_the_old_child_crosses_a_rekey_of_the_ike_sa() {
    for late in [SOON, AGAIN, LONG] {
        from_both_ends(|mut pair, x, y| {
            pair.hold(x.requests(INFORM));
            pair.rekey_child(x);
            pair.run_for(SOON);
            pair.rekey_ike(y);
            pair.run_for(late);
            pair.release(x.requests(INFORM));
            pair.assert_settled();
        });
    }
}

/// The same, and x's rekey of the IKE SA follows its own of the child at once.
#[test]
fn a_delete_of_the_old_child_is_followed_by_a_rekey_of_the_ike_sa() {
    from_both_ends(|mut pair, x, y| {
        pair.hold(y.responses(INFORM));
        pair.rekey_child(x);
        pair.rekey_ike(x);
        pair.run_for(AGAIN);
        pair.release(y.responses(INFORM));
        pair.assert_settled();
    });
}

/// x has the Delete of the old child to send when y's new IKE SA takes the place of both: it goes on under that one.
///
/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr1, TSi, TSr }
/// x --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// y --> CREATE_CHILD_SA { SA, Ni3, KEi3 }
/// x --> INFORMATIONAL { D(IKE) }                            under the one that it made
/// x --> INFORMATIONAL { D(old) }                            under y's
/// ```
#[test]
fn a_delete_of_the_old_child_waits_while_both_ends_rekey_the_ike_sa() {
    with_each_loser(|mut pair, x, y| {
        pair.rekey_child(x);
        pair.rekey_ike(x);
        pair.run_for(Duration::from_millis(7));
        pair.rekey_ike(y);
        pair.run_for(SOON);
        pair.run_for(limits::INBOUND_GRACE);
        assert!(End::BOTH.into_iter().all(|end| pair.side(end).inbound.len() == 1), "the old one is gone");
        pair.assert_settled();
    });
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }
/// y --> INFORMATIONAL { D(IKE) }
/// y <-- INFORMATIONAL { }                                   x forgets its rekey
/// ```
#[test]
fn a_rekey_of_the_child_crosses_a_delete_of_the_ike_sa() {
    ends_with_the_delete(Pair::rekey_child);
}

/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni1, KEi1 }
/// y --> INFORMATIONAL { D(IKE) }
/// x <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
/// y <-- INFORMATIONAL { }
/// ```
#[test]
fn a_rekey_of_the_ike_sa_crosses_its_delete() {
    ends_with_the_delete(Pair::rekey_ike);
}

/// y deletes; whichever message of the two exchanges is late or lost, nothing is left at either end, and the tunnel can
/// be built anew.
fn ends_with_the_delete(start: fn(&mut Pair, End)) {
    from_both_ends(|_, x, y| {
        let messages = [
            None,
            Some(x.requests(CREATE)),
            Some(y.responses(CREATE)),
            Some(y.requests(INFORM)),
            Some(x.responses(INFORM)),
        ];
        for (which, lost) in messages.into_iter().flat_map(|which| [(which, false), (which, true)]) {
            let mut pair = crate::busy();
            if let Some(which) = which {
                pair.hinder(which, lost);
            }
            start(&mut pair, x);
            pair.terminate(y);
            pair.run_for(AGAIN);
            if let Some(which) = which {
                pair.release(which);
            }
            pair.run_for(LONG);
            assert!(pair.side(x).down().is_some() && pair.side(y).down().is_some(), "{which:?} {lost}");
            assert!(!matches!(pair.side(x).down(), Some(Failure::Timeout { .. })), "{which:?} {lost}");
            pair.assert_down();
            pair.initiate(x);
            pair.run_for(LONG);
            pair.run_for(LONG);
            pair.run_for(LONG);
            pair.assert_one_tunnel();
        }
    });
}

/// Both ends delete at once, one of them in the middle of a rekey.
#[test]
fn both_ends_delete_the_ike_sa_at_once() {
    for start in [Pair::rekey_child, Pair::rekey_ike] {
        from_both_ends(|mut pair, x, y| {
            start(&mut pair, x);
            pair.terminate(x);
            pair.terminate(y);
            pair.run_for(LONG * 6);
            pair.assert_down();
            assert!(pair.a.endpoint.is_idle() && pair.b.endpoint.is_idle());
        });
    }
}

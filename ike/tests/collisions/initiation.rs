//! Both ends start the IKE SA at once, or one that has lost its state starts it again (RFC 7296 §2.4, §2.8).

use core::time::Duration;

use gotthard_ike::codec::iana::ExchangeType;

use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::side::End;
use crate::{AGAIN, LONG, SOON, busy, from_both_ends, lead_nonces, lead_nonces_of_answers};

const INIT: ExchangeType = ExchangeType::IKE_SA_INIT;
const AUTH: ExchangeType = ExchangeType::IKE_AUTH;

/// ```text
/// x --> IKE_SA_INIT { SA, KE, Ni1 }      y --> IKE_SA_INIT { SA, KE, Ni2 }
/// x <-- IKE_SA_INIT { SA, KE, Nr1 }      y <-- IKE_SA_INIT { SA, KE, Nr2 }
/// x --> IKE_AUTH { ID, AUTH, SA, TS }    y --> IKE_AUTH { ID, AUTH, SA, TS }
/// x <-- IKE_AUTH { ID, AUTH, SA, TS }    y <-- IKE_AUTH { ID, AUTH, SA, TS }
/// ```
#[test]
fn of_two_ike_sas_made_at_once_one_is_left() {
    for loser in End::BOTH {
        let mut pair = both_start(loser);
        pair.run_for(Duration::from_mins(1));
        pair.assert_one_tunnel();
    }
}

/// Each of the eight messages is late once, and lost once.
#[test]
fn of_two_ike_sas_made_at_once_one_is_left_whatever_is_late_or_lost() {
    for (loser, x) in End::BOTH.into_iter().flat_map(|loser| End::BOTH.map(|x| (loser, x))) {
        for which in [x.requests(INIT), x.responses(INIT), x.requests(AUTH), x.responses(AUTH)] {
            for (late, lost) in [(SOON, false), (AGAIN, false), (LONG, false), (SOON, true), (AGAIN, true)] {
                let mut pair = both_start_after(loser, |pair| pair.hinder(which, lost));
                pair.run_for(late);
                pair.release(which);
                pair.run_for(Duration::from_mins(1));
                pair.assert_one_tunnel();
                for end in End::BOTH {
                    assert!(
                        pair.side(end).down().is_none(),
                        "{which:?} {late:?}: {:?}",
                        pair.side(end).events
                    );
                }
            }
        }
    }
}

/// The handshakes cross, and the IKE SA of y's is rekeyed before x's comes to its end: it is still one that x's crosses.
///
/// ```text
/// x --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }   held
/// y <-- IKE_AUTH { IDr, AUTH, SA, TSi, TSr }
/// y --> CREATE_CHILD_SA { SA, Ni, KEi }        or x
/// ```
#[test]
fn of_two_handshakes_at_once_one_ends_when_the_other_is_rekeyed() {
    for (loser, x) in End::BOTH.into_iter().flat_map(|loser| End::BOTH.map(|x| (loser, x))) {
        for rekeys in End::BOTH {
            let mut pair = both_start_after(loser, |pair| pair.hold(x.requests(AUTH)));
            pair.run_for(SOON);
            pair.rekey_ike(rekeys);
            pair.run_for(SOON);
            pair.release(x.requests(AUTH));
            pair.assert_settled();
        }
    }
}

/// The four messages of one handshake and the four of the other, in each of the 70 orders that they can arrive in.
#[test]
fn of_two_ike_sas_made_at_once_one_is_left_in_whatever_order_messages_arrive() {
    let of = |x: End| {
        let y = x.other();
        [x.requests(INIT), y.responses(INIT), x.requests(AUTH), y.responses(AUTH)]
    };
    for (loser, order) in (0_u32..256).filter(|bits| bits.count_ones() == 4).flat_map(both_losers) {
        let all = End::BOTH.map(of);
        let mut pair =
            both_start_after(loser, |pair| all.iter().flatten().for_each(|which| pair.hold(*which)));
        let mut left = all.map(IntoIterator::into_iter);
        for arrival in 0..8 {
            let end = (order >> arrival & 1) as usize;
            pair.release(left[end].next().unwrap());
            // It arrives, and is answered; no request is sent again yet.
            pair.run_for(Duration::from_millis(6));
        }
        pair.run_for(Duration::from_mins(1));
        pair.assert_one_tunnel();
        let down = End::BOTH.iter().any(|end| pair.side(*end).down().is_some());
        assert!(!down, "{loser:?} {order:08b}");
    }
}

/// Both ends rekey the IKE SA of y's, which gives way to x's before y knows which of its successors is left: that one
/// carries the packets until x has seen its own.
///
/// ```text
/// y --> CREATE_CHILD_SA { SA, Ni1, KEi1 }      lost
/// x --> CREATE_CHILD_SA { SA, Ni2, KEi2 }
/// x <-- CREATE_CHILD_SA { SA, Nr2, KEr2 }
/// x --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }
/// x <-- IKE_AUTH { IDr, AUTH, SA, TSi, TSr }   held
/// x --> INFORMATIONAL { D(IKE) }               under the one that was rekeyed
/// ```
#[test]
fn of_two_handshakes_at_once_one_ends_in_the_middle_of_a_collision() {
    for (loser, x) in End::BOTH.into_iter().flat_map(|loser| End::BOTH.map(|x| (loser, x))) {
        let y = x.other();
        let mut pair = both_start_after(loser, |pair| pair.hold(x.requests(AUTH)));
        pair.run_for(SOON);
        pair.lose(y.requests(ExchangeType::CREATE_CHILD_SA));
        pair.hold(x.requests(ExchangeType::INFORMATIONAL));
        pair.hold(y.responses(AUTH));
        pair.rekey_ike(y);
        pair.rekey_ike(x);
        pair.run_for(SOON);
        pair.release(x.requests(AUTH));
        pair.run_for(SOON);
        pair.release(x.requests(ExchangeType::INFORMATIONAL));
        pair.run_for(SOON);
        pair.release(y.requests(ExchangeType::CREATE_CHILD_SA));
        pair.release(y.responses(AUTH));
        pair.assert_settled();
    }
}

/// The tunnel is up before x starts another: no packet is lost on the way from the one to the other.
///
/// ```text
/// x --> IKE_SA_INIT { SA, KE, Ni }, y has lost nothing
/// ```
#[test]
fn an_end_that_has_lost_its_state_starts_again() {
    from_both_ends(|mut pair, x, y| {
        pair.restart(x);
        pair.initiate(x);
        pair.run_for(Duration::from_mins(1));
        pair.assert_one_tunnel();
        assert!(pair.side(y).down().is_none(), "it was replaced");
    });
}

/// ```text
/// y --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }  x has restarted and knows nothing of it
/// x --> IKE_SA_INIT { SA, KE, Ni }
/// ```
#[test]
fn an_end_that_has_lost_its_state_starts_again_while_the_other_rekeys() {
    for start in [Pair::rekey_child, Pair::rekey_ike] {
        from_both_ends(|mut pair, x, y| {
            start(&mut pair, y);
            pair.run_for(Duration::from_millis(7));
            pair.restart(x);
            pair.initiate(x);
            pair.run_for(Duration::from_mins(1));
            pair.assert_one_tunnel();
            assert!(pair.side(y).down().is_none(), "it was replaced");
        });
    }
}

/// Ids that count, and one request at a time, from both ends at once: neither waits for the other.
#[test]
fn requests_of_both_ends_never_wait_for_each_other() {
    let mut pair = busy();
    for round in 0..50_u64 {
        for end in End::BOTH {
            pair.rekey_child(end);
            pair.run_for(Duration::from_millis(round % 7));
            pair.rekey_ike(end);
        }
        pair.run_for(Duration::from_millis(round % 11));
    }
    pair.assert_settled();
}

fn both_losers(order: u32) -> [(End, u32); 2] {
    End::BOTH.map(|loser| (loser, order))
}

fn both_start(loser: End) -> Pair {
    both_start_after(loser, |_| {})
}

fn both_start_after(loser: End, prepare: impl FnOnce(&mut Pair)) -> Pair {
    let mut pair = Pair::new(1, Weather::FAIR);
    prepare(&mut pair);
    lead_nonces(&mut pair, loser);
    pair.initiate(End::A);
    pair.initiate(End::B);
    lead_nonces_of_answers(&mut pair);
    pair.start_traffic(Duration::from_millis(5));
    pair
}

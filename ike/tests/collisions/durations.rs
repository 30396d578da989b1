//! How long a rekey took, as each end tells it: from the first request, or from when the peer's came, to the new SA in use.
//! The link takes 5 ms each way, and nothing else takes time unless the case says so.

use core::time::Duration;

use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::suite::{EspSuite, IkeSuite};

use crate::support::pair::Pair;
use crate::support::side::End;
use crate::{busy, busy_with, cross, from_both_ends};

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }   x counts from here, and y from where it has come
/// x <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }                x sends with the new one
/// x --> INFORMATIONAL { D(old) }                            and y when this has come
/// ```
#[test]
fn a_rekey_of_the_child_took_a_round_trip_at_either_end() {
    from_both_ends(|mut pair, x, y| {
        pair.rekey_child(x);
        pair.assert_settled();
        assert_eq!(pair.side(x).child_rekeys_took(), [ROUND_TRIP]);
        assert_eq!(pair.side(y).child_rekeys_took(), [ROUND_TRIP]);
    });
}

/// Who answers has the new IKE SA at once.
#[test]
fn a_rekey_of_the_ike_sa_took_a_round_trip_for_who_asked() {
    from_both_ends(|mut pair, x, y| {
        pair.rekey_ike(x);
        pair.assert_settled();
        assert_eq!(pair.side(x).ike_rekeys_took(), [ROUND_TRIP]);
        assert_eq!(pair.side(y).ike_rekeys_took(), [Duration::ZERO]);
    });
}

/// What is sent again does not begin anew.
#[test]
fn a_request_that_was_lost_counts_from_its_first_time() {
    from_both_ends(|mut pair, x, y| {
        pair.lose(x.requests(ExchangeType::CREATE_CHILD_SA));
        pair.rekey_child(x);
        pair.run_for(LOST);
        pair.release(x.requests(ExchangeType::CREATE_CHILD_SA));
        pair.assert_settled();
        let took = pair.side(x).child_rekeys_took();
        assert!(matches!(took[..], [took] if took > LOST), "{took:?}");
        assert_eq!(pair.side(y).child_rekeys_took(), [ROUND_TRIP], "it has heard of it late");
    });
}

/// ```text
/// x --> CREATE_CHILD_SA { …, KEi(31) }
/// x <-- CREATE_CHILD_SA { N(INVALID_KE_PAYLOAD, 19) }
/// x --> CREATE_CHILD_SA { …, KEi(19) }
/// x <-- CREATE_CHILD_SA { …, KEr(19) }
/// ```
#[test]
fn a_round_for_another_group_is_counted_in() {
    let mut pair = busy_with(|a, b| {
        a.esp_suites = ["aes256gcm16-x25519", "aes256gcm16-ecp256"].map(esp).to_vec();
        b.esp_suites = vec![esp("aes256gcm16-ecp256")];
        a.ike_suites = ["aes256gcm16-sha256-x25519", "aes256gcm16-sha256-ecp256"].map(ike).to_vec();
        b.ike_suites = vec![ike("aes256gcm16-sha256-ecp256")];
    });
    pair.rekey_child(End::A);
    pair.assert_settled();
    pair.rekey_ike(End::A);
    pair.assert_settled();
    assert_eq!(pair.a.child_rekeys_took(), [2 * ROUND_TRIP]);
    assert_eq!(pair.a.ike_rekeys_took(), [2 * ROUND_TRIP]);
}

/// Both key exchanges of the end that answers, and the second of the one that asks, are between the request and the new
/// SA. The first of who asks is done before there is a request.
#[test]
fn key_exchanges_that_are_computed_elsewhere_are_counted_in() {
    let mut pair = with_key_exchange();
    for end in End::BOTH {
        pair.side_mut(end).compute_in(WORK);
    }
    pair.rekey_child(End::A);
    pair.assert_settled();
    pair.rekey_ike(End::A);
    pair.assert_settled();
    for (took, what) in [(pair.a.child_rekeys_took(), "child"), (pair.a.ike_rekeys_took(), "IKE SA")] {
        assert_eq!(took, [ROUND_TRIP + 2 * WORK], "the {what} of who asked");
    }
    assert_eq!(pair.b.ike_rekeys_took(), [WORK], "the IKE SA of who answered");
    let took = pair.b.child_rekeys_took();
    assert_eq!(took, [ROUND_TRIP + 2 * WORK], "the child of who answered: until it has seen the Delete");
}

/// Each end tells of the one that is left, whoever made it.
#[test]
fn of_two_rekeys_at_once_the_one_that_is_left_is_told() {
    let mut pair = busy();
    cross(&mut pair, Pair::rekey_ike);
    pair.assert_settled();
    for end in End::BOTH {
        let took = pair.side(end).ike_rekeys_took();
        assert!(matches!(took[..], [took] if took <= 3 * ROUND_TRIP), "{end:?}: {took:?}");
    }
}

fn with_key_exchange() -> Pair {
    busy_with(|a, b| {
        (a.esp_suites, b.esp_suites) = (vec![esp("aes256gcm16-x25519")], vec![esp("aes256gcm16-x25519")]);
    })
}

fn esp(name: &str) -> EspSuite {
    name.parse().unwrap()
}

fn ike(name: &str) -> IkeSuite {
    name.parse().unwrap()
}

/// Of the link in fair weather.
const ROUND_TRIP: Duration = Duration::from_millis(10);
/// Shorter than the first wait for an answer.
const LOST: Duration = Duration::from_millis(100);
/// What a key exchange takes.
const WORK: Duration = Duration::from_millis(30);

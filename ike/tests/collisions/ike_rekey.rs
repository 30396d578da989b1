//! One end rekeys the IKE SA (RFC 7296 §1.3.2, §2.18): its child lives on under the new one, untouched.

use core::time::Duration;

use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::error::Failure;

use crate::support::pair::Pair;
use crate::support::side::End;
use crate::{AGAIN, SOON, busy, busy_with, from_both_ends};

const CREATE: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

/// The SPIs with which each end receives.
fn spis(pair: &Pair) -> [Vec<u32>; 2] {
    End::BOTH.map(|end| pair.side(end).inbound.keys().copied().collect())
}

/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni, KEi }
/// x <-- CREATE_CHILD_SA { SA, Nr, KEr }
/// x --> INFORMATIONAL { D(IKE) }   under the old one
/// x <-- INFORMATIONAL { }
/// ```
#[test]
fn an_ike_sa_is_rekeyed_by_either_end_and_keeps_its_child() {
    from_both_ends(|mut pair, x, y| {
        let before = spis(&pair);
        pair.rekey_ike(x);
        pair.assert_settled();
        assert_eq!(before, spis(&pair));
        assert_eq!((pair.side(x).ike_rekeys(), pair.side(y).ike_rekeys()), (1, 1));
    });
}

/// Under the new IKE SA both ends can do what they could under the old one.
#[test]
fn a_rekeyed_ike_sa_rekeys_its_child_and_itself() {
    from_both_ends(|mut pair, x, y| {
        for end in [x, y, y, x] {
            pair.rekey_ike(end);
            pair.run_for(SOON);
            pair.rekey_child(end);
            pair.run_for(SOON);
            pair.rekey_child(end.other());
            pair.run_for(SOON);
        }
        pair.assert_settled();
        assert_eq!(pair.side(x).ike_rekeys(), 4);
        assert_eq!(pair.side(x).child_rekeys(), 8);
    });
}

/// ```text
/// x --> CREATE_CHILD_SA { SA(31, 19), Ni, KEi(31) }
/// x <-- CREATE_CHILD_SA { N(INVALID_KE_PAYLOAD, 19) }
/// x --> CREATE_CHILD_SA { SA(31, 19), Ni, KEi(19) }
/// x <-- CREATE_CHILD_SA { SA(19), Nr, KEr(19) }
/// ```
#[test]
fn a_rekey_is_tried_again_with_the_group_that_the_peer_names() {
    for x in End::BOTH {
        let mut pair = busy_with(|a, b| {
            let (ours, theirs) = if x == End::A { (a, b) } else { (b, a) };
            ours.ike_suites = ["aes256gcm16-sha256-x25519", "aes256gcm16-sha256-ecp256"]
                .map(|suite| suite.parse().unwrap())
                .to_vec();
            theirs.ike_suites = vec!["aes256gcm16-sha256-ecp256".parse().unwrap()];
        });
        pair.rekey_ike(x);
        pair.assert_settled();
        assert_eq!(pair.side(x).ike_rekeys(), 1);
    }
}

/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni, KEi }  lost once
/// x <-- CREATE_CHILD_SA { SA, Nr, KEr }  lost once
/// ```
#[test]
fn a_rekey_that_is_lost_on_either_way_happens_once() {
    from_both_ends(|mut pair, x, y| {
        pair.lose(x.requests(CREATE));
        pair.lose(y.responses(CREATE));
        pair.rekey_ike(x);
        pair.run_for(SOON);
        pair.release(x.requests(CREATE));
        pair.run_for(AGAIN);
        pair.release(y.responses(CREATE));
        pair.assert_settled();
        assert_eq!((pair.side(x).ike_rekeys(), pair.side(y).ike_rekeys()), (1, 1));
    });
}

/// y has the new one and x has not: what y wants to say waits for x, or is said where x hears it.
///
/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni, KEi }
/// x <-- CREATE_CHILD_SA { SA, Nr, KEr }                     held
/// y --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }   under the new one
/// ```
#[test]
fn a_responder_speaks_under_the_new_ike_sa_before_the_initiator_knows_it() {
    for late in [SOON, AGAIN, Duration::from_secs(7)] {
        from_both_ends(|mut pair, x, y| {
            pair.hold(y.responses(CREATE));
            pair.rekey_ike(x);
            pair.run_for(SOON);
            pair.rekey_child(y);
            pair.run_for(late);
            pair.release(y.responses(CREATE));
            pair.assert_settled();
        });
    }
}

/// ```text
/// x --> INFORMATIONAL { D(IKE) }  lost once
/// x <-- INFORMATIONAL { }         lost once
/// ```
#[test]
fn a_delete_of_the_old_ike_sa_is_lost_on_either_way() {
    from_both_ends(|mut pair, x, y| {
        pair.lose(x.requests(INFORM));
        pair.lose(y.responses(INFORM));
        pair.rekey_ike(x);
        pair.run_for(SOON);
        pair.release(x.requests(INFORM));
        pair.run_for(AGAIN);
        pair.release(y.responses(INFORM));
        pair.assert_settled();
    });
}

/// The old one's Delete says nothing of the tunnel, which the new one carries.
///
/// ```text
/// x --> INFORMATIONAL { D(IKE) }  lost, and every one after it, for as long as x tries
/// ```
#[test]
fn a_delete_of_the_old_ike_sa_that_is_never_answered_leaves_the_tunnel_alone() {
    from_both_ends(|mut pair, x, _| {
        pair.lose(x.requests(INFORM));
        pair.rekey_ike(x);
        pair.run_for(Duration::from_secs(20));
        pair.release(x.requests(INFORM));
        pair.run_for(Duration::from_mins(1));
        for end in End::BOTH {
            assert!(pair.side(end).down().is_none(), "{:?}", pair.side(end).events);
            assert_eq!(pair.side(end).esp_lost, 0);
        }
        pair.assert_one_tunnel();
    });
}

/// ```text
/// x --> CREATE_CHILD_SA { SA, Ni, KEi }  lost, and every one after it
/// ```
#[test]
fn a_rekey_that_is_never_answered_ends_the_ike_sa() {
    from_both_ends(|mut pair, x, _| {
        pair.lose(x.requests(CREATE));
        pair.rekey_ike(x);
        pair.run_for(Duration::from_secs(12));
        assert!(matches!(pair.side(x).down(), Some(Failure::Timeout { .. })), "{:?}", pair.side(x).down());
        pair.initiate(x);
        pair.run_for(Duration::from_mins(1));
        pair.assert_one_tunnel();
    });
}

#[test]
fn the_ends_take_turns_for_ever() {
    let mut pair = busy();
    for round in 0..20 {
        pair.rekey_ike(End::BOTH[round % 2]);
        pair.run_for(Duration::from_millis(1500));
    }
    pair.assert_settled();
    assert_eq!(pair.a.ike_rekeys(), 20);
}

#[test]
fn an_ike_sa_is_rekeyed_at_its_soft_lifetime() {
    let mut pair = busy_with(|a, b| {
        for config in [a, b] {
            config.ike_lifetime = Duration::from_mins(10);
            config.rekey_margin = Duration::from_mins(2);
            config.rekey_fuzz = 100;
        }
    });
    pair.run_for(Duration::from_mins(8));
    pair.assert_settled();
    assert!((1..=2).contains(&pair.a.ike_rekeys()), "{}", pair.a.ike_rekeys());
}

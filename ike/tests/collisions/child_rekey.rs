//! One end rekeys the child SA (RFC 7296 §1.3.3, §2.8).

use core::time::Duration;

use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::error::Failure;
use gotthard_ike::suite::EspSuite;

use crate::support::pair::Pair;
use crate::support::side::End;
use crate::{AGAIN, SOON, busy, busy_with, from_both_ends};

/// The SPIs with which each end receives.
fn spis(pair: &Pair) -> [Vec<u32>; 2] {
    End::BOTH.map(|end| pair.side(end).inbound.keys().copied().collect())
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }
/// x --> INFORMATIONAL { D(old) }
/// x <-- INFORMATIONAL { D(old) }
/// ```
#[test]
fn a_child_is_rekeyed_by_either_end() {
    from_both_ends(|mut pair, x, y| {
        let before = spis(&pair);
        pair.rekey_child(x);
        pair.run_for(SOON);
        assert!(
            End::BOTH.iter().all(|end| pair.side(*end).inbound.len() == 2),
            "the old one takes what follows"
        );
        pair.assert_settled();
        assert!(before.iter().zip(spis(&pair)).all(|(before, after)| *before != after));
        assert_eq!((pair.side(x).child_rekeys(), pair.side(y).child_rekeys()), (1, 1));
    });
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, KEi, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr, KEr, TSi, TSr }
/// ```
#[test]
fn a_child_is_rekeyed_with_a_key_exchange() {
    for x in End::BOTH {
        let mut pair = busy_with(|a, b| {
            (a.esp_suites, b.esp_suites) = (suites(&["aes256gcm16-x25519"]), suites(&["aes256gcm16-x25519"]));
        });
        pair.rekey_child(x);
        pair.assert_settled();
        assert_eq!(pair.side(x).child_rekeys(), 1);
    }
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA(31, 19), Ni, KEi(31), TSi, TSr }
/// x <-- CREATE_CHILD_SA { N(INVALID_KE_PAYLOAD, 19) }
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA(31, 19), Ni, KEi(19), TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA(19), Nr, KEr(19), TSi, TSr }
/// ```
#[test]
fn a_rekey_is_tried_again_with_the_group_that_the_peer_names() {
    for x in End::BOTH {
        let mut pair = busy_with(|a, b| {
            let (ours, theirs) = if x == End::A { (a, b) } else { (b, a) };
            ours.esp_suites = suites(&["aes256gcm16-x25519", "aes256gcm16-ecp256"]);
            theirs.esp_suites = suites(&["aes256gcm16-ecp256"]);
        });
        pair.rekey_child(x);
        pair.assert_settled();
        assert_eq!(pair.side(x).child_rekeys(), 1);
    }
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }               y's own time to rekey comes: it is done already
/// x --> INFORMATIONAL { D(old) }
/// ```
#[test]
fn an_end_whose_child_was_just_rekeyed_need_not_rekey_it() {
    from_both_ends(|mut pair, x, y| {
        pair.hold(x.requests(ExchangeType::INFORMATIONAL));
        pair.rekey_child(x);
        pair.run_for(SOON);
        pair.rekey_child(y);
        pair.run_for(SOON);
        pair.release(x.requests(ExchangeType::INFORMATIONAL));
        pair.assert_settled();
    });
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }  lost
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }               lost
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }
/// ```
#[test]
fn a_rekey_that_is_lost_on_either_way_happens_once() {
    from_both_ends(|mut pair, x, y| {
        let (request, response) =
            (x.requests(ExchangeType::CREATE_CHILD_SA), y.responses(ExchangeType::CREATE_CHILD_SA));
        pair.lose(request);
        pair.lose(response);
        pair.rekey_child(x);
        pair.run_for(SOON);
        pair.release(request);
        pair.run_for(AGAIN);
        pair.release(response);
        pair.assert_settled();
        assert_eq!((pair.side(x).child_rekeys(), pair.side(y).child_rekeys()), (1, 1));
    });
}

/// ```text
/// x --> INFORMATIONAL { D(old) }  lost
/// x --> INFORMATIONAL { D(old) }
/// x <-- INFORMATIONAL { D(old) }  lost
/// ```
#[test]
fn a_delete_that_is_lost_on_either_way_is_sent_again() {
    from_both_ends(|mut pair, x, y| {
        let (request, response) =
            (x.requests(ExchangeType::INFORMATIONAL), y.responses(ExchangeType::INFORMATIONAL));
        pair.lose(request);
        pair.lose(response);
        pair.rekey_child(x);
        pair.run_for(SOON);
        pair.release(request);
        pair.run_for(AGAIN);
        pair.release(response);
        pair.assert_settled();
    });
}

/// The answer is on its way for longer than y waits before it sends with the new child: x must have it by then, or y's
/// packets have no receiver. So y waits for as long as x asks.
///
/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// x <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }               held for 7 s
/// ```
#[test]
fn a_responder_does_not_send_with_a_child_that_the_initiator_has_not_confirmed() {
    from_both_ends(|mut pair, x, y| {
        pair.hold(y.responses(ExchangeType::CREATE_CHILD_SA));
        pair.rekey_child(x);
        pair.run_for(Duration::from_secs(7));
        pair.release(y.responses(ExchangeType::CREATE_CHILD_SA));
        pair.assert_settled();
    });
}

#[test]
fn the_ends_take_turns_for_ever() {
    let mut pair = busy();
    for round in 0..20 {
        pair.rekey_child(End::BOTH[round % 2]);
        pair.run_for(Duration::from_millis(1500));
    }
    pair.assert_settled();
    assert_eq!(pair.a.child_rekeys(), 20);
}

#[test]
fn a_child_is_rekeyed_at_its_soft_lifetime_and_by_nobody_after_that() {
    let mut pair = busy_with(|a, b| {
        for config in [a, b] {
            config.child_lifetime = Duration::from_mins(10);
            config.rekey_margin = Duration::from_mins(2);
            config.rekey_fuzz = 100;
        }
    });
    pair.run_for(Duration::from_mins(8));
    pair.assert_settled();
    assert!((1..=2).contains(&pair.a.child_rekeys()), "{}", pair.a.child_rekeys());
}

/// ```text
/// x --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }  lost, and every one after it
/// ```
#[test]
fn a_rekey_that_is_never_answered_ends_the_ike_sa() {
    from_both_ends(|mut pair, x, y| {
        pair.lose(x.requests(ExchangeType::CREATE_CHILD_SA));
        pair.rekey_child(x);
        pair.run_for(Duration::from_secs(12));
        assert!(matches!(pair.side(x).down(), Some(Failure::Timeout { .. })), "{:?}", pair.side(x).down());
        assert!(pair.side(x).inbound.is_empty() && pair.side(x).outbound.is_none());
        pair.initiate(x);
        pair.run_for(Duration::from_mins(1));
        pair.assert_one_tunnel();
        assert!(pair.side(y).down().is_none(), "the new one took its place");
    });
}

/// ```text
/// x --> INFORMATIONAL { D(old) }  lost, and every one after it
/// ```
#[test]
fn a_delete_that_is_never_answered_ends_the_ike_sa() {
    from_both_ends(|mut pair, x, _| {
        pair.lose(x.requests(ExchangeType::INFORMATIONAL));
        pair.rekey_child(x);
        pair.run_for(Duration::from_secs(12));
        assert!(matches!(pair.side(x).down(), Some(Failure::Timeout { .. })), "{:?}", pair.side(x).down());
        pair.release(x.requests(ExchangeType::INFORMATIONAL));
        pair.initiate(x);
        pair.run_for(Duration::from_mins(1));
        pair.assert_one_tunnel();
    });
}

fn suites(names: &[&str]) -> Vec<EspSuite> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

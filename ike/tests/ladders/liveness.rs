//! Liveness: silence is questioned, and a peer that does not answer is dead (RFC 7296 §2.4).

use core::time::Duration;

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{ExchangeType, NotifyType};
use gotthard_ike::codec::message::emit_clear;
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::error::{Failure, Stage};

use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::scripted::Scripted;
use crate::support::side::{End, PEER};

/// ```text
/// a --> HDR, SK {}
/// a <-- HDR, SK {}
/// ```
#[test]
fn an_idle_peer_is_asked_after_the_interval_and_lives() {
    let mut pair = Pair::with(1, Weather::FAIR, |_, b| b.dpd_interval = Duration::from_hours(1));
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    let before = pair.link.sent.len();
    pair.run_for(Duration::from_secs(95));
    assert_eq!(pair.link.sent.len() - before, 2 * 9);
    pair.assert_up();
}

#[test]
fn a_dead_peer_is_found_within_the_interval_and_the_retransmissions() {
    let mut pair = Pair::established();
    pair.link.weather.loss_percent = 100;
    pair.run_for(Duration::from_secs(22));
    let timeout = Failure::Timeout { exchange: Stage::Informational, hint: None };
    assert_eq!(pair.a.down(), Some(&timeout));
    assert_eq!(pair.b.down(), Some(&timeout));
    pair.assert_down();
    assert!(pair.a.endpoint.is_idle());
}

#[test]
fn traffic_of_the_peer_spares_the_question() {
    let mut pair = Pair::established();
    let before = pair.link.sent.len();
    for _ in 0..60 {
        pair.run_for(Duration::from_secs(1));
        pair.a.endpoint.traffic_seen(pair.now(), PEER);
        pair.b.endpoint.traffic_seen(pair.now(), PEER);
    }
    assert_eq!(pair.link.sent.len(), before);
    pair.link.weather.loss_percent = 100;
    pair.run_for(Duration::from_secs(22));
    assert!(pair.a.down().is_some());
}

/// ```text
/// a --> HDR, SK {}
/// a <-- HDR, SK {}
/// ```
#[test]
fn a_check_that_is_asked_for_is_made_at_once_and_its_answer_told_once() {
    let mut pair = Pair::established();
    let before = pair.link.sent.len();
    pair.check_liveness_a();
    pair.check_liveness_a();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.link.sent.len() - before, 2, "one exchange answers both");
    assert_eq!(pair.a.alive(), 1);
    pair.rekey_child(End::A);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.alive(), 1, "who did not ask is not told");
}

#[test]
fn any_answer_under_the_sa_is_a_sign_of_life() {
    let mut pair = Pair::established();
    pair.rekey_child(End::A);
    let before = pair.link.sent.len();
    pair.check_liveness_a();
    assert_eq!(pair.link.sent.len(), before, "the rekey in flight is the question");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.alive(), 1);
}

#[test]
fn a_check_that_nobody_answers_ends_the_sa_and_is_no_sign_of_life() {
    let mut pair = Pair::established();
    pair.link.weather.loss_percent = 100;
    pair.check_liveness_a();
    pair.run_for(Duration::from_millis(11_600));
    assert!(pair.a.down().is_some(), "the back-off of one request, and no interval before it");
    pair.check_liveness_a();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.alive(), 0);
}

/// The peer lost its state and answers nothing under the old SA; the new one is up long before that has timed out.
#[test]
fn a_peer_without_state_is_replaced_beside_the_sa_that_it_does_not_answer() {
    let mut pair = Pair::established();
    pair.restart_b();
    pair.check_liveness_a();
    pair.run_for(Duration::from_secs(2));
    assert_eq!((pair.a.alive(), pair.a.ike_up()), (0, 1));
    pair.replace_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
    assert_eq!(pair.a.ike_up(), 2);
    pair.run_for(Duration::from_secs(30));
    assert!(pair.a.down().is_none(), "the end of the old one is no news");
    pair.assert_up();
}

/// The peer was merely slow: it has both, and one is left.
#[test]
fn a_replacement_of_an_sa_that_lives_leaves_one() {
    let mut pair = Pair::established();
    pair.replace_a();
    pair.replace_a();
    pair.run_for(Duration::from_mins(1));
    pair.assert_up();
    assert_eq!((pair.a.ike_up(), pair.a.endpoint.ike_sas(), pair.b.endpoint.ike_sas()), (2, 1, 1));
    assert!(pair.a.down().is_none() && pair.b.down().is_none());
}

#[test]
fn a_request_of_the_peer_is_answered_while_ours_is_in_flight() {
    let mut script = Scripted::established();
    let ours = script.wait(Duration::from_secs(11));
    assert_eq!(ours.len(), 1 + 1, "the liveness check and its first retransmission");
    assert_eq!(ours[0], ours[1]);
    script.exchange(ExchangeType::INFORMATIONAL, &[]);
    assert!(script.acknowledge(&ours[0]).is_empty());
    assert!(script.b.down().is_none());
}

#[test]
fn a_clear_hint_starts_one_check_at_most_and_ends_nothing() {
    let mut script = Scripted::established();
    let (spi_i, spi_r) = (script.sa().spi_i, script.sa().spi_r);
    let flags = Flags { initiator: true, response: true, version: false };
    let mut checks = 0;
    for kind in [
        NotifyType::INVALID_IKE_SPI,
        NotifyType::INVALID_SPI,
        NotifyType::AUTHENTICATION_FAILED,
        NotifyType::NO_PROPOSAL_CHOSEN,
        NotifyType::INITIAL_CONTACT,
    ] {
        let header = Header::new(spi_i, spi_r, ExchangeType::INFORMATIONAL, flags, 0);
        let hint = emit_clear(header, &[Payload::Notify(Notify::new(kind, &[]))]);
        checks += script.send(&hint).len();
    }
    assert_eq!(checks, 1);
    assert!(script.b.down().is_none());
}

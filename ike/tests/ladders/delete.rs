//! Delete of IKE and child SAs (RFC 7296 §1.4.1).

use core::time::Duration;

use gotthard_ike::codec::iana::{ExchangeType, ProtocolId};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::config::Mode;
use gotthard_ike::error::{Failure, Sa};
use gotthard_ike::event::Event;

use crate::support::link::Weather;
use crate::support::pair::Pair;
use crate::support::scripted::{SPI, Scripted};
use crate::support::side::PEER;

/// ```text
/// a --> HDR, SK {D(IKE)}
/// a <-- HDR, SK {}
/// ```
#[test]
fn terminate_deletes_the_sas_at_both_ends() {
    let mut pair = Pair::established();
    pair.a.endpoint.terminate(pair.now(), PEER);
    assert!(!pair.a.endpoint.has_told_all(), "the Delete has yet to be answered");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.down(), Some(&Failure::Administrative));
    assert_eq!(pair.b.down(), Some(&Failure::PeerDeleted { what: Sa::Ike }));
    pair.assert_down();
    assert!(pair.a.endpoint.is_idle(), "the Delete was answered");
    assert!(pair.b.endpoint.has_told_all(), "who answered a Delete may exit");
    pair.run_for(Duration::from_mins(1));
    assert!(pair.b.endpoint.is_idle(), "what answered the Delete lingers for a time only");
}

#[test]
fn a_delete_gets_through_a_link_that_loses() {
    for seed in 0..100 {
        let mut pair = Pair::established();
        pair.link = crate::support::link::Link::new(seed, Weather { loss_percent: 40, ..Weather::FOUL });
        pair.a.endpoint.terminate(pair.now(), PEER);
        pair.run_for(Duration::from_secs(90));
        pair.assert_down();
        assert!(pair.a.endpoint.is_idle() && pair.b.endpoint.is_idle(), "seed {seed}");
    }
}

#[test]
fn terminate_from_both_ends_at_once_ends_both() {
    let mut pair = Pair::established();
    pair.a.endpoint.terminate(pair.now(), PEER);
    pair.b.endpoint.terminate(pair.now(), PEER);
    pair.run_for(Duration::from_mins(1));
    pair.assert_down();
    assert!(pair.a.endpoint.is_idle() && pair.b.endpoint.is_idle());
}

#[test]
fn a_removed_peer_is_forgotten_and_told_so() {
    let mut pair = Pair::established();
    pair.a.endpoint.remove_peer(pair.now(), PEER);
    pair.run_for(Duration::from_mins(1));
    pair.assert_down();
    pair.initiate_b();
    pair.run_for(Duration::from_mins(1));
    assert!(matches!(pair.b.failed(), Some(Failure::Timeout { .. })), "nobody answers");
}

#[test]
fn a_tunnel_comes_up_again_after_a_delete() {
    let mut pair = Pair::established();
    pair.b.endpoint.terminate(pair.now(), PEER);
    pair.run_for(Duration::from_secs(1));
    pair.initiate_a();
    pair.run_for(Duration::from_secs(1));
    pair.assert_up();
}

/// ```text
/// script --> HDR, SK {D(ESP, SPI)}
/// script <-- HDR, SK {D(ESP, the other half)}
/// ```
#[test]
fn a_deleted_child_is_answered_with_its_other_half() {
    let mut script = Scripted::established();
    let ours = *script.b.inbound.keys().next().unwrap();
    let inner = script.exchange(ExchangeType::INFORMATIONAL, &[Payload::Delete(Delete::esp(SPI))]);
    assert_eq!(inner.payloads(), [Payload::Delete(Delete::esp(ours))]);
    assert!(script.b.outbound.is_none());
    assert!(script.b.inbound.contains_key(&ours), "what is under way still arrives");
    assert!(matches!(script.b.events.last(), Some(Event::ChildDown { .. })));
}

#[test]
fn an_ike_sa_whose_peer_makes_no_new_child_is_deleted() {
    let mut script = Scripted::established_with(|config| config.mode = Mode::Responder);
    script.exchange(ExchangeType::INFORMATIONAL, &[Payload::Delete(Delete::esp(SPI))]);
    let sent = script.wait(Duration::from_secs(6));
    let request = script.sa().open(&sent[0]);
    assert_eq!(request.payloads(), [Payload::Delete(Delete::ike())]);
    assert_eq!(script.b.down(), Some(&Failure::PeerDeleted { what: Sa::Child }));
    script.acknowledge(&sent[0]);
    assert!(script.b.endpoint.is_idle());
    assert!(script.b.inbound.is_empty());
}

#[test]
fn deletes_of_what_is_not_ours_are_answered_with_nothing() {
    let mut script = Scripted::established();
    let ours = *script.b.inbound.keys().next().unwrap();
    let many = Delete { protocol: ProtocolId::ESP, spis: (0..10_000).collect() };
    let deletes = [
        Payload::Delete(Delete::esp(ours)), // our SPI, not the peer's
        Payload::Delete(Delete::esp(0xdead_beef)),
        Payload::Delete(many),
        Payload::Delete(Delete { protocol: ProtocolId::AH, spis: vec![SPI] }),
    ];
    let inner = script.exchange(ExchangeType::INFORMATIONAL, &deletes);
    assert!(inner.payloads().is_empty());
    assert!(script.b.outbound.is_some() && script.b.inbound.contains_key(&ours));
}

#[test]
fn a_retransmitted_delete_is_answered_again_octet_for_octet() {
    let mut script = Scripted::established();
    let request = script.seal(ExchangeType::INFORMATIONAL, &[Payload::Delete(Delete::ike())]);
    let first = script.send(&request);
    assert_eq!(first.len(), 1);
    assert_eq!(script.send(&request), first);
    assert_eq!(script.b.events.iter().filter(|e| matches!(e, Event::IkeDown { .. })).count(), 1);
    script.wait(Duration::from_secs(11));
    assert!(script.b.endpoint.is_idle());
    assert!(script.send(&request).is_empty(), "nothing is left that could answer");
}

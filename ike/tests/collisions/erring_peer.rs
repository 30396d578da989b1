//! A peer that answers our rekeys as it should not, late, or not for long: what is left is one tunnel, or none and the
//! reason (RFC 7296 §2.25). The peer is scripted; we are the responder of the handshake and rekey.

use core::time::Duration;

use gotthard_ike::codec::iana::{ExchangeType, NotifyType};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::event::Event;

use crate::support::scripted::{Inner, SPI, Scripted};
use crate::support::side::PEER;

const NEW_SPI: u32 = 0x2000_0002;
const NEXT_SPI: u32 = 0x3000_0003;
const INFORM: ExchangeType = ExchangeType::INFORMATIONAL;

/// ```text
/// we   --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// peer --> CREATE_CHILD_SA { SA, Nr, TSi, TSr }
/// we   --> INFORMATIONAL { D(old) }
/// peer --> INFORMATIONAL { D(old) }    its own request, before it reads ours
/// ```
#[test]
fn a_peer_that_deletes_the_old_child_itself_is_answered_without_a_delete() {
    let mut script = Scripted::established();
    let old_in = spi_in(&script);
    let request = start_child(&mut script);
    let sent = script.accept_child(&request, NEW_SPI);
    let delete = script.sa().open(sent.last().unwrap());
    assert_eq!(delete.payloads(), [Payload::Delete(Delete::esp(old_in))]);
    let answer = script.exchange(INFORM, &[Payload::Delete(Delete::esp(SPI))]);
    assert!(answer.payloads().is_empty(), "ours is under way (RFC 7296 §1.4.1)");
    script.respond(&delete, &[]);
    assert_one_child(&mut script, NEW_SPI);
}

/// ```text
/// we   --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// peer --> INFORMATIONAL { D(old) }
/// we   --> INFORMATIONAL { D(old) }    the answer
/// peer --> CREATE_CHILD_SA { SA, Nr, TSi, TSr }
/// ```
#[test]
fn an_answer_that_the_peers_delete_of_the_old_child_overtakes_still_makes_the_new_one() {
    let mut script = Scripted::established();
    let old_in = spi_in(&script);
    let request = start_child(&mut script);
    let answer = script.exchange(INFORM, &[Payload::Delete(Delete::esp(SPI))]);
    assert_eq!(answer.payloads(), [Payload::Delete(Delete::esp(old_in))]);
    let sent = script.accept_child(&request, NEW_SPI);
    for delete in sent {
        script.acknowledge(&delete);
    }
    assert_one_child(&mut script, NEW_SPI);
}

/// ```text
/// we   --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// peer --> INFORMATIONAL { D(old) }
/// we   --> INFORMATIONAL { D(old) }    the answer
/// peer --> CREATE_CHILD_SA { N(CHILD_SA_NOT_FOUND) }
/// we   --> CREATE_CHILD_SA { SA, Ni, TSi, TSr }
/// ```
#[test]
fn a_child_that_the_peer_deletes_while_we_rekey_it_is_made_anew() {
    let mut script = Scripted::established();
    let request = start_child(&mut script);
    script.exchange(INFORM, &[Payload::Delete(Delete::esp(SPI))]);
    lost_child_is_made_anew(&mut script, &request);
}

/// ```text
/// we   --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// peer --> CREATE_CHILD_SA { N(CHILD_SA_NOT_FOUND) }
/// we   --> CREATE_CHILD_SA { SA, Ni, TSi, TSr }
/// ```
#[test]
fn a_child_that_the_peer_has_lost_is_made_anew() {
    let mut script = Scripted::established();
    let request = start_child(&mut script);
    lost_child_is_made_anew(&mut script, &request);
}

/// ```text
/// we   --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// peer --> CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
/// we   --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }   later
/// ```
#[test]
fn a_rekey_that_comes_at_a_bad_time_is_tried_again() {
    for start in [start_child, start_ike] {
        let mut script = Scripted::established();
        let request = start(&mut script);
        let sent = script.respond(&request, &[notify(NotifyType::TEMPORARY_FAILURE)]);
        assert!(sent.is_empty(), "not at once");
        let sent = (0..10).map(|_| script.wait(Duration::from_secs(1))).find(|sent| !sent.is_empty());
        let again = script.sa().open(&sent.expect("another try")[0]);
        assert_eq!(again.header.exchange, ExchangeType::CREATE_CHILD_SA);
        assert!(script.b.down().is_none());
    }
}

/// We delete the old child, and the peer rekeys it all the same.
///
/// ```text
/// we   --> INFORMATIONAL { D(old) }
/// peer --> CREATE_CHILD_SA { N(REKEY_SA, old), SA, Ni, TSi, TSr }
/// we   --> CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
/// ```
#[test]
fn a_rekey_of_a_child_that_we_are_deleting_is_refused_for_now() {
    let mut script = Scripted::established();
    let request = start_child(&mut script);
    let sent = script.accept_child(&request, NEW_SPI);
    let answer = script.rekey_child(SPI, NEXT_SPI, None);
    assert!(answer.notify(NotifyType::TEMPORARY_FAILURE));
    script.acknowledge(sent.last().unwrap());
    assert_one_child(&mut script, NEW_SPI);
}

/// The wrong one of the two: there is no child any more, and no way back to the old one.
///
/// ```text
/// we   --> INFORMATIONAL { D(old) }
/// peer --> INFORMATIONAL { D(new) }
/// ```
#[test]
fn a_peer_that_deletes_the_new_child_instead_of_the_old_one_leaves_none() {
    let mut script = Scripted::established();
    let request = start_child(&mut script);
    let sent = script.accept_child(&request, NEW_SPI);
    script.exchange(INFORM, &[Payload::Delete(Delete::esp(NEW_SPI))]);
    script.acknowledge(sent.last().unwrap());
    assert!(script.b.outbound.is_none(), "nothing is sent that nobody receives");
    assert!(script.b.events.iter().any(|event| matches!(event, Event::ChildDown { .. })));
}

/// The peer has answered our rekey, started its own, and deletes both the old one and one of the two new ones, though
/// one of them was ours to delete: the one that is left is used, or there is none, and that is known.
///
/// ```text
/// we   --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, TSi, TSr }
/// peer --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni2, TSi, TSr }
/// peer --> CREATE_CHILD_SA { SA, Nr1, TSi, TSr }
/// peer --> INFORMATIONAL { D(of one of the two new) }, INFORMATIONAL { D(old) }
/// ```
#[test]
fn of_two_children_made_at_once_a_peer_deletes_the_wrong_one() {
    for (wrong, left) in [(NEW_SPI, NEXT_SPI), (NEXT_SPI, NEW_SPI)] {
        let mut script = Scripted::established();
        let request = start_child(&mut script);
        script.rekey_child(SPI, NEXT_SPI, None);
        let mut sent = script.accept_child(&request, NEW_SPI);
        for spi in [wrong, SPI] {
            script.exchange(INFORM, &[Payload::Delete(Delete::esp(spi))]);
        }
        while let Some(request) = sent.pop() {
            sent.extend(script.acknowledge(&request));
        }
        let none = script.b.events.iter().any(|event| matches!(event, Event::ChildDown { .. }));
        assert_eq!(spi_out(&script), (!none).then_some(left));
    }
}

/// The peer rekeys and never deletes: we do, at the end of the old child's life.
#[test]
fn a_child_that_was_rekeyed_and_is_not_deleted_is_deleted_at_its_end() {
    let mut script = Scripted::established_with(|config| config.child_lifetime = Duration::from_mins(5));
    script.rekey_child(SPI, NEW_SPI, None);
    let old_in: Vec<u32> = script.b.inbound.keys().copied().collect();
    let mut asked = false;
    for _ in 0..6 * 60 {
        for datagram in script.wait(Duration::from_secs(1)) {
            let inner = script.sa().open(&datagram);
            if inner.header.flags.response {
                continue;
            }
            asked |= matches!(inner.payloads().as_slice(), [Payload::Delete(delete)] if old_in.contains(&first_spi(delete)));
            script.acknowledge(&datagram);
        }
        if asked {
            return;
        }
    }
    panic!("no Delete");
}

/// ```text
/// we   --> CREATE_CHILD_SA { SA, Ni, KEi }
/// peer --> INFORMATIONAL { D(IKE) }
/// we   --> INFORMATIONAL { }               and our rekey is forgotten
/// ```
#[test]
fn an_ike_sa_that_the_peer_deletes_while_we_rekey_it_ends() {
    let mut script = Scripted::established();
    start_ike(&mut script);
    let answer = script.exchange(INFORM, &[Payload::Delete(Delete::ike())]);
    assert!(answer.payloads().is_empty());
    assert!(script.b.down().is_some());
    let sent = script.wait(Duration::from_secs(30));
    assert!(sent.is_empty(), "{} more", sent.len());
    assert!(script.b.endpoint.is_idle() && script.b.inbound.is_empty());
}

/// INVALID_KE_PAYLOAD without end, or with a group that we did not offer: the rounds are bounded, the tunnel lives.
#[test]
fn a_peer_that_refuses_every_group_is_not_asked_for_ever() {
    for (start, data) in
        [(start_child as fn(&mut Scripted) -> Inner, [0, 31]), (start_ike, [0, 31]), (start_ike, [0, 19])]
    {
        let mut script = Scripted::established_with(|config| {
            config.esp_suites = vec!["aes256gcm16-x25519".parse().unwrap()];
        });
        let mut request = start(&mut script);
        let mut rounds = 1;
        let refusal = Notify::new(NotifyType::INVALID_KE_PAYLOAD, &data);
        while let Some(again) = script.respond(&request, &[Payload::Notify(refusal)]).last() {
            request = script.sa().open(again);
            rounds += 1;
            assert!(rounds <= 8, "a bounded number of rounds");
        }
        assert!(script.b.down().is_none());
        assert_eq!(spi_out(&script), Some(SPI));
    }
}

/// Whatever the peer answers to a rekey, the tunnel that is there lives on.
#[test]
fn a_rekey_that_is_refused_leaves_the_tunnel_as_it_was() {
    let refusals = [
        NotifyType::NO_PROPOSAL_CHOSEN,
        NotifyType::NO_ADDITIONAL_SAS,
        NotifyType::TS_UNACCEPTABLE,
        NotifyType::TEMPORARY_FAILURE,
        NotifyType(9_999),
    ];
    for (start, refusal) in refusals
        .iter()
        .flat_map(|refusal| [(start_child as fn(&mut Scripted) -> Inner, *refusal), (start_ike, *refusal)])
    {
        let mut script = Scripted::established();
        let request = start(&mut script);
        script.respond(&request, &[notify(refusal)]);
        assert!(script.b.down().is_none(), "{refusal:?}");
        assert_eq!(spi_out(&script), Some(SPI), "{refusal:?}");
        assert_eq!(script.b.inbound.len(), 1, "{refusal:?}");
    }
}

fn start_child(script: &mut Scripted) -> Inner {
    script.b.endpoint.rekey_child(script.now, PEER);
    script.request()
}

fn start_ike(script: &mut Scripted) -> Inner {
    script.b.endpoint.rekey_ike(script.now, PEER);
    script.request()
}

fn lost_child_is_made_anew(script: &mut Scripted, request: &Inner) {
    let old = SPI.to_be_bytes();
    let not_found = Notify::of_esp(NotifyType::CHILD_SA_NOT_FOUND, &old);
    let mut sent = script.respond(request, &[Payload::Notify(not_found)]);
    while let Some(datagram) = sent.pop() {
        let request = script.sa().open(&datagram);
        if request.header.exchange == ExchangeType::CREATE_CHILD_SA {
            assert!(!request.notify(NotifyType::REKEY_SA), "there is nothing to rekey");
            script.accept_child(&request, NEW_SPI);
            return assert_one_child(script, NEW_SPI);
        }
        sent.extend(script.respond(&request, &[]));
    }
    panic!("nothing is asked for");
}

/// After the graces: the endpoint receives with one SPI, and sends with that one.
fn assert_one_child(script: &mut Scripted, spi: u32) {
    assert_eq!(spi_out(script), Some(spi));
    script.wait(Duration::from_secs(6));
    assert_eq!(spi_out(script), Some(spi));
    assert_eq!(script.b.inbound.len(), 1);
    assert!(script.b.down().is_none());
}

fn spi_in(script: &Scripted) -> u32 {
    *script.b.inbound.keys().next().unwrap()
}

fn spi_out(script: &Scripted) -> Option<u32> {
    script.b.outbound.as_ref().map(|sa| sa.spi)
}

fn first_spi(delete: &Delete) -> u32 {
    delete.spis.first().copied().unwrap_or_default()
}

const fn notify(kind: NotifyType) -> Payload<'static> {
    Payload::Notify(Notify::new(kind, &[]))
}

//! Rekeys that the peer starts (RFC 7296 §1.3, §2.8, §2.17, §2.18).

use core::time::Duration;

use gotthard_ike::codec::iana::{ExchangeType, Group, NotifyType};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::event::Event;
use gotthard_ike::limits;

use crate::support::scripted::{SPI, Scripted, esp_sa, ike_sa};

const NEW_SPI: u32 = 0x2000_0002;
const SECOND: Duration = Duration::from_secs(1);

fn spi_out(script: &Scripted) -> u32 {
    script.b.outbound.as_ref().expect("an outbound SA").spi
}

/// ```text
/// script --> HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}
/// script <-- HDR, SK {SA, Nr, TSi, TSr}
/// script --> HDR, SK {D}
/// script <-- HDR, SK {D}
/// ```
#[test]
fn a_child_is_rekeyed_without_a_packet_lost() {
    let mut script = Scripted::established();
    let old_in = *script.b.inbound.keys().next().unwrap();
    script.rekey_child(SPI, NEW_SPI, None);
    assert_eq!(script.b.inbound.len(), 2, "the new inbound is there before the answer arrives");
    assert_eq!(spi_out(&script), SPI, "the answer may be lost: the old one is used");
    let inner = script.exchange(ExchangeType::INFORMATIONAL, &[Payload::Delete(Delete::esp(SPI))]);
    assert_eq!(inner.payloads(), [Payload::Delete(Delete::esp(old_in))]);
    assert_eq!(spi_out(&script), NEW_SPI);
    assert!(script.b.inbound.contains_key(&old_in), "packets of the old one may be under way");
    script.wait(Duration::from_secs(6));
    assert!(!script.b.inbound.contains_key(&old_in));
    assert!(matches!(
        script.b.events.iter().rfind(|e| matches!(e, Event::ChildUp { .. })),
        Some(Event::ChildUp { rekey: Some(_), .. })
    ));
    assert!(!script.b.events.iter().any(|event| matches!(event, Event::ChildDown { .. })));
}

#[test]
fn a_child_is_rekeyed_with_a_key_exchange() {
    let mut script = Scripted::established_with(|config| {
        config.esp_suites = vec!["aes256gcm16-x25519".parse().unwrap()];
    });
    script.rekey_child(SPI, NEW_SPI, Some(Group::CURVE25519));
    assert_eq!(script.b.inbound.len(), 2);
}

#[test]
fn a_rekey_without_a_key_exchange_is_taken_where_the_suites_permit_it() {
    let permitted = |config: &mut gotthard_ike::config::PeerConfig| {
        config.esp_suites = ["aes256gcm16-x25519", "aes256gcm16"].map(|s| s.parse().unwrap()).to_vec();
    };
    let mut script = Scripted::established_with(permitted);
    script.rekey_child(SPI, NEW_SPI, None);
    assert_eq!(script.b.inbound.len(), 2);

    let mut script = Scripted::established_with(|config| {
        config.esp_suites = vec!["aes256gcm16-x25519".parse().unwrap()];
    });
    let inner = script.rekey_child(SPI, NEW_SPI, None);
    assert!(inner.notify(NotifyType::NO_PROPOSAL_CHOSEN));
}

#[test]
fn a_key_exchange_of_another_group_is_told_which() {
    let mut script = Scripted::established_with(|config| {
        config.esp_suites = vec!["aes256gcm16-x25519".parse().unwrap()];
    });
    let old_spi = SPI.to_be_bytes();
    let payloads = [
        Payload::Notify(Notify::of_esp(NotifyType::REKEY_SA, &old_spi)),
        Payload::Sa(esp_sa(NEW_SPI, Some(Group::CURVE25519))),
        Payload::Nonce(Nonce(&[1; 32])),
        Payload::Ke(KeyExchange { group: Group::ECP_256, public: &[2; 64] }),
        Payload::TsI(vec![TrafficSelector::any_v4()].into()),
        Payload::TsR(vec![TrafficSelector::any_v4()].into()),
    ];
    let inner = script.exchange(ExchangeType::CREATE_CHILD_SA, &payloads);
    let expected = Notify::new(NotifyType::INVALID_KE_PAYLOAD, &[0, 31]);
    assert_eq!(inner.payloads(), [Payload::Notify(expected)]);
    assert_eq!(script.b.inbound.len(), 1);
}

#[test]
fn outbound_moves_to_the_new_child_by_itself_if_no_delete_comes() {
    let mut script = Scripted::established();
    script.rekey_child(SPI, NEW_SPI, None);
    script.wait(limits::SWITCH_OUTBOUND);
    assert_eq!(spi_out(&script), NEW_SPI);
}

#[test]
fn a_rekey_that_is_asked_again_is_answered_again_and_makes_one_child() {
    let mut script = Scripted::established_with(|config| config.dpd_interval = Duration::ZERO);
    let old_spi = SPI.to_be_bytes();
    let payloads = [
        Payload::Notify(Notify::of_esp(NotifyType::REKEY_SA, &old_spi)),
        Payload::Sa(esp_sa(NEW_SPI, None)),
        Payload::Nonce(Nonce(&[1; 32])),
        Payload::TsI(vec![TrafficSelector::any_v4()].into()),
        Payload::TsR(vec![TrafficSelector::any_v4()].into()),
    ];
    let request = script.seal(ExchangeType::CREATE_CHILD_SA, &payloads);
    let first = script.send(&request);
    script.wait(limits::SWITCH_OUTBOUND.saturating_sub(SECOND));
    assert_eq!(script.send(&request), first);
    assert_eq!(script.b.inbound.len(), 2);
    script.wait(limits::SWITCH_OUTBOUND.saturating_sub(SECOND));
    assert_eq!(spi_out(&script), SPI, "the peer has shown that it had no answer yet");
    script.wait(SECOND);
    assert_eq!(spi_out(&script), NEW_SPI);
}

#[test]
fn a_rekey_of_an_unknown_child_is_refused_with_its_spi() {
    let mut script = Scripted::established();
    let inner = script.rekey_child(0xdead_beef, NEW_SPI, None);
    let expected = Notify::of_esp(NotifyType::CHILD_SA_NOT_FOUND, &[0xde, 0xad, 0xbe, 0xef]);
    assert_eq!(inner.payloads(), [Payload::Notify(expected)]);
}

#[test]
fn a_rekey_may_not_narrow_the_selectors() {
    let mut script = Scripted::established();
    let old_spi = SPI.to_be_bytes();
    let narrower = TrafficSelector::from_prefix("10.0.0.0".parse().unwrap(), 8);
    let payloads = [
        Payload::Notify(Notify::of_esp(NotifyType::REKEY_SA, &old_spi)),
        Payload::Sa(esp_sa(NEW_SPI, None)),
        Payload::Nonce(Nonce(&[1; 32])),
        Payload::TsI(vec![narrower].into()),
        Payload::TsR(vec![TrafficSelector::any_v4()].into()),
    ];
    let inner = script.exchange(ExchangeType::CREATE_CHILD_SA, &payloads);
    assert!(inner.notify(NotifyType::TS_UNACCEPTABLE));
}

#[test]
fn a_second_child_is_refused() {
    let mut script = Scripted::established();
    let inner = new_child(&mut script);
    assert!(inner.notify(NotifyType::NO_ADDITIONAL_SAS));
    assert_eq!(script.b.inbound.len(), 1);
}

#[test]
fn a_peer_that_deletes_its_child_may_make_a_new_one() {
    let mut script = Scripted::established();
    script.exchange(ExchangeType::INFORMATIONAL, &[Payload::Delete(Delete::esp(SPI))]);
    new_child(&mut script);
    script.exchange(ExchangeType::INFORMATIONAL, &[]);
    assert_eq!(spi_out(&script), NEW_SPI);
    script.wait(Duration::from_secs(8));
    assert!(script.b.down().is_none());
}

/// ```text
/// script --> HDR, SK {SA, Ni, KEi}
/// script <-- HDR, SK {SA, Nr, KEr}
/// ```
#[test]
fn the_ike_sa_is_rekeyed_and_its_child_lives_on() {
    let mut script = Scripted::established();
    let inbound: Vec<u32> = script.b.inbound.keys().copied().collect();
    let mut old = script.rekey_ike();
    let spis = (script.sa().spi_i, script.sa().spi_r);
    assert!(matches!(
        script.b.events.last(),
        Some(Event::IkeRekeyed { spi_i, spi_r, .. }) if (*spi_i, *spi_r) == spis
    ));
    let new = script.sa.take().unwrap();
    script.sa = Some(old);
    script.exchange(ExchangeType::INFORMATIONAL, &[Payload::Delete(Delete::ike())]);
    old = script.sa.replace(new).unwrap();
    assert_ne!(old.spi_r, script.sa().spi_r);
    assert!(script.b.down().is_none(), "the old one is not missed");
    // The child belongs to the new one: its rekey and its Delete come there.
    script.rekey_child(SPI, NEW_SPI, None);
    script.exchange(ExchangeType::INFORMATIONAL, &[Payload::Delete(Delete::esp(SPI))]);
    assert_eq!(spi_out(&script), NEW_SPI);
    assert!(inbound.iter().all(|spi| script.b.inbound.contains_key(spi)), "for a grace");
}

#[test]
fn a_rekeyed_ike_sa_that_the_peer_does_not_delete_is_deleted_by_us() {
    let mut script = Scripted::established();
    let old = script.rekey_ike();
    let new = script.sa.replace(old).unwrap();
    let sent = script.wait(Duration::from_secs(31));
    let deletes =
        sent.iter().filter(|datagram| datagram[..8] == script.sa.as_ref().unwrap().spi_i.to_be_bytes());
    assert!(deletes.count() > 0);
    drop(new);
}

#[test]
fn an_ike_rekey_with_another_group_is_told_which() {
    let mut script = Scripted::established();
    let payloads = [
        Payload::Sa(ike_sa(script.suite, &[7; 8])),
        Payload::Nonce(Nonce(&[1; 32])),
        Payload::Ke(KeyExchange { group: Group::ECP_256, public: &[2; 64] }),
    ];
    let inner = script.exchange(ExchangeType::CREATE_CHILD_SA, &payloads);
    assert!(inner.notify(NotifyType::INVALID_KE_PAYLOAD));
    assert!(script.b.down().is_none());
}

#[test]
fn a_thousand_rekeys_leave_a_bounded_number_of_children() {
    let mut script = Scripted::established();
    let mut current = SPI;
    for round in 0..1000 {
        let inner = script.rekey_child(current, NEW_SPI + round, None);
        if !inner.notify(NotifyType::TEMPORARY_FAILURE) {
            script.exchange(ExchangeType::INFORMATIONAL, &[Payload::Delete(Delete::esp(current))]);
            current = NEW_SPI + round;
        }
        let bound = limits::CHILDREN + limits::CHILDREN_IN_GRACE;
        assert!(script.b.inbound.len() <= bound);
    }
}

#[test]
fn a_thousand_rekeys_of_the_ike_sa_leave_a_bounded_number_of_old_ones() {
    let mut script = Scripted::established();
    for _ in 0..1000 {
        script.rekey_ike();
    }
    script.exchange(ExchangeType::INFORMATIONAL, &[]);
    // Each old one that is left is deleted at the end of its time, with five transmissions.
    let sent = script.wait(Duration::from_secs(45));
    let current = script.sa().spi_i.to_be_bytes();
    let of_old_ones = sent.iter().filter(|datagram| datagram[..8] != current).count();
    assert!(of_old_ones <= 5 * limits::IKE_SAS_PER_PEER, "{of_old_ones}");
}

fn new_child(script: &mut Scripted) -> crate::support::scripted::Inner {
    let payloads = [
        Payload::Sa(esp_sa(NEW_SPI, None)),
        Payload::Nonce(Nonce(&[1; 32])),
        Payload::TsI(vec![TrafficSelector::any_v4()].into()),
        Payload::TsR(vec![TrafficSelector::any_v4()].into()),
    ];
    script.exchange(ExchangeType::CREATE_CHILD_SA, &payloads)
}

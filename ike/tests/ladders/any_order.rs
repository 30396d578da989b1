//! Payloads in any order, unknown ones among them (RFC 7296 §2.5).

use gotthard_ike::codec::iana::{ExchangeType, NotifyType, PayloadType};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::unknown::Unknown;
use gotthard_ike::codec::payload::vendor_id::VendorId;

use crate::support::scripted::{SPI, Scripted};

fn unknown(critical: bool) -> Payload<'static> {
    Payload::Unknown(Unknown { kind: PayloadType(200), critical, body: b"whatever" })
}

#[test]
fn the_initial_exchanges_take_payloads_in_any_order() {
    for seed in 0..30 {
        let mut script = Scripted::new();
        script.random = crate::support::clock::Seeded::new(seed);
        script.init_shuffled(|payloads, random| {
            payloads.extend([unknown(false), Payload::VendorId(VendorId(b"somebody"))]);
            random.shuffle(payloads);
        });
        script.authenticate(|payloads, random| {
            payloads.extend([unknown(false), Payload::Notify(Notify::new(NotifyType(40_000), b"status"))]);
            random.shuffle(payloads);
        });
        assert_eq!(script.b.child_up(), 1, "seed {seed}");
    }
}

#[test]
fn a_critical_payload_that_is_unknown_is_named_in_the_answer() {
    let mut script = Scripted::established();
    let inner = script.exchange(ExchangeType::INFORMATIONAL, &[unknown(true)]);
    let payloads = inner.payloads();
    let [Payload::Notify(notify)] = payloads.as_slice() else { panic!("{payloads:?}") };
    assert_eq!((notify.kind, notify.data), (NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, &[200][..]));
    assert!(script.b.down().is_none(), "the SA lives on");
}

#[test]
fn an_unknown_status_or_payload_in_a_request_is_passed_over() {
    let mut script = Scripted::established();
    let mobike = Payload::Notify(Notify::new(NotifyType::MOBIKE_SUPPORTED, &[]));
    let inner = script.exchange(ExchangeType::INFORMATIONAL, &[unknown(false), mobike]);
    assert!(inner.payloads().is_empty());
    assert!(script.b.outbound.as_ref().is_some_and(|sa| sa.spi == SPI));
}

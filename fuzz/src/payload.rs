//! Payloads, one a target: what was read is written, and read again as the same.

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{ExchangeType, PayloadType};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::unknown::Unknown;

/// Defines a target a payload: each reads its input as the body of one.
macro_rules! payloads {
    ($($name:ident: $kind:expr, $doc:literal;)*) => {$(
        #[doc = concat!("Reads `data` as the body of ", $doc, ".")]
        pub fn $name(data: &[u8]) {
            body_of($kind, data);
        }
    )*};
}

payloads! {
    payload_sa: PayloadType::SA, "an SA payload (RFC 7296 §3.3)";
    payload_ke: PayloadType::KE, "a KE payload (RFC 7296 §3.4)";
    payload_id: PayloadType::ID_I, "an IDi or IDr payload (RFC 7296 §3.5)";
    payload_cert: PayloadType::CERT, "a CERT payload (RFC 7296 §3.6)";
    payload_certreq: PayloadType::CERTREQ, "a CERTREQ payload (RFC 7296 §3.7)";
    payload_auth: PayloadType::AUTH, "an AUTH payload (RFC 7296 §3.8)";
    payload_nonce: PayloadType::NONCE, "a nonce (RFC 7296 §3.9)";
    payload_notify: PayloadType::NOTIFY, "a notify (RFC 7296 §3.10)";
    payload_delete: PayloadType::DELETE, "a Delete (RFC 7296 §3.11)";
    payload_vendor_id: PayloadType::VENDOR_ID, "a vendor id (RFC 7296 §3.12)";
    payload_ts: PayloadType::TS_I, "a TSi or TSr payload (RFC 7296 §3.13)";
    payload_sk: PayloadType::SK, "an SK payload (RFC 7296 §3.14)";
    payload_skf: PayloadType::SKF, "an SKF payload (RFC 7383 §2.5)";
    payload_cp: PayloadType::CP, "a CP payload (RFC 7296 §3.15)";
    payload_eap: PayloadType::EAP, "an EAP payload (RFC 7296 §3.16)";
    payload_unknown: PayloadType(200), "a payload that we do not know (RFC 7296 §2.5)";
}

/// A message with this payload alone. What `Debug` and `Display` show of it is made, too: logs do so.
fn body_of(kind: PayloadType, body: &[u8]) {
    let raw = [Payload::Unknown(Unknown { kind, critical: false, body })];
    let datagram = emit_clear(HEADER, &raw);
    let Ok(message) = Message::parse(&datagram) else { return };
    assert!(!format!("{message:?}").is_empty());
    if let [Payload::IdI(id)] = message.payloads.as_slice() {
        assert!(!id.identity.to_string().is_empty(), "an identity without a name: {id:?}");
    }
    let emitted = emit_clear(message.header, &message.payloads);
    let again = Message::parse(&emitted).expect("what we emit can be read");
    assert_eq!(again.payloads, message.payloads);
    assert_eq!(emit_clear(again.header, &again.payloads), emitted, "emitted in one way only");
}

const HEADER: Header =
    Header::new(1, 2, ExchangeType::IKE_AUTH, Flags { initiator: true, response: false, version: false }, 1);

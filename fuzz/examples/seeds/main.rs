//! Writes the seeds of the payload targets, of the stateful ones, of certificates and of BGP: what a regular peer says,
//! from the codec itself.
//!
//! `cargo run --package gotthard-fuzz --example seeds`

mod bgp;
mod certificates;

use std::fs;
use std::path::Path;

use gotthard_ike::codec::iana::{
    AuthMethod, CertEncoding, EncryptionAlgorithm, EsnId, Group, IntegrityAlgorithm,
};
use gotthard_ike::codec::iana::{NotifyType, PrfAlgorithm, ProtocolId, TransformType};
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::cert::{Certificate, CertificateRequest};
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::codec::payload::id::{Identification, Identity};
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::sa::{Proposal, SecurityAssociation, Transform};
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::codec::payload::vendor_id::VendorId;
use gotthard_ike::codec::payload::{GENERIC_HEADER_LEN, Payload, emit_chain};

fn main() -> std::io::Result<()> {
    for (target, name, payload) in payloads() {
        let mut chain = Vec::new();
        emit_chain(&[payload], &mut chain);
        write(target, name, &chain[GENERIC_HEADER_LEN..])?;
    }
    for (target, name, octets) in OCTETS.iter().chain(SCRIPTS).chain(bgp::SCRIPTS) {
        write(target, name, octets)?;
    }
    for (name, octets) in certificates::all().expect("certificates") {
        write("certificate", name, &octets)?;
    }
    for (target, name, octets) in bgp::messages() {
        write(target, name, &octets)?;
    }
    Ok(())
}

fn write(target: &str, name: &str, octets: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), octets)
}

fn payloads() -> Vec<(&'static str, &'static str, Payload<'static>)> {
    let id = |text: &str| Payload::IdI(Identification::new(text.parse().expect("an identity")));
    let notify = |kind, data| Payload::Notify(Notify::new(kind, data));
    vec![
        ("payload_sa", "ike", Payload::Sa(ike_proposals())),
        ("payload_sa", "esp", Payload::Sa(esp_proposals())),
        ("payload_ke", "x25519", Payload::Ke(KeyExchange { group: Group::CURVE25519, public: &[9; 32] })),
        ("payload_ke", "modp2048", Payload::Ke(KeyExchange { group: Group::MODP_2048, public: &[2; 256] })),
        ("payload_id", "ipv4", id("192.0.2.1")),
        ("payload_id", "ipv6", id("2001:db8::1")),
        ("payload_id", "fqdn", id("gateway.example.com")),
        ("payload_id", "mail", id("gateway@example.com")),
        ("payload_id", "key_id", id("keyid:0x00ff")),
        ("payload_id", "name", id("C=CH, O=Alps, CN=gateway")),
        (
            "payload_id",
            "name_without_attributes",
            Payload::IdI(Identification::new(Identity::Dn(vec![0x30, 2, 0x31, 0]))),
        ),
        (
            "payload_cert",
            "x509",
            Payload::Cert(Certificate { encoding: CertEncoding::X509_SIGNATURE, data: DER }),
        ),
        (
            "payload_certreq",
            "one_ca",
            Payload::CertReq(CertificateRequest {
                encoding: CertEncoding::X509_SIGNATURE,
                authority: &[7; 20],
            }),
        ),
        ("payload_auth", "psk", auth(AuthMethod::SHARED_KEY, &[3; 32])),
        ("payload_auth", "signature", auth(AuthMethod::DIGITAL_SIGNATURE, ED25519)),
        ("payload_nonce", "n32", Payload::Nonce(Nonce(&[5; 32]))),
        ("payload_notify", "cookie", notify(NotifyType::COOKIE, &[6; 32])),
        ("payload_notify", "invalid_ke", notify(NotifyType::INVALID_KE_PAYLOAD, &[0, 19])),
        ("payload_notify", "rekey_sa", Payload::Notify(Notify::of_esp(NotifyType::REKEY_SA, &[1, 2, 3, 4]))),
        ("payload_delete", "ike", Payload::Delete(Delete::ike())),
        (
            "payload_delete",
            "esp",
            Payload::Delete(Delete { protocol: ProtocolId::ESP, spis: vec![0x1000, 0x2000] }),
        ),
        ("payload_vendor_id", "text", Payload::VendorId(VendorId(b"a vendor"))),
        (
            "payload_ts",
            "any",
            Payload::TsI(vec![TrafficSelector::any_v4(), TrafficSelector::any_v6()].into()),
        ),
        ("payload_ts", "prefixes", Payload::TsI(prefixes().into())),
    ]
}

fn auth(method: AuthMethod, data: &'static [u8]) -> Payload<'static> {
    Payload::Auth(Authentication { method, data })
}

fn prefixes() -> Vec<TrafficSelector> {
    let prefix = |address: &str, len| TrafficSelector::from_prefix(address.parse().expect("an address"), len);
    vec![prefix("10.0.0.0", 8), prefix("2001:db8::", 32)]
}

/// An AEAD and a cipher with HMAC, as they must be: in two proposals.
fn ike_proposals() -> SecurityAssociation {
    let prf = Transform::new(TransformType::PRF, PrfAlgorithm::HMAC_SHA2_256.0);
    let group = Transform::new(TransformType::KEY_EXCHANGE, Group::MODP_2048.0);
    let gcm = vec![cipher(EncryptionAlgorithm::AES_GCM_16), prf.clone(), group.clone()];
    let cbc = vec![cipher(EncryptionAlgorithm::AES_CBC), prf, integrity(), group];
    let proposal =
        |number, transforms| Proposal { number, protocol: ProtocolId::IKE, spi: Vec::new(), transforms };
    SecurityAssociation { proposals: vec![proposal(1, gcm), proposal(2, cbc)] }
}

fn esp_proposals() -> SecurityAssociation {
    let esn = |esn: EsnId| Transform::new(TransformType::ESN, esn.0);
    let transforms = vec![cipher(EncryptionAlgorithm::AES_CBC), integrity(), esn(EsnId::YES), esn(EsnId::NO)];
    let proposal = Proposal { number: 1, protocol: ProtocolId::ESP, spi: vec![1, 2, 3, 4], transforms };
    SecurityAssociation { proposals: vec![proposal] }
}

fn cipher(algorithm: EncryptionAlgorithm) -> Transform {
    Transform::new(TransformType::ENCRYPTION, algorithm.0).with_key_bits(256)
}

fn integrity() -> Transform {
    Transform::new(TransformType::INTEGRITY, IntegrityAlgorithm::HMAC_SHA2_256_128.0)
}

type Seed = (&'static str, &'static str, &'static [u8]);

/// Payloads that the codec keeps as octets.
const OCTETS: &[Seed] = &[
    ("payload_sk", "aead", &[0; 33]),
    ("payload_skf", "second_of_two", &[0, 2, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]),
    // CFG_REQUEST for INTERNAL_IP4_ADDRESS and INTERNAL_IP4_DNS.
    ("payload_cp", "request", &[1, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 4, 192, 0, 2, 53]),
    // EAP-Request/Identity, EAP-Success.
    ("payload_eap", "identity", &[1, 1, 0, 5, 1]),
    ("payload_eap", "success", &[3, 1, 0, 4]),
    ("payload_unknown", "octets", b"whatever it is"),
];

/// Scripts; the steps and their octets are those of `src/stateful/mod.rs`.
const SCRIPTS: &[Seed] = &[
    ("ike_responder", "handshake", &[0, 0, 1, 0]),
    ("ike_responder", "rekeys_child", &[0, 0, 1, 0, 2, 0, 0, 0, 4, 1, 0, 0, 0, 1, 0, 7, 2, 2]),
    ("ike_responder", "rekeys_child_with_pfs", &[0, 0, 1, 0, 2, 0, 1, 0, 7, 2, 9, 5, 0]),
    ("ike_responder", "rekeys_ike", &[0, 0, 1, 0, 3, 0, 4, 2, 1, 0, 0, 0, 0, 2, 0, 0, 0]),
    ("ike_responder", "is_asked_for_life", &[0, 0, 1, 0, 7, 2, 3, 5, 0, 7, 2, 3, 5, 0]),
    (
        "ike_responder",
        "meets_our_rekeys",
        &[0, 0, 1, 0, 7, 2, 20, 5, 0, 7, 2, 20, 2, 0, 0, 0, 5, 0, 7, 2, 80],
    ),
    ("ike_responder", "is_taken_down", &[0, 0, 1, 0, 8, 1, 5, 0, 7, 2, 9]),
    ("ike_responder", "repeats_itself", &[0, 0, 9, 0, 0, 0, 1, 0, 9, 1, 0, 0, 9, 1, 40, 1]),
    ("ike_responder", "moves", &[0, 0, 10, 0, 1, 0, 4, 0, 0, 0, 0, 0, 0, 10, 1, 4, 0, 0, 0, 0, 0, 0]),
    ("ike_responder", "reverses_and_doubles", &[0, 1, 0, 3, 0, 0, 1, 2, 0, 1, 0, 2, 0, 2, 0, 1]),
    ("ike_responder", "adds_a_child", &[0, 0, 1, 0, 2, 0x80, 0, 0, 2, 0x80, 1, 0, 4, 1, 0, 0, 0, 0, 0]),
    ("ike_responder", "is_told_to_rekey", &[0, 0, 1, 0, 8, 4, 5, 0, 8, 5, 5, 0, 5, 0, 7, 2, 9]),
    ("ike_responder", "collides", &[0, 0, 1, 0, 8, 4, 2, 0, 1, 0, 5, 0, 8, 5, 3, 0, 5, 0, 7, 2, 9]),
    ("ike_responder", "computes_apart", &[8, 6, 0, 0, 8, 7, 1, 0, 3, 0, 8, 7, 2, 0, 1, 0, 8, 7]),
    ("ike_initiator", "handshake", &[5, 0, 5, 0]),
    ("ike_initiator", "asks_for_a_cookie", &[6, 0x40, 0x06, 4, 1, 2, 3, 4, 0, 7, 0, 9, 5, 0, 5, 0]),
    ("ike_initiator", "wants_another_group", &[6, 0, 17, 2, 0, 19, 0, 5, 0, 5, 0]),
    ("ike_initiator", "refuses_the_proposal", &[6, 0, 14, 0, 0, 7, 1, 4, 8, 0, 5, 0, 5, 0]),
    (
        "ike_initiator",
        "meets_our_rekeys",
        &[5, 0, 5, 0, 7, 2, 20, 5, 0, 7, 2, 20, 5, 0, 7, 2, 80, 5, 0, 7, 2, 9, 5, 0],
    ),
    (
        "ike_initiator",
        "refuses_for_the_time",
        &[5, 0, 5, 0, 7, 2, 40, 6, 0, 43, 0, 0, 7, 2, 2, 5, 0, 7, 2, 9],
    ),
    ("ike_initiator", "rekeys_first", &[5, 0, 5, 0, 2, 0, 0, 0, 3, 0, 4, 2, 1, 0, 0, 0, 0, 7, 2, 9]),
    ("ike_initiator", "computes_apart", &[8, 6, 5, 0, 8, 7, 5, 0, 8, 4, 8, 7, 5, 0, 8, 7]),
    ("ike_fragments", "in_order", &[0, 0, 200, 0]),
    ("ike_fragments", "reversed_and_doubled", &[0, 0, 100, 6, 3, 0, 2, 0, 1, 0, 1, 0, 0, 0, 3, 0]),
    ("ike_fragments", "of_two_messages", &[20, 1, 0, 2, 0, 0, 1, 0, 90, 1, 44, 1, 0, 0]),
    ("ike_fragments", "with_wrong_numbers", &[0, 0, 90, 3, 0, 1, 33, 0, 1, 1, 33, 9, 1, 1, 35, 200]),
];

/// The head of a certificate: SEQUENCE { SEQUENCE { [0] { 2 }, 1, ecdsa-with-SHA256 …
const DER: &[u8] = &[
    0x30, 0x82, 0x01, 0x23, 0x30, 0x81, 0xca, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01, 0x30, 0x0a,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];

/// The length of an AlgorithmIdentifier, id-Ed25519 (RFC 8420), and the start of a signature.
const ED25519: &[u8] = &[7, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 1, 2, 3, 4];

//! Messages written by hand from RFC 7296 §3, read and written octet for octet, and the sample message of RFC 7634
//! appendix B as far as the codec goes (the AEAD is tested with `crypto`).

use std::net::{IpAddr, Ipv6Addr};

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{
    AuthMethod, EncryptionAlgorithm, EsnId, ExchangeType, Group, IntegrityAlgorithm, NotifyType, PayloadType,
    PrfAlgorithm, ProtocolId, TransformType,
};
use gotthard_ike::codec::message::{Message, emit_clear, emit_sk_prefix, emit_skf_prefix};
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::delete::Delete;
use gotthard_ike::codec::payload::id::{Identification, Identity};
use gotthard_ike::codec::payload::ke::KeyExchange;
use gotthard_ike::codec::payload::nonce::Nonce;
use gotthard_ike::codec::payload::notify::Notify;
use gotthard_ike::codec::payload::sa::{Proposal, SecurityAssociation, Transform};
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::codec::payload::{Payload, emit_chain, parse_chain};

#[test]
fn an_ike_sa_init_request_is_read_and_written_octet_for_octet() {
    // HDR, SAi1, KEi, Ni, N(NAT_DETECTION_SOURCE_IP)
    let datagram = octets(
        "0102030405060708 0000000000000000 21 20 22 08 00000000 000000a4
         22 00 0030
            00 00 002c 01 01 00 04
               03 00 000c 01 00 000c 800e 0100
               03 00 0008 02 00 0005
               03 00 0008 03 00 000c
               00 00 0008 04 00 001f
         28 00 0028 001f 0000 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
         29 00 0014 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf
         00 00 001c 00 00 4004 b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3",
    );
    let public: Vec<u8> = (0x00..0x20).collect();
    let nonce: Vec<u8> = (0xa0..0xb0).collect();
    let digest: Vec<u8> = (0xb0..0xc4).collect();
    let suite = vec![
        Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_CBC.0).with_key_bits(256),
        Transform::new(TransformType::PRF, PrfAlgorithm::HMAC_SHA2_256.0),
        Transform::new(TransformType::INTEGRITY, IntegrityAlgorithm::HMAC_SHA2_256_128.0),
        Transform::new(TransformType::KEY_EXCHANGE, Group::CURVE25519.0),
    ];
    let payloads = vec![
        Payload::Sa(SecurityAssociation { proposals: vec![proposal(1, ProtocolId::IKE, &[], suite)] }),
        Payload::Ke(KeyExchange { group: Group::CURVE25519, public: &public }),
        Payload::Nonce(Nonce(&nonce)),
        Payload::Notify(Notify::new(NotifyType::NAT_DETECTION_SOURCE_IP, &digest)),
    ];

    let message = Message::parse(&datagram).unwrap();
    assert_eq!(message.header.spi_i, 0x0102_0304_0506_0708);
    assert_eq!(message.header.spi_r, 0);
    assert_eq!(message.header.exchange, ExchangeType::IKE_SA_INIT);
    assert_eq!(message.header.flags, Flags { initiator: true, ..Flags::default() });
    assert_eq!(message.payloads, payloads);

    let flags = Flags { initiator: true, ..Flags::default() };
    let header = Header::new(0x0102_0304_0506_0708, 0, ExchangeType::IKE_SA_INIT, flags, 0);
    assert_eq!(emit_clear(header, &payloads), datagram);
}

#[test]
fn the_inside_of_an_ike_auth_request_is_read_and_written_octet_for_octet() {
    // IDi, AUTH, SAi2, TSi, TSr, N(INITIAL_CONTACT)
    let inside = octets(
        "27 00 000c 01 000000 c0000201
         21 00 0010 02 000000 d0d1d2d3d4d5d6d7
         2c 00 0024
            00 00 0020 01 03 04 02 0a0b0c0d
               03 00 000c 01 00 0014 800e 0100
               00 00 0008 05 00 0001
         2d 00 0018 01 000000 07 00 0010 0000 ffff 00000000 ffffffff
         29 00 0030 01 000000 08 06 0028 0050 0050
            20010db8000000000000000000000000 20010db80000000000000000000000ff
         00 00 0008 00 00 4000",
    );
    let auth: Vec<u8> = (0xd0..0xd8).collect();
    let suite = vec![
        Transform::new(TransformType::ENCRYPTION, EncryptionAlgorithm::AES_GCM_16.0).with_key_bits(256),
        Transform::new(TransformType::ESN, EsnId::YES.0),
    ];
    let selector = TrafficSelector {
        protocol: 6,
        start_port: 80,
        end_port: 80,
        start: IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96)),
        end: IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | 0xff)),
    };
    let payloads = vec![
        Payload::IdI(Identification::new(Identity::Ipv4([192, 0, 2, 1].into()))),
        Payload::Auth(Authentication { method: AuthMethod::SHARED_KEY, data: &auth }),
        Payload::Sa(SecurityAssociation {
            proposals: vec![proposal(1, ProtocolId::ESP, &[10, 11, 12, 13], suite)],
        }),
        Payload::TsI(vec![TrafficSelector::any_v4()].into()),
        Payload::TsR(vec![selector].into()),
        Payload::Notify(Notify::new(NotifyType::INITIAL_CONTACT, &[])),
    ];

    assert_eq!(parse_chain(PayloadType::ID_I, &inside).unwrap(), payloads);
    let mut emitted = Vec::new();
    assert_eq!(emit_chain(&payloads, &mut emitted), PayloadType::ID_I);
    assert_eq!(emitted, inside);
}

#[test]
fn deletes_name_the_ike_sa_by_its_message_and_child_sas_by_their_spis() {
    let inside = octets("2a 00 0008 01 00 0000   00 00 0010 03 04 0002 11223344 55667788");
    let child = Delete { protocol: ProtocolId::ESP, spis: vec![0x1122_3344, 0x5566_7788] };
    let payloads = vec![Payload::Delete(Delete::ike()), Payload::Delete(child)];
    assert_eq!(parse_chain(PayloadType::DELETE, &inside).unwrap(), payloads);
    let mut emitted = Vec::new();
    emit_chain(&payloads, &mut emitted);
    assert_eq!(emitted, inside);
}

#[test]
fn reserved_octets_and_bits_are_ignored_on_receipt_and_zero_on_emit() {
    let noisy =
        octets("0102030405060708 1112131415161718 29 2f 25 c7 00000001 00000024  00 7f 0008 00 00 4000");
    let message = Message::parse(&noisy).unwrap();
    assert_eq!((message.header.major, message.header.minor), (2, 15), "a higher minor version is read");
    assert_eq!(message.header.flags, Flags::default());
    let clean =
        octets("0102030405060708 1112131415161718 29 20 25 00 00000001 00000024  00 00 0008 00 00 4000");
    assert_eq!(emit_clear(Header { minor: 0, ..message.header }, &message.payloads), clean);

    let ke = octets("00 80 000a 000e abcd 0102");
    assert_eq!(
        parse_chain(PayloadType::KE, &ke).unwrap(),
        [Payload::Ke(KeyExchange { group: Group::MODP_2048, public: &[1, 2] })],
        "the critical bit of a payload that we know is ignored"
    );
}

#[test]
fn auth_covers_the_identification_payload_as_it_came_reserved_octets_and_all() {
    let chain = octets("00 00 000c 01 aabbcc c0000201");
    let payloads = parse_chain(PayloadType::ID_R, &chain).unwrap();
    let [Payload::IdR(id)] = payloads.as_slice() else { panic!("{payloads:?}") };
    assert_eq!(id.identity, Identity::Ipv4([192, 0, 2, 1].into()));
    assert_eq!(id.body.as_ref(), octets("01aabbccc0000201"));
    assert_eq!(id.identity.payload_body(), octets("01000000c0000201"));
}

#[test]
fn fragments_carry_their_numbers_and_only_the_first_names_what_is_inside() {
    let flags = Flags { response: true, ..Flags::default() };
    let header = Header::new(1, 2, ExchangeType::IKE_AUTH, flags, 1);
    for number in [1, 2] {
        let mut datagram = emit_skf_prefix(header, PayloadType::ID_R, number, 2, 5);
        datagram.extend_from_slice(b"body!");
        let message = Message::parse(&datagram).unwrap();
        let [Payload::EncryptedFragment(fragment)] = message.payloads.as_slice() else {
            panic!("{message:?}")
        };
        let first = if number == 1 { PayloadType::ID_R } else { PayloadType::NONE };
        assert_eq!((fragment.first, fragment.number, fragment.total), (first, number, 2));
        assert_eq!(fragment.body, b"body!");
        assert_eq!(fragment.offset, 36);
        assert_eq!(datagram.get(fragment.offset..), Some(fragment.body));
    }
}

#[test]
fn the_sample_message_of_rfc_7634_appendix_b_has_its_prefix_and_its_inside() {
    let path = std::env::var("GOTTHARD_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").to_owned());
    let Ok(text) = std::fs::read_to_string(format!("{path}/rfc7634-chacha20poly1305-esp-ikev2.json")) else {
        eprintln!("skipped: no test vectors at {path} (GOTTHARD_VECTORS names the folder)");
        return;
    };
    let vector: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = octets(vector["ike"]["expected_message"].as_str().unwrap());

    let message = Message::parse(&expected).unwrap();
    assert_eq!(message.header.exchange, ExchangeType::INFORMATIONAL);
    assert_eq!(message.header.message_id, 9);
    let [Payload::Encrypted(sk)] = message.payloads.as_slice() else { panic!("{message:?}") };
    assert_eq!(sk.first, PayloadType::NOTIFY);
    assert!(sk.body.starts_with(&octets(vector["ike"]["iv"].as_str().unwrap())));

    let header = Header::new(
        0xc0c1_c2c3_c4c5_c6c7,
        0xd0d1_d2d3_d4d5_d6d7,
        ExchangeType::INFORMATIONAL,
        message.header.flags,
        9,
    );
    let prefix = emit_sk_prefix(header, PayloadType::NOTIFY, sk.body.len());
    assert_eq!(expected.get(..sk.offset), Some(prefix.as_slice()));

    let inside = octets("0000000c000040010000000a");
    let notify = Payload::Notify(Notify::new(NotifyType::SET_WINDOW_SIZE, &[0, 0, 0, 10]));
    assert_eq!(parse_chain(sk.first, &inside).unwrap(), std::slice::from_ref(&notify));
    let mut emitted = Vec::new();
    emit_chain(&[notify], &mut emitted);
    assert_eq!(emitted, inside);
    // IV, the chain, Pad Length and ICV are the whole body.
    assert_eq!(sk.body.len(), 8 + inside.len() + 1 + 16);
}

#[test]
fn identities_are_read_and_written_as_people_write_them() {
    for (text, identity) in [
        ("192.0.2.1", Identity::Ipv4([192, 0, 2, 1].into())),
        ("2001:db8::1", Identity::Ipv6("2001:db8::1".parse().unwrap())),
        ("gw.example.net", Identity::Fqdn("gw.example.net".into())),
        ("ops@example.net", Identity::Rfc822("ops@example.net".into())),
        ("keyid:tunnel-1", Identity::KeyId(b"tunnel-1".to_vec())),
        ("keyid:0x00ff", Identity::KeyId(vec![0x00, 0xff])),
    ] {
        assert_eq!(text.parse::<Identity>().unwrap(), identity);
        assert_eq!(identity.to_string(), text);
    }
    assert_eq!("@gw.example.net".parse(), Ok(Identity::Fqdn("gw.example.net".into())));
    for text in [
        "",
        "a b",
        "keyid:",
        "keyid:0x0",
        "keyid:0xgg",
        "ops@",
        "a@b@c",
        "name\n",
        "10.0.0.256",
        "2001:db8::g",
    ] {
        assert!(text.parse::<Identity>().is_err(), "{text:?}");
    }
    assert!(Identity::Fqdn("GW.example.net".into()).matches(&Identity::Fqdn("gw.EXAMPLE.net".into())));
    assert!(!Identity::Fqdn("gw.example.net".into()).matches(&Identity::KeyId(b"gw.example.net".to_vec())));
}

#[test]
fn what_a_peer_calls_itself_is_escaped_and_cut_where_it_is_shown() {
    assert_eq!(Identity::Fqdn("a\n\u{1b}[2J".into()).to_string(), "a\\n\\u{1b}[2J");
    assert_eq!(Identity::Fqdn(String::new()).to_string(), "\"\"");
    assert_eq!(Identity::KeyId(b"a b".to_vec()).to_string(), "keyid:0x612062");
    for huge in [Identity::Fqdn("\n".repeat(65_000)), Identity::KeyId(vec![0; 65_000])] {
        let text = huge.to_string();
        assert!(text.chars().count() < 600 && text.ends_with('…'), "{text}");
    }
}

#[test]
fn traffic_selectors_of_a_prefix_have_its_first_and_last_address() {
    let shown =
        |address: &str, prefix_len| TrafficSelector::from_prefix(address.parse().unwrap(), prefix_len);
    assert_eq!(shown("10.1.2.3", 0), TrafficSelector::any_v4());
    assert_eq!(shown("2001:db8::1", 0), TrafficSelector::any_v6());
    assert_eq!(shown("10.1.2.3", 16).to_string(), "10.1.0.0/16");
    assert_eq!(shown("10.1.2.3", 32).to_string(), "10.1.2.3/32");
    assert_eq!(shown("10.1.2.3", 33).to_string(), "10.1.2.3/32");
    assert_eq!(shown("2001:db8::1", 128).to_string(), "2001:db8::1/128");
    assert_eq!(shown("2001:db8::1", 32).to_string(), "2001:db8::/32");
    let odd = TrafficSelector {
        end: "10.1.2.9".parse().unwrap(),
        protocol: 17,
        start_port: 53,
        end_port: 53,
        ..shown("10.1.2.3", 32)
    };
    assert_eq!(odd.to_string(), "10.1.2.3-10.1.2.9 proto 17 port 53");
}

fn proposal(number: u8, protocol: ProtocolId, spi: &[u8], transforms: Vec<Transform>) -> Proposal {
    Proposal { number, protocol, spi: spi.to_vec(), transforms }
}

/// Octets of hexadecimal digits, spaces and line breaks aside.
fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect()
}

//! Seal, open, and everything between that must not open.

#![allow(clippy::arithmetic_side_effects, reason = "lengths of a test are its own")]

use super::*;
use crate::codec::header::Flags;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::message::Message;
use crate::codec::payload::parse_chain;
use crate::codec::payload::vendor_id::VendorId;

const SUITES: [&str; 6] = [
    "aes256gcm16-sha256-modp2048",
    "aes128gcm16-sha256-modp2048",
    "chacha20poly1305-sha256-modp2048",
    "aes256-sha256-modp2048",
    "aes128-sha384-modp2048",
    "aes256-sha512-modp2048",
];

struct Counter(u8);

impl Random for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            self.0 = self.0.wrapping_add(1);
            *octet = self.0;
        }
    }
}

fn cipher(suite: &str) -> SkCipher {
    let suite: IkeSuite = suite.parse().unwrap();
    let sk_e = vec![1; suite.cipher.key_len() + suite.cipher.salt_len()];
    let sk_a =
        suite.integrity.and_then(Integrity::new).map_or(vec![], |integrity| vec![2; integrity.key_len()]);
    SkCipher::new(&suite, &sk_e, &sk_a).unwrap()
}

fn header() -> Header {
    Header::new(1, 2, ExchangeType::INFORMATIONAL, Flags::default(), 3)
}

/// Body offset and first inner payload of a message whose only payload is SK.
fn sk(datagram: &[u8]) -> (usize, PayloadType) {
    match Message::parse(datagram).unwrap().payloads[..] {
        [Payload::Encrypted(sk)] => (sk.offset, sk.first),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_sealed_opens_to_the_same_payloads() {
    for suite in SUITES {
        let (mut ours, theirs) = (cipher(suite), cipher(suite));
        for len in 0..40 {
            let data = vec![7; len];
            let payloads = [Payload::VendorId(VendorId(&data))];
            let datagram = seal_message(header(), &payloads, &mut ours, &mut Counter(0));
            let (offset, first) = sk(&datagram);
            let inner = theirs.open(&datagram, offset).unwrap();
            assert_eq!(parse_chain(first, &inner).unwrap(), payloads, "{suite}");
            assert!(datagram.len() <= SK_PREFIX_LEN + 4 + len + ours.overhead(), "{suite}");
        }
    }
}

#[test]
fn a_message_without_payloads_is_sealed_too() {
    for suite in SUITES {
        let datagram = seal_message(header(), &[], &mut cipher(suite), &mut Counter(0));
        let (offset, first) = sk(&datagram);
        assert_eq!((first, cipher(suite).open(&datagram, offset).unwrap().len()), (PayloadType::NONE, 0));
    }
}

#[test]
fn any_changed_octet_fails_the_integrity_check() {
    for suite in SUITES {
        let mut datagram = seal_message(header(), &[], &mut cipher(suite), &mut Counter(0));
        let (offset, _) = sk(&datagram);
        for octet in 0..datagram.len() {
            datagram[octet] ^= 0x10;
            assert_eq!(
                cipher(suite).open(&datagram, offset).err(),
                Some(OpenError::Integrity),
                "{suite} {octet}"
            );
            datagram[octet] ^= 0x10;
        }
    }
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    for suite in SUITES {
        let datagram = seal_message(header(), &[], &mut cipher(suite), &mut Counter(0));
        let (offset, _) = sk(&datagram);
        for len in 0..datagram.len() {
            assert!(cipher(suite).open(&datagram[..len], offset).is_err(), "{suite} {len}");
        }
    }
}

#[test]
fn no_iv_of_an_aead_comes_twice() {
    let mut ours = cipher(SUITES[0]);
    let ivs = [(); 3].map(|()| {
        let datagram = seal_message(header(), &[], &mut ours, &mut Counter(0));
        datagram[SK_PREFIX_LEN..SK_PREFIX_LEN + IV_LEN].to_vec()
    });
    assert!(ivs[0] != ivs[1] && ivs[1] != ivs[2] && ivs[0] != ivs[2]);
}

#[test]
fn a_pad_length_beyond_the_text_is_refused_and_any_padding_content_accepted() {
    let padded = |text: &[u8]| {
        let mut text = text.to_vec();
        strip_padding(&mut text).map(|()| text)
    };
    assert_eq!(padded(&[1, 2, 9, 9, 2]), Ok(vec![1, 2]));
    assert_eq!(padded(&[9, 9, 2]), Ok(vec![]));
    assert_eq!(padded(&[9, 9, 3]), Err(OpenError::Padding));
    assert_eq!(padded(&[]), Err(OpenError::Padding));
}

#[test]
fn fragments_fill_the_datagram_and_join_to_the_chain() {
    let data = [7; 3000];
    let payloads = [Payload::VendorId(VendorId(&data))];
    for suite in SUITES {
        let (mut ours, theirs) = (cipher(suite), cipher(suite));
        let fragments = seal_fragments(header(), &payloads, &mut ours, &mut Counter(0), 1280);
        let (mut chain, mut first) = (Vec::new(), PayloadType::NONE);
        assert_eq!(fragments.len(), 3, "{suite}");
        for (fragment, number) in fragments.iter().zip(1..) {
            let message = Message::parse(fragment).unwrap();
            let [Payload::EncryptedFragment(skf)] = message.payloads[..] else { panic!("{message:?}") };
            assert_eq!((skf.number, skf.total), (number, 3), "{suite}");
            assert!(
                (1280 - 16..=1280).contains(&fragment.len()) || number == 3,
                "{suite} {}",
                fragment.len()
            );
            first = if number == 1 { skf.first } else { first };
            chain.extend_from_slice(&theirs.open(fragment, skf.offset).unwrap());
        }
        assert_eq!(parse_chain(first, &chain).unwrap(), payloads, "{suite}");
    }
}

#[test]
fn a_message_that_fits_is_not_cut() {
    let mut ours = cipher(SUITES[0]);
    let sealed = seal_fragments(header(), &[], &mut ours, &mut Counter(0), 1280);
    assert_eq!(sealed.len(), 1);
    assert_eq!(Message::parse(&sealed[0]).unwrap().header.next_payload, PayloadType::SK);
}

#[test]
fn keys_of_another_length_make_no_cipher() {
    let gcm: IkeSuite = SUITES[0].parse().unwrap();
    let cbc: IkeSuite = SUITES[3].parse().unwrap();
    assert!(SkCipher::new(&gcm, &[1; 32], &[]).is_none()); // the salt is missing
    assert!(SkCipher::new(&cbc, &[1; 16], &[2; 32]).is_none());
    assert!(SkCipher::new(&cbc, &[1; 32], &[2; 31]).is_none());
    assert!(SkCipher::new(&IkeSuite { integrity: None, ..cbc }, &[1; 32], &[2; 32]).is_none());
}

/// RFC 7634 appendix B, sealed: its IV is the number that the counter has reached.
#[test]
fn the_message_of_rfc_7634_is_sealed_octet_by_octet() {
    let dir = std::env::var("GOTTHARD_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").into());
    let Ok(text) = std::fs::read_to_string(format!("{dir}/rfc7634-chacha20poly1305-esp-ikev2.json")) else {
        eprintln!("no vectors in {dir}: not checked");
        return;
    };
    let vector = &serde_json::from_str::<serde_json::Value>(&text).unwrap()["ike"];
    let octets = |field: &str| hex(vector[field].as_str().unwrap());
    let expected = octets("expected_message");
    let aead = Aead::new(crate::suite::Cipher::CHACHA20_POLY1305, &octets("key_and_salt")).unwrap();
    let next_iv = u64::from_be_bytes(octets("iv").try_into().unwrap());
    let octets = Zeroizing::new(vec![0, 0, 0, 12, 0, 0, 0x40, 0x01, 0, 0, 0, 10]);
    let chain = Chain { first: PayloadType::NOTIFY, octets };
    assert_eq!(NotifyType::SET_WINDOW_SIZE.0, 0x4001);

    let mut cipher = SkCipher(Mode::Aead { aead, next_iv });
    let header = Header::parse(&expected).unwrap();
    assert_eq!(chain.seal_whole(header, &mut cipher, &mut Counter(0)), expected);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

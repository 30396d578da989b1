//! IKE messages: what was read is written, and read again as the same.

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::{ExchangeType, PayloadType};
use gotthard_ike::codec::message::{Message, emit_clear};
use gotthard_ike::codec::payload::encrypted::{Encrypted, EncryptedFragment};
use gotthard_ike::codec::payload::{Payload, emit_chain, parse_chain};
use gotthard_ike::crypto::Random;
use gotthard_ike::crypto::protect::{SkCipher, seal_fragments, seal_message};
use gotthard_ike::suite::IkeSuite;

/// Reads `data` as a datagram. Its SK payload, if it has one, does not open: nobody has the key.
pub fn ike_message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    for offset in message.payloads.iter().filter_map(protected) {
        for suite in SUITES {
            assert!(cipher(suite).open(data, offset).is_err(), "a forged message opens with {suite}");
        }
    }
    let emitted = emit_clear(message.header, &message.payloads);
    let again = Message::parse(&emitted).expect("what we emit can be read");
    assert_eq!(kept(&again.payloads), kept(&message.payloads));
}

/// Reads `data` as the chain inside SK, the type of its first payload before it, and takes it through protection.
pub fn ike_sk(data: &[u8]) {
    let Some((first, chain)) = data.split_first() else { return };
    let Ok(payloads) = parse_chain(PayloadType(*first), chain) else { return };

    let mut emitted = Vec::new();
    let first = emit_chain(&payloads, &mut emitted);
    assert_eq!(parse_chain(first, &emitted).as_ref(), Ok(&payloads));

    for suite in SUITES {
        through_one_message(suite, &payloads, &emitted);
        through_fragments(suite, &payloads, &emitted);
    }
}

fn through_one_message(suite: &str, payloads: &[Payload<'_>], chain: &[u8]) {
    let sealed = seal_message(HEADER, payloads, &mut cipher(suite), &mut Zeros);
    if sealed.len() > usize::from(u16::MAX) {
        return; // a payload's length field has no room for it
    }
    let message = Message::parse(&sealed).expect("what we seal can be read");
    let [Payload::Encrypted(sk)] = message.payloads[..] else { panic!("not one SK payload") };
    assert_eq!(cipher(suite).open(&sealed, sk.offset).as_deref().map(Vec::as_slice), Ok(chain), "{suite}");
}

fn through_fragments(suite: &str, payloads: &[Payload<'_>], chain: &[u8]) {
    let fragments = seal_fragments(HEADER, payloads, &mut cipher(suite), &mut Zeros, FRAGMENT_LEN);
    let mut joined = Vec::new();
    for fragment in &fragments {
        assert!(fragment.len() <= FRAGMENT_LEN, "{suite}: {} octets", fragment.len());
        let message = Message::parse(fragment).expect("what we seal can be read");
        let offset = message.payloads.iter().find_map(protected).expect("an SK or SKF payload");
        joined.extend_from_slice(&cipher(suite).open(fragment, offset).expect("what we seal opens"));
    }
    assert_eq!(joined, chain, "{suite}");
}

/// The payloads but for SK and SKF, which know their place in the datagram: fields before them may be written shorter.
fn kept<'p, 'a>(payloads: &'p [Payload<'a>]) -> Vec<&'p Payload<'a>> {
    payloads.iter().filter(|payload| protected(payload).is_none()).collect()
}

/// Where the body of an SK or SKF payload starts.
fn protected(payload: &Payload<'_>) -> Option<usize> {
    if let Payload::Encrypted(Encrypted { offset, .. })
    | Payload::EncryptedFragment(EncryptedFragment { offset, .. }) = payload
    {
        Some(*offset)
    } else {
        None
    }
}

fn cipher(suite: &str) -> SkCipher {
    let suite: IkeSuite = suite.parse().expect("a suite");
    let sk_e = vec![1; suite.cipher.key_len() + suite.cipher.salt_len()];
    let sk_a = if suite.cipher.is_aead() { vec![] } else { vec![2; 32] };
    SkCipher::new(&suite, &sk_e, &sk_a).expect("keys of the right lengths")
}

struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

const HEADER: Header = Header::new(
    1,
    2,
    ExchangeType::INFORMATIONAL,
    Flags { initiator: true, response: false, version: false },
    3,
);

const SUITES: [&str; 3] =
    ["aes256gcm16-sha256-modp2048", "aes256-sha256-modp2048", "chacha20poly1305-sha256-modp2048"];

const FRAGMENT_LEN: usize = 256;

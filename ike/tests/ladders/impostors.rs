//! Who is not the peer: what it is told, and what that tells it (RFC 7296 §2.21.2).

use gotthard_ike::codec::header::Header;
use gotthard_ike::codec::iana::NotifyType;
use gotthard_ike::codec::payload::Payload;
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::id::{Identification, Identity};
use gotthard_ike::error::Failure;

use crate::support::scripted::Scripted;
use crate::support::side::A;

/// IKE_AUTH with an identity and a key; returns the answer's header, and what was inside it.
fn attempt(id: Identity, key: &[u8]) -> (Header, Scripted) {
    let mut script = Scripted::new();
    script.init();
    let inner = script.authenticate_as(Identification::new(id), key, |_, _| {});
    assert!(inner.notify(NotifyType::AUTHENTICATION_FAILED));
    assert_eq!(inner.payloads().len(), 1);
    assert_eq!(script.b.child_up(), 0);
    (inner.header, script)
}

#[test]
fn an_unknown_identity_is_told_what_a_wrong_key_is_told() {
    let (wrong_key, script) = attempt(A.into(), b"another key");
    assert!(matches!(script.b.failed(), Some(Failure::PeerKey { .. })), "{:?}", script.b.failed());
    for key in [KEY, b"another key"] {
        let (unknown, script) = attempt("gw.example.org".parse().unwrap(), key);
        assert!(matches!(script.b.failed(), Some(Failure::PeerIdentity { .. })), "{:?}", script.b.failed());
        assert_eq!(unknown.length, wrong_key.length, "to the octet");
    }
}

#[test]
fn empty_and_huge_identities_are_refused_like_any_other() {
    let empty = [Identity::Fqdn(String::new()), Identity::Rfc822(String::new()), Identity::KeyId(Vec::new())];
    let huge = [Identity::Fqdn("a".repeat(60_000)), Identity::KeyId(vec![0xff; 60_000])];
    for id in empty.into_iter().chain(huge) {
        let (_, script) = attempt(id, KEY);
        let told = script.b.failed().expect("the operator is told").to_string();
        assert!(told.len() < 1_000, "a line, not {} octets", told.len());
    }
}

#[test]
fn a_proof_of_another_length_is_refused() {
    for len in [0, 1, 31, 33, 60_000] {
        let mut script = Scripted::new();
        script.init();
        let inner = script.authenticate(|payloads, _| {
            for payload in payloads.iter_mut() {
                if let Payload::Auth(Authentication { data, .. }) = payload {
                    *data = &ZEROS[..len];
                }
            }
        });
        assert!(inner.notify(NotifyType::AUTHENTICATION_FAILED), "{len} octets");
        assert_eq!(script.b.child_up(), 0);
    }
}

const KEY: &[u8] = b"correct horse battery staple";

/// What no key proves.
static ZEROS: [u8; 60_000] = [0; 60_000];

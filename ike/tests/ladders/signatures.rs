//! Signatures of IKE_AUTH (RFC 7296 §2.15, RFC 7427): forged ones, those of a peer before RFC 7427, and ends that do not agree
//! on how to prove who they are.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use gotthard_ike::codec::iana::{AuthMethod, CertEncoding, NotifyType};
use gotthard_ike::codec::payload::auth::Authentication;
use gotthard_ike::codec::payload::cert::Certificate;
use gotthard_ike::codec::payload::select::Select;
use gotthard_ike::config::{Auth, Credentials};
use gotthard_ike::crypto::signature::{PrivateKey, Scheme, Signer};
use gotthard_ike::error::{Failure, Flaw};

use crate::authority::{Authority, Issued, Kind};
use crate::meeting::{NAME_A, NAME_B, code, flaw, met_with, prove, responder, shown_a};
use crate::support::pair::Pair;
use crate::support::scripted::{Inner, Scripted};

/// ```text
/// a --> HDR, SK {IDi, CERT, CERTREQ, IDr, AUTH with a signature that is not its key's, SAi2, TSi, TSr}
/// ```
#[test]
fn a_forged_signature_is_refused() {
    let root = Authority::root("Alps");
    // A signature of RSA with e = 3 whose padding is not checked to its end (CVE-2006-4339); zeros of ECDSA.
    let mut cubed = vec![0; 256];
    cubed[255] = 1;
    let zeros = vec![0x30, 6, 2, 1, 0, 2, 1, 0];
    let cases = [
        (Kind::Rsa, Scheme::RsaPkcs1Sha256, cubed.clone()),
        (Kind::Rsa, Scheme::RsaPssSha256, cubed),
        (Kind::Rsa, Scheme::RsaPssSha256, Vec::new()),
        (Kind::EcdsaP256, Scheme::EcdsaSha256, zeros.clone()),
        (Kind::EcdsaP384, Scheme::EcdsaSha384, zeros),
        (Kind::Ed25519, Scheme::Ed25519, vec![0; 64]),
    ];
    for (kind, scheme, signature) in cases {
        let pair = forged(&root, root.issue(NAME_A, kind), scheme, Some(signature));
        assert!(matches!(flaw(&pair), Flaw::Signature(_)), "{scheme:?}: {:?}", flaw(&pair));
        assert_eq!(code(&pair), "GTH-IKE-25");
    }
}

/// Another key's signature, and one that says it is of another kind than the certificate's key.
#[test]
fn a_signature_of_another_key_is_refused() {
    let root = Authority::root("Alps");
    for scheme in Scheme::ALL {
        let pair = forged(&root, root.issue(NAME_A, Kind::EcdsaP256), scheme, None);
        assert!(matches!(flaw(&pair), Flaw::Signature(_)), "{scheme:?}: {:?}", flaw(&pair));
    }
}

/// It announces no hashes, and both ends sign as in RFC 4754.
/// ```text
/// script --> HDR, SK {IDi, CERT, AUTH (ECDSA with SHA-256 on P-256), SAi2, TSi, TSr}
/// script <-- HDR, SK {IDr, CERT, AUTH (ECDSA with SHA-384 on P-384), SAr2, TSi, TSr}
/// ```
#[test]
fn a_peer_of_before_rfc_7427_is_met_with_the_methods_of_its_time() {
    let root = Authority::root("Alps");
    let mut script = responder(root.issue(NAME_B, Kind::EcdsaP384).auth(&root.trust()));
    let answer = authenticate_before_rfc_7427(&mut script, &root);
    let payloads = answer.payloads();
    let auth = Select(&payloads).single_auth().unwrap().unwrap();
    assert_eq!((auth.method, auth.data.len()), (AuthMethod::ECDSA_P384, 96), "{:?}", script.b.failed());
    assert_eq!(script.b.ike_up(), 1);
}

#[test]
fn a_key_whose_hash_the_peer_lacks_is_told() {
    let root = Authority::root("Alps");
    for kind in [Kind::Rsa, Kind::Ed25519] {
        let mut script = responder(root.issue(NAME_B, kind).auth(&root.trust()));
        let answer = authenticate_before_rfc_7427(&mut script, &root);
        assert!(answer.notify(NotifyType::AUTHENTICATION_FAILED));
        let Some(failure @ Failure::SignatureHash { theirs, .. }) = script.b.failed() else {
            panic!("{:?}", script.b.failed())
        };
        assert_eq!((failure.code(), theirs.as_str()), ("GTH-IKE-26", "none"));
    }
}

#[test]
fn ends_that_prove_themselves_differently_say_so() {
    let root = Authority::root("Alps");
    let ours = root.issue(NAME_A, Kind::EcdsaP256);
    let pair = met_with(|a, _| a.auth = ours.auth(&root.trust()));
    assert!(matches!(pair.b.failed(), Some(Failure::AuthMethod { .. })), "{:?}", pair.b.failed());
    let pair = met_with(|_, b| b.auth = ours.auth(&root.trust()));
    assert!(matches!(pair.b.failed(), Some(Failure::AuthMethod { .. })), "{:?}", pair.b.failed());
}

fn authenticate_before_rfc_7427(script: &mut Scripted, root: &Authority) -> Inner {
    let ours = root.issue(NAME_A, Kind::EcdsaP256);
    let der = ours.signer().sign(Scheme::EcdsaSha256, &script.signed_octets(&shown_a())).unwrap();
    let signature = fixed_of_der(&der);
    let auth = Authentication { method: AuthMethod::ECDSA_P256, data: &signature };
    let encoding = CertEncoding::X509_SIGNATURE;
    prove(script, auth, Certificate { encoding, data: &ours.chain[0] })
}

/// The numbers of an ECDSA signature on P-256 as RFC 4754 has them.
fn fixed_of_der(der: &[u8]) -> Vec<u8> {
    let (r, s) = der[4..].split_at(usize::from(der[3]));
    [r, &s[2..]].iter().flat_map(|number| [&[0; 32], *number].concat()[number.len()..].to_vec()).collect()
}

/// What came of an initiator that signs with `scheme`: those octets, or what another key makes.
fn forged(root: &Authority, ours: Issued, scheme: Scheme, signature: Option<Vec<u8>>) -> Pair {
    let forger = Forger { honest: ours.signer(), tried: AtomicBool::new(false), scheme, signature };
    let credentials = Credentials::new(ours.chain, Arc::new(forger), root.trust()).unwrap();
    met_with(|a, b| {
        a.auth = Auth::Certificate(Arc::new(credentials));
        b.auth = root.issue(NAME_B, Kind::EcdsaP256).auth(&root.trust());
    })
}

/// Signs honestly once, when it is tried out; then it gives those octets, or a signature of its own over something else.
struct Forger {
    honest: PrivateKey,
    tried: AtomicBool,
    scheme: Scheme,
    signature: Option<Vec<u8>>,
}

impl Signer for Forger {
    fn schemes(&self) -> &[Scheme] {
        if self.tried.load(Ordering::Relaxed) {
            core::slice::from_ref(&self.scheme)
        } else {
            self.honest.schemes()
        }
    }

    fn sign(&self, scheme: Scheme, octets: &[u8]) -> Option<Vec<u8>> {
        if !self.tried.swap(true, Ordering::Relaxed) {
            return self.honest.sign(scheme, octets);
        }
        self.signature
            .clone()
            .or_else(|| self.honest.sign(*self.honest.schemes().first()?, b"something else"))
    }
}

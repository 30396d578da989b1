//! What a peer proves itself with: certificates, a signature, a revocation list.

use core::time::Duration;

use gotthard_ike::codec::iana::AuthMethod;
use gotthard_ike::codec::payload::id::Identity;
use gotthard_ike::crypto::certificate::{Evidence, Flaw, Trust, has_identity, not_after, subject};
use gotthard_ike::crypto::signature::{Hashes, Scheme};

/// Reads `data` as an octet of choices and parts, each behind its length in two octets: an authority, Authentication
/// Data, the peer's certificate and others. What is believed must be so for a reason; what is not has its words.
pub fn certificate(data: &[u8]) {
    if let Some(Err(flaw)) = verdict(data) {
        assert!(!flaw.to_string().is_empty());
    }
}

/// Whether the peer of such an input is believed. `None`: parts are missing, or the authority cannot be one.
pub fn verdict(data: &[u8]) -> Option<Result<(), Flaw>> {
    let (&choices, parts) = data.split_first()?;
    let mut parts = parts_of(parts).into_iter();
    let (authority, signature, own) = (parts.next()?, parts.next()?, parts.next()?);
    let mut chain = vec![own];
    chain.extend(parts);
    let lists = if choices & WITH_LIST == 0 { None } else { chain.pop() };

    scheme_is_read_as_it_is_written(signature);
    // Shown, as a log would.
    let shown = format!("{:?} {:?} {:?}", subject(own), not_after(own), Hashes::parse(own));
    assert!(!shown.is_empty());

    let lists: Vec<Vec<u8>> = lists.into_iter().map(<[u8]>::to_vec).collect();
    let trust = Trust::new(&[authority.to_vec()], &lists).ok()?;
    let identity = identity(choices, own);
    let method =
        if choices & OLD_METHOD == 0 { AuthMethod::DIGITAL_SIGNATURE } else { AuthMethod::ECDSA_P256 };
    let evidence = Evidence { chain: &chain, identity: &identity, method, signature, signed: SIGNED };
    let verdict = trust.verify(&evidence, NOW);
    if verdict.is_ok() {
        assert!(has_identity(own, &identity), "an identity that is not in it: {identity}");
    }
    Some(verdict)
}

fn parts_of(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (part, behind) = behind.split_at(length.min(behind.len()));
        parts.push(part);
        rest = behind;
    }
    parts
}

fn scheme_is_read_as_it_is_written(data: &[u8]) {
    if let Some((scheme, signature)) = Scheme::parse(data) {
        assert_eq!(Scheme::parse(&scheme.emit(signature)), Some((scheme, signature)));
    }
}

/// The identity that the peer shows: one of each kind that can be in a certificate.
fn identity(choices: u8, certificate: &[u8]) -> Identity {
    match choices & IDENTITIES {
        0 => Identity::Fqdn(NAME.to_owned()),
        1 => Identity::Ipv4([192, 0, 2, 1].into()),
        2 => Identity::Rfc822(format!("gateway@{NAME}")),
        _ => subject(certificate).unwrap_or_else(|| Identity::Dn(certificate.to_vec())),
    }
}

/// What the seeds' signature covers.
pub const SIGNED: &[u8] = b"octets to be signed";

/// The name in the seeds' certificate.
pub const NAME: &str = "gateway.example.com";

/// A date in 2026, for whatever the machine's clock has.
const NOW: Duration = Duration::from_secs(1_780_000_000);

/// Choices: the last part is a revocation list.
pub const WITH_LIST: u8 = 8;

/// Which identity; a method of RFC 4754 in place of that of RFC 7427.
const IDENTITIES: u8 = 3;
const OLD_METHOD: u8 = 4;

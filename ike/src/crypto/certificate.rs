//! Certificates (RFC 5280, RFC 4945): the authorities that we trust, and what a peer proves with a certificate.
//!
//! Chains are built by rustls-webpki from what is configured and what the peer sent; nothing is ever fetched.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeId,
    KeyPurposeIdIter, KeyUsage, OwnedCertRevocationList, RequiredEkuNotFoundContext,
    RevocationOptionsBuilder, anchor_from_trusted_cert,
};
use x509_cert::certificate::Rfc5280;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use super::signature::{Scheme, ecdsa_der};
use crate::codec::iana::AuthMethod;
use crate::codec::payload::id::Identity;

/// Authorities and their revocation lists.
#[derive(Debug)]
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    key_hashes: Vec<u8>,
    revocation: Vec<CertRevocationList<'static>>,
}

/// What a peer shows to prove who it is.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Certificates in DER: the peer's own, and those between it and an authority, in any order.
    pub chain: &'a [&'a [u8]],
    /// The identity in its ID payload.
    pub identity: &'a Identity,
    /// Auth Method.
    pub method: AuthMethod,
    /// Authentication Data.
    pub signature: &'a [u8],
    /// What it must have signed (RFC 7296 §2.15).
    pub signed: &'a [u8],
}

/// Why a certificate or a signature proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// No certificate that we could check: none at all, or only the URL of one.
    #[error("{0}")]
    Absent(&'static str),
    /// Its chain leads to no configured authority, or may not be what it is.
    #[error("no valid chain to a configured authority: {0}")]
    Chain(String),
    /// The time is outside its validity, or a certificate's of its chain.
    #[error("{0}")]
    Validity(String),
    /// It is on a revocation list.
    #[error("it is revoked")]
    Revoked,
    /// The configured lists do not tell whether it is revoked.
    #[error("the revocation lists do not tell whether it is revoked: {0}")]
    Status(String),
    /// The identity that the peer shows is not in it.
    #[error("it is not of the identity that the peer shows; it has {0}")]
    Identity(String),
    /// The signature is not made with its key over this exchange.
    #[error("the signature is wrong: {0}")]
    Signature(String),
}

/// A file that holds no usable authority or list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {number} cannot be used: {reason}")]
pub struct UnusableTrust {
    /// Certificate or list.
    pub what: Trusted,
    /// Which one, counted from 1.
    pub number: usize,
    /// Why.
    pub reason: String,
}

/// A part of [`Trust`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// The certificate of an authority.
    Authority,
    /// A revocation list.
    List,
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "certificate",
            Self::List => "revocation list",
        })
    }
}

impl Trust {
    /// Trusts these certificates, in DER. Where there are revocation lists, every certificate of a chain must be
    /// covered by one of them that is in force.
    pub fn new(authorities: &[Vec<u8>], lists: &[Vec<u8>]) -> Result<Self, UnusableTrust> {
        let mut trust = Self { anchors: Vec::new(), key_hashes: Vec::new(), revocation: Vec::new() };
        for (index, der) in authorities.iter().enumerate() {
            let unusable = |error: Error| UnusableTrust {
                what: Trusted::Authority,
                number: index + 1,
                reason: error.to_string(),
            };
            let certificate = CertificateDer::from_slice(der);
            let anchor = anchor_from_trusted_cert(&certificate).map_err(unusable)?;
            let key = EndEntityCert::try_from(&certificate).map_err(unusable)?.subject_public_key_info();
            trust.key_hashes.extend_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, &key).as_ref());
            trust.anchors.push(anchor.to_owned());
        }
        for (index, der) in lists.iter().enumerate() {
            let list = OwnedCertRevocationList::from_der(der).map_err(|error| UnusableTrust {
                what: Trusted::List,
                number: index + 1,
                reason: error.to_string(),
            })?;
            trust.revocation.push(list.into());
        }
        Ok(trust)
    }

    /// Whether the peer is who it says, at the time `unix` since 1970.
    pub fn verify(&self, evidence: &Evidence<'_>, unix: Duration) -> Result<(), Flaw> {
        let (own, others) =
            evidence.chain.split_first().ok_or(Flaw::Absent("the peer sends no certificate"))?;
        let own = CertificateDer::from_slice(own);
        let others: Vec<_> = others.iter().map(|der| CertificateDer::from_slice(der)).collect();
        let certificate = EndEntityCert::try_from(&own).map_err(|error| flaw_of(&error))?;
        self.verify_chain(&certificate, &others, unix)?;
        if !names(&certificate, evidence.identity) {
            return Err(Flaw::Identity(names_of(&certificate)));
        }
        verify_signature(&certificate, evidence)
    }

    /// The Certification Authority field of a CERTREQ payload: the SHA-1 hashes of the authorities' keys
    /// (RFC 7296 §3.7).
    pub fn key_hashes(&self) -> &[u8] {
        &self.key_hashes
    }

    fn verify_chain(
        &self,
        certificate: &EndEntityCert<'_>,
        others: &[CertificateDer<'_>],
        unix: Duration,
    ) -> Result<(), Flaw> {
        let lists: Vec<&CertRevocationList<'_>> = self.revocation.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists)
            .ok()
            .map(|options| options.with_expiration_policy(ExpirationPolicy::Enforce).build());
        let time = UnixTime::since_unix_epoch(unix);
        let schemes = webpki::ALL_VERIFICATION_ALGS;
        certificate
            .verify_for_usage(schemes, &self.anchors, others, time, IpsecUsage, revocation, None)
            .map(drop)
            .map_err(|error| flaw_of(&error))
    }
}

/// Whether `identity` is one of the certificate's (RFC 4945 §3.1).
pub fn has_identity(der: &[u8], identity: &Identity) -> bool {
    let der = CertificateDer::from_slice(der);
    EndEntityCert::try_from(&der).is_ok_and(|certificate| names(&certificate, identity))
}

/// The subject of a certificate, as an identity. `None`: it is unreadable, or has none.
pub fn subject(der: &[u8]) -> Option<Identity> {
    use x509_cert::der::Encode as _;
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let subject = certificate.tbs_certificate().subject();
    if subject.is_empty() { None } else { subject.to_der().ok().map(Identity::Dn) }
}

/// The end of a certificate's validity, since 1970.
pub fn not_after(der: &[u8]) -> Option<Duration> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration())
}

/// When the next list of its authority is due, since 1970: the end of this one. `None`: it is unreadable, or has no end.
pub fn next_update(der: &[u8]) -> Option<Duration> {
    let list = x509_cert::crl::CertificateList::<Rfc5280>::from_der(der).ok()?;
    list.tbs_cert_list.next_update.map(Time::to_unix_duration)
}

/// Whether `signature` is over `signed` and made with the certificate's key.
pub fn is_signed_by(der: &[u8], scheme: Scheme, signed: &[u8], signature: &[u8]) -> bool {
    let der = CertificateDer::from_slice(der);
    EndEntityCert::try_from(&der)
        .is_ok_and(|certificate| verify_with(&certificate, scheme, signed, signature).is_ok())
}

/// What an IKE certificate may be for (RFC 4945 §5.1.3.12): nothing in particular, anything, IKE, or, as those of many
/// CAs are, TLS.
struct IpsecUsage;

impl ExtendedKeyUsageValidator for IpsecUsage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut present = false;
        for purpose in purposes {
            let purpose = purpose?;
            if USAGES.iter().any(|usage| KeyPurposeId::new(usage) == purpose) {
                return Ok(());
            }
            present = true;
        }
        let required = KeyUsage::required(IPSEC_IKE);
        let refused = RequiredEkuNotFoundContext { required, present: Vec::new() };
        if present { Err(Error::RequiredEkuNotFoundContext(refused)) } else { Ok(()) }
    }
}

fn names(certificate: &EndEntityCert<'_>, identity: &Identity) -> bool {
    let has_address = |address: IpAddr| {
        certificate.verify_is_valid_for_subject_name(&ServerName::IpAddress(address.into())).is_ok()
    };
    match identity {
        Identity::Ipv4(address) => has_address((*address).into()),
        Identity::Ipv6(address) => has_address((*address).into()),
        Identity::Fqdn(name) => certificate.valid_dns_names().any(|known| known.eq_ignore_ascii_case(name)),
        Identity::Rfc822(mail) => {
            mail_names(certificate).iter().any(|known| known.eq_ignore_ascii_case(mail))
        }
        Identity::Dn(_) => subject(&certificate.der()).is_some_and(|subject| subject.matches(identity)),
        // A key id and a type that we do not know are in no certificate.
        Identity::KeyId(_) | Identity::Other { .. } => false,
    }
}

/// What the certificate has instead, for the operator.
fn names_of(certificate: &EndEntityCert<'_>) -> String {
    let subject = subject(&certificate.der()).map(|subject| subject.to_string());
    let dns = certificate.valid_dns_names().map(|name| Identity::Fqdn(name.to_owned()).to_string());
    let names: Vec<String> = subject.into_iter().chain(dns).take(MAX_NAMES).collect();
    if names.is_empty() { "no name that we know".to_owned() } else { names.join(", ") }
}

fn mail_names(certificate: &EndEntityCert<'_>) -> Vec<String> {
    let der = certificate.der();
    let Ok(certificate) = x509_cert::Certificate::from_der(&der) else { return Vec::new() };
    let Ok(Some((_, names))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let mail = |name: GeneralName| {
        if let GeneralName::Rfc822Name(mail) = name { Some(mail.as_str().to_owned()) } else { None }
    };
    names.0.into_iter().filter_map(mail).collect()
}

fn verify_signature(certificate: &EndEntityCert<'_>, evidence: &Evidence<'_>) -> Result<(), Flaw> {
    let Evidence { method, signature, signed, .. } = *evidence;
    match method {
        AuthMethod::DIGITAL_SIGNATURE => {
            let (scheme, signature) = Scheme::parse(signature)
                .ok_or_else(|| Flaw::Signature("its algorithm is none of ours".to_owned()))?;
            verify_with(certificate, scheme, signed, signature)
        }
        AuthMethod::ECDSA_P256 => verify_fixed(certificate, Scheme::EcdsaSha256, P256_LEN, evidence),
        AuthMethod::ECDSA_P384 => verify_fixed(certificate, Scheme::EcdsaSha384, P384_LEN, evidence),
        // Method 1 is RSA with SHA-1 in practice; 3 is DSA, and 11 a curve that ring does not have.
        other => Err(Flaw::Signature(format!("the method {other} is not accepted"))),
    }
}

/// A signature of RFC 4754: two numbers of the curve's length. The method names curve and hash together.
fn verify_fixed(
    certificate: &EndEntityCert<'_>,
    scheme: Scheme,
    len: usize,
    evidence: &Evidence<'_>,
) -> Result<(), Flaw> {
    let malformed = || Flaw::Signature(format!("{} octets", evidence.signature.len()));
    let fixed = Some(evidence.signature).filter(|fixed| fixed.len() == 2 * len).ok_or_else(malformed)?;
    let der = ecdsa_der(fixed).ok_or_else(malformed)?;
    let verifier = *scheme.verifiers().first().ok_or_else(malformed)?;
    certificate
        .verify_signature(verifier, evidence.signed, &der)
        .map_err(|error| Flaw::Signature(words(&error)))
}

fn verify_with(
    certificate: &EndEntityCert<'_>,
    scheme: Scheme,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), Flaw> {
    let mut last = String::new();
    for verifier in scheme.verifiers() {
        match certificate.verify_signature(verifier, signed, signature) {
            Ok(()) => return Ok(()),
            Err(error) => last = words(&error),
        }
    }
    Err(Flaw::Signature(last))
}

#[allow(clippy::wildcard_enum_match_arm, reason = "webpki has many errors and may have more")]
fn flaw_of(error: &Error) -> Flaw {
    match error {
        Error::CertExpired { time, not_after } => {
            Flaw::Validity(format!("it expired {} ago", between(*not_after, *time)))
        }
        Error::CertNotValidYet { time, not_before } => {
            Flaw::Validity(format!("by our clock it becomes valid in {}", between(*time, *not_before)))
        }
        Error::CertRevoked => Flaw::Revoked,
        Error::UnknownRevocationStatus => Flaw::Status("no list covers it".to_owned()),
        Error::CrlExpired { time, next_update } => {
            Flaw::Status(format!("the list expired {} ago", between(*next_update, *time)))
        }
        Error::IssuerNotCrlSigner | Error::InvalidCrlSignatureForPublicKey => {
            Flaw::Status("a list is not signed by who may sign it".to_owned())
        }
        other => Flaw::Chain(words(other)),
    }
}

/// An error of webpki for the operator, who may search for its own name too.
#[allow(clippy::wildcard_enum_match_arm, reason = "what has no words here is shown by its name")]
fn words(error: &Error) -> String {
    let words = match error {
        Error::UnknownIssuer => "its issuer is unknown",
        Error::CaUsedAsEndEntity => "it is an authority's own",
        Error::EndEntityUsedAsCa => "its issuer is no authority",
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => "its chain is too long",
        Error::NameConstraintViolation => "its issuer may not name it so",
        Error::UnsupportedCriticalExtension => "it has a critical extension that we do not know",
        Error::RequiredEkuNotFoundContext(_) => "it is not for IPsec (extended key usage)",
        Error::InvalidSignatureForPublicKey => "it was not made with the key",
        Error::BadDer | Error::TrailingData(_) => "it cannot be read",
        Error::MaximumPathBuildCallsExceeded | Error::MaximumSignatureChecksExceeded => {
            "its chain branches too often"
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a key and a signature do not fit, or are of a kind that we do not accept"
        }
        other => return format!("{other:?}").chars().take(MAX_WORDS).collect(),
    };
    words.to_owned()
}

/// The time from one to the other, in a unit that a person reads.
fn between(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    match seconds / SECONDS_OF_DAY {
        0 => format!("{seconds} s"),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Contents of the OIDs, without tag and length: serverAuth, clientAuth, ipsecEndSystem, ipsecTunnel, ipsecUser,
/// ipsecIKE, iKEIntermediate, anyExtendedKeyUsage.
const USAGES: [&[u8]; 8] = [
    &[0x2b, 6, 1, 5, 5, 7, 3, 1],
    &[0x2b, 6, 1, 5, 5, 7, 3, 2],
    &[0x2b, 6, 1, 5, 5, 7, 3, 5],
    &[0x2b, 6, 1, 5, 5, 7, 3, 6],
    &[0x2b, 6, 1, 5, 5, 7, 3, 7],
    IPSEC_IKE,
    &[0x2b, 6, 1, 5, 5, 8, 2, 2],
    &[0x55, 0x1d, 0x25, 0],
];

const IPSEC_IKE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 17];

const P256_LEN: usize = 32;
const P384_LEN: usize = 48;
/// Names of a certificate that a message shows.
const MAX_NAMES: usize = 4;
/// Characters of an error that has no words.
const MAX_WORDS: usize = 64;
const SECONDS_OF_DAY: u64 = 86_400;

//! What an end shows to prove who it is: AUTH, and the certificates that it is made with (RFC 7296 §2.15, RFC 7427).
//!
//! Both directions change nothing: they are made or checked before any state is.

use core::time::Duration;

use zeroize::Zeroizing;

use super::shown;
use crate::codec::iana::{AuthMethod, CertEncoding};
use crate::codec::payload::Payload;
use crate::codec::payload::auth::Authentication;
use crate::codec::payload::cert::{Certificate, CertificateRequest};
use crate::codec::payload::id::Identification;
use crate::codec::payload::select::Select;
use crate::config::{Auth, Credentials, PeerConfig};
use crate::crypto::auth::{Signed, psk_auth, verify};
use crate::crypto::certificate::{Evidence, Flaw};
use crate::crypto::prf::Prf;
use crate::crypto::signature::{Hashes, Scheme, ecdsa_fixed};
use crate::error::{Failure, Sa};
use crate::exchange::init::Agreed;
use crate::limits;

/// AUTH of ours.
pub(crate) struct Proof {
    method: AuthMethod,
    data: Zeroizing<Vec<u8>>,
}

/// Whose AUTH it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Initiator,
    Responder,
}

impl Proof {
    /// Proves that we have the identity in `id_body`.
    pub(super) fn make(
        agreed: &Agreed,
        config: &PeerConfig,
        role: Role,
        id_body: &[u8],
    ) -> Result<Self, Failure> {
        let (prf, signed) = signed(agreed, role, id_body).ok_or(Failure::NoSuite { what: Sa::Ike })?;
        match &config.auth {
            Auth::Psk(psk) => Ok(Self { method: AuthMethod::SHARED_KEY, data: psk_auth(prf, psk, &signed) }),
            Auth::Certificate(credentials) => sign(credentials, agreed.hashes, &signed.octets(prf)),
        }
    }

    /// AUTH.
    pub(super) fn payload(&self) -> Payload<'_> {
        Payload::Auth(Authentication { method: self.method, data: &self.data })
    }
}

/// Our certificates, ours first (RFC 7296 §3.6). They are sent whether or not the peer asks: some do not.
pub(super) fn certificates(auth: &Auth) -> impl Iterator<Item = Payload<'_>> {
    let chain = auth.as_certificate().map_or(&[][..], Credentials::chain);
    let encoding = CertEncoding::X509_SIGNATURE;
    chain.iter().map(move |data| Payload::Cert(Certificate { encoding, data }))
}

/// Asks for a certificate of the authorities that we trust, in at most `room` octets of them (RFC 7296 §3.7). A request
/// that names none asks all the same.
pub(crate) fn certificate_request(auth: &Auth, room: usize) -> Option<Payload<'_>> {
    let hashes = auth.as_certificate()?.trust().key_hashes();
    let whole = room.min(hashes.len()) / KEY_HASH_LEN * KEY_HASH_LEN;
    let authority = hashes.get(..whole).unwrap_or_default();
    Some(Payload::CertReq(CertificateRequest { encoding: CertEncoding::X509_SIGNATURE, authority }))
}

/// Whether the peer, whose payloads these are, has proved that it has the identity `id`. The time does not tell where
/// the AUTH of a pre-shared key differs, nor whether it is its method that is wrong.
pub(super) fn check(
    agreed: &Agreed,
    config: &PeerConfig,
    role: Role,
    (id, auth): (&Identification<'_>, &Authentication<'_>),
    payloads: Select<'_, '_>,
    unix: Duration,
) -> Result<(), Failure> {
    let (prf, signed) = signed(agreed, role, &id.body).ok_or(Failure::NoSuite { what: Sa::Ike })?;
    let other_method =
        || Failure::AuthMethod { ours: config.auth.to_string(), theirs: auth.method.to_string() };
    match &config.auth {
        Auth::Psk(psk) => {
            let proved = verify(&psk_auth(prf, psk, &signed), auth.data);
            if auth.method != AuthMethod::SHARED_KEY {
                return Err(other_method());
            }
            let (ours, theirs) = (config.local_id.to_string(), shown(id));
            if proved { Ok(()) } else { Err(Failure::PeerKey { ours, theirs }) }
        }
        Auth::Certificate(_) if matches!(auth.method, AuthMethod::SHARED_KEY | AuthMethod::NULL) => {
            Err(other_method())
        }
        Auth::Certificate(credentials) => {
            let flawed = |flaw| Failure::PeerCertificate { theirs: shown(id), flaw };
            let chain = chain(payloads).map_err(flawed)?;
            let evidence = Evidence {
                chain: &chain,
                identity: &id.identity,
                method: auth.method,
                signature: auth.data,
                signed: &signed.octets(prf),
            };
            credentials.trust().verify(&evidence, unix).map_err(flawed)
        }
    }
}

/// The cost of checking a pre-shared key, for an identity that nobody has.
pub(super) fn check_nobody(agreed: &Agreed, id: &Identification<'_>, auth: &Authentication<'_>) {
    if let Some((prf, signed)) = signed(agreed, Role::Initiator, &id.body) {
        core::hint::black_box(verify(&psk_auth(prf, &[], &signed), auth.data));
    }
}

/// Signs with the first of the key's schemes whose hash the peer has announced; where it announced none, as before
/// RFC 7427, with the method of the key's curve (RFC 4754).
fn sign(credentials: &Credentials, hashes: Hashes, octets: &[u8]) -> Result<Proof, Failure> {
    let schemes = credentials.signer().schemes();
    let made = |scheme| credentials.signer().sign(scheme, octets).ok_or(Failure::OwnKey);
    if let Some(scheme) = schemes.iter().copied().find(|scheme| hashes.contains(scheme.hash())) {
        let data = scheme.emit(&made(scheme)?).into();
        return Ok(Proof { method: AuthMethod::DIGITAL_SIGNATURE, data });
    }
    let older = |scheme: &Scheme| match scheme {
        Scheme::EcdsaSha256 => Some((AuthMethod::ECDSA_P256, 32)),
        Scheme::EcdsaSha384 => Some((AuthMethod::ECDSA_P384, 48)),
        Scheme::RsaPssSha256
        | Scheme::RsaPssSha384
        | Scheme::RsaPssSha512
        | Scheme::RsaPkcs1Sha256
        | Scheme::RsaPkcs1Sha384
        | Scheme::RsaPkcs1Sha512
        | Scheme::Ed25519 => None,
    };
    let usable = schemes.iter().find_map(|scheme| older(scheme).map(|method| (*scheme, method)));
    let Some((scheme, (method, len))) = usable.filter(|_| hashes.is_empty()) else {
        let ours: Vec<String> = schemes.iter().map(|scheme| scheme.hash().to_string()).collect();
        return Err(Failure::SignatureHash { ours: ours.join(", "), theirs: hashes.to_string() });
    };
    let data = ecdsa_fixed(&made(scheme)?, len).ok_or(Failure::OwnKey)?.into();
    Ok(Proof { method, data })
}

/// The certificates that the peer sent, its own first.
fn chain<'p>(payloads: Select<'p, '_>) -> Result<Vec<&'p [u8]>, Flaw> {
    let of = |encoding| payloads.certificates().filter(move |sent| sent.encoding == encoding);
    let chain: Vec<&[u8]> = of(CertEncoding::X509_SIGNATURE).map(|sent| sent.data).collect();
    let has_url = of(CertEncoding::HASH_AND_URL).chain(of(CertEncoding::HASH_AND_URL_BUNDLE)).next();
    if chain.is_empty() && has_url.is_some() {
        return Err(Flaw::Absent("the peer sends only the URL of its certificate, and none is ever fetched"));
    }
    if chain.len() > limits::CERTIFICATES {
        return Err(Flaw::Chain(format!("{} certificates are too many", chain.len())));
    }
    if let Some(giant) = chain.iter().find(|der| der.len() > limits::CERTIFICATE_LEN) {
        return Err(Flaw::Chain(format!("a certificate of {} octets is too long", giant.len())));
    }
    Ok(chain)
}

/// What the AUTH of one end covers.
fn signed<'a>(agreed: &'a Agreed, role: Role, id_body: &'a [u8]) -> Option<(Prf, Signed<'a>)> {
    let prf = Prf::new(agreed.suite.prf)?;
    let (sk_p, message, peer_nonce) = match role {
        Role::Initiator => (agreed.keys.pi.as_bytes(), &agreed.request, &agreed.nonce_r),
        Role::Responder => (agreed.keys.pr.as_bytes(), &agreed.response, &agreed.nonce_i),
    };
    Some((prf, Signed { sk_p, message, peer_nonce, id_body }))
}

/// Octets of SHA-1.
const KEY_HASH_LEN: usize = 20;

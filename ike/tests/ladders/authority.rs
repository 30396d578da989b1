//! Certificate authorities for tests, and the certificates that they issue. Those of RSA all have one key, from a file:
//! ring makes none.

use core::time::Duration;
use std::sync::Arc;

use gotthard_ike::config::{Auth, Credentials};
use gotthard_ike::crypto::certificate::Trust;
use gotthard_ike::crypto::signature::PrivateKey;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use ring::rand::SystemRandom;

/// What the wall clock shows when a test begins, since 1970: 15 January 2027.
pub(crate) const TODAY: Duration = Duration::from_hours(500_000);

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    EcdsaP256,
    EcdsaP384,
    Ed25519,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Rsa, Self::EcdsaP256, Self::EcdsaP384, Self::Ed25519];

    fn key(self) -> KeyPair {
        match self {
            Self::Rsa => {
                KeyPair::from_pem_and_sign_algo(include_str!("keys/rsa2048.pem"), &PKCS_RSA_SHA256).unwrap()
            }
            Self::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            Self::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
            Self::Ed25519 => KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        }
    }
}

/// An authority.
pub(crate) struct Authority {
    name: String,
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    /// What is sent of it where it is not a root: it, and those above.
    above: Vec<Vec<u8>>,
}

impl Authority {
    /// One that signs itself.
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (authority(name), Kind::EcdsaP256.key());
        let certificate = params.self_signed(&key).unwrap();
        let (name, issuer) = (name.to_owned(), Issuer::new(params, key));
        Self { name, issuer, certificate, above: Vec::new() }
    }

    /// One whose certificate this one signs.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(name, |_| {})
    }

    /// One whose certificate is changed before this one signs it.
    pub(crate) fn intermediate_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (authority(name), Kind::EcdsaP256.key());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let above = [vec![certificate.der().to_vec()], self.above.clone()].concat();
        let (name, issuer) = (name.to_owned(), Issuer::new(params, key));
        Self { name, issuer, certificate, above }
    }

    /// A certificate of its own name and key that another one signs.
    pub(crate) fn crossed_by(&self, other: &Self) -> Vec<u8> {
        authority(&self.name).signed_by(self.issuer.key(), &other.issuer).unwrap().der().to_vec()
    }

    /// A certificate for a name of DNS, and its key.
    pub(crate) fn issue(&self, name: &str, kind: Kind) -> Issued {
        self.issue_with(name, kind, |_| {})
    }

    /// A certificate that is changed before it is signed.
    pub(crate) fn issue_with(
        &self,
        name: &str,
        kind: Kind,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        params.serial_number = Some(SerialNumber::from(SERIAL));
        change(&mut params);
        let key = kind.key();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = [vec![certificate.der().to_vec()], self.above.clone()].concat();
        Issued { chain, key: key.serialize_der() }
    }

    /// Its revocation list, in force for a month, with these serial numbers.
    pub(crate) fn revocation_list(&self, serials: &[u64]) -> Vec<u8> {
        self.revocation_list_until(serials, 2027, 2)
    }

    /// Its revocation list, in force until that month.
    pub(crate) fn revocation_list_until(&self, serials: &[u64], year: i32, month: u8) -> Vec<u8> {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 12, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 12, 1),
            next_update: date_time_ymd(year, month, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// Trust in it alone.
    pub(crate) fn trust(&self) -> Arc<Trust> {
        self.trust_with(&[])
    }

    /// Trust in it, with revocation lists.
    pub(crate) fn trust_with(&self, lists: &[Vec<u8>]) -> Arc<Trust> {
        Arc::new(Trust::new(&[self.der()], lists).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }
}

/// A certificate, those between it and a root, and its key.
pub(crate) struct Issued {
    pub(crate) chain: Vec<Vec<u8>>,
    /// PKCS #8.
    pub(crate) key: Vec<u8>,
}

impl Issued {
    /// An end that shows it and believes that trust.
    pub(crate) fn auth(&self, trust: &Arc<Trust>) -> Auth {
        let signer = Arc::new(self.signer());
        let credentials = Credentials::new(self.chain.clone(), signer, trust.clone());
        Auth::Certificate(Arc::new(credentials.unwrap()))
    }

    /// Its key.
    #[allow(clippy::disallowed_methods, reason = "ring signs with no randomness but its own")]
    pub(crate) fn signer(&self) -> PrivateKey {
        PrivateKey::from_der(&self.key, Arc::new(SystemRandom::new())).unwrap()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Of every certificate that [`Authority::issue`] makes.
pub(crate) const SERIAL: u64 = 7;

//! A certificate authority with an intermediate and revocation lists, as PEM for either peer.

use core::fmt;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName,
    DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use crate::netns;
use crate::process::command;

/// A key, and how strongSwan signs with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSA-2048, RSASSA-PKCS1-v1_5.
    RsaPkcs1,
    /// RSA-2048, RSASSA-PSS.
    RsaPss,
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 5] =
        [Self::EcdsaP256, Self::EcdsaP384, Self::Ed25519, Self::RsaPkcs1, Self::RsaPss];

    /// strongSwan's `auth` of the local end.
    pub const fn strongswan_auth(self) -> &'static str {
        match self {
            Self::RsaPkcs1 => "rsa-sha256",
            Self::RsaPss => "rsa/pss-sha256",
            Self::EcdsaP256 | Self::EcdsaP384 | Self::Ed25519 => "pubkey",
        }
    }

    fn key(self) -> Result<KeyPair> {
        Ok(match self {
            Self::RsaPkcs1 | Self::RsaPss => of_openssl(&["RSA", "-pkeyopt", "rsa_keygen_bits:2048"])?,
            Self::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            Self::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?,
            Self::Ed25519 => of_openssl(&["ED25519"])?,
        })
    }
}

/// A file-name friendly word.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaPkcs1 => "rsa-pkcs1",
            Self::RsaPss => "rsa-pss",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Ed25519 => "ed25519",
        })
    }
}

/// A root, and the authority below it that issues.
#[derive(Debug)]
pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    issuing: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// Its serial number.
    serial: u64,
}

impl Authority {
    /// A new one, with keys of P-256.
    pub fn new() -> Result<Self> {
        let key = || Kind::EcdsaP256.key();
        let root = CertifiedIssuer::self_signed(params("Lab Root")?, key()?)?;
        let issuing = CertifiedIssuer::signed_by(params("Lab Issuing")?, key()?, &root)?;
        Ok(Self { root, issuing })
    }

    /// A certificate for a name, of the issuing authority.
    pub fn issue(&self, name: &str, serial: u64, kind: Kind) -> Result<Issued> {
        self.issue_below(&[], name, serial, kind)
    }

    /// The same for a subject that has more than the name, in this order before it.
    pub fn issue_below(
        &self,
        subject: &[(DnType, &str)],
        name: &str,
        serial: u64,
        kind: Kind,
    ) -> Result<Issued> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        for (part, value) in subject {
            params.distinguished_name.push(part.clone(), *value);
        }
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
        params.serial_number = Some(SerialNumber::from(serial));
        params.use_authority_key_identifier_extension = true;
        let key = kind.key()?;
        let certificate = params.signed_by(&key, &self.issuing)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem(), serial })
    }

    /// The root's certificate.
    pub fn root(&self) -> String {
        self.root.pem()
    }

    /// The issuing authority's certificate.
    pub fn issuing(&self) -> String {
        self.issuing.pem()
    }

    /// The lists of the root and of the issuing authority, with these certificates of the latter.
    pub fn revocation_lists(&self, revoked: &[&Issued]) -> Result<[String; 2]> {
        let revoked = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = |revoked_certs| CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok([
            list(Vec::new()).signed_by(&self.root)?.pem()?,
            list(revoked.collect()).signed_by(&self.issuing)?.pem()?,
        ])
    }
}

/// ring makes no RSA keys, and OpenSSL does not read the Ed25519 keys that it makes (RFC 8410 §7, version 2).
fn of_openssl(algorithm: &[&str]) -> Result<KeyPair> {
    let made = netns::output(command("openssl").args(["genpkey", "-algorithm"]).args(algorithm))?;
    Ok(KeyPair::from_pem(&made)?)
}

fn params(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

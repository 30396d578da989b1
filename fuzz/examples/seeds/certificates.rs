//! Seeds of the certificate target: what an authority, its peers and its revocation list look like. The keys are those
//! of Ed25519, whose signatures need no randomness, so that the seeds are the same each time.

use core::net::IpAddr;

use gotthard_fuzz::certificate::{NAME, SIGNED, WITH_LIST};
use gotthard_ike::crypto::signature::Scheme;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
    RevokedCertParams, SanType, SerialNumber, SigningKey as _, date_time_ymd,
};

/// All, each with its name.
pub(super) fn all() -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
    let [root_key, between_key, peer_key] = [key(1)?, key(2)?, key(3)?];
    let signature = Scheme::Ed25519.emit(&peer_key.sign(SIGNED)?);

    let root = authority("root");
    let root_der = root.self_signed(&root_key)?.der().to_vec();
    let root = Issuer::new(root, root_key);
    let mut between = authority("between");
    between.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let between_der = between.signed_by(&between_key, &root)?.der().to_vec();
    let between = Issuer::new(between, between_key);
    let peer = peer()?;
    let of_root = peer.signed_by(&peer_key, &root)?.der().to_vec();
    let of_between = peer.signed_by(&peer_key, &between)?.der().to_vec();
    let [empty, revoking] = [list(Vec::new()).signed_by(&root)?, list(vec![revoked()]).signed_by(&root)?];

    let chain = [root_der.as_slice(), &signature, &of_root];
    Ok(vec![
        ("name", input(0, &chain)),
        ("address", input(1, &chain)),
        ("mail", input(2, &chain)),
        ("subject", input(3, &chain)),
        ("intermediate", input(0, &[&root_der, &signature, &of_between, &between_der])),
        ("listed", input(WITH_LIST, &[&root_der, &signature, &of_root, empty.der()])),
        ("revoked", input(WITH_LIST, &[&root_der, &signature, &of_root, revoking.der()])),
    ])
}

/// Choices, and parts behind their lengths.
fn input(choices: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut input = vec![choices];
    for part in parts {
        input.extend(u16::try_from(part.len()).expect("a short part").to_be_bytes());
        input.extend_from_slice(part);
    }
    input
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(2));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = named(name);
    params
}

fn peer() -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new([NAME.to_owned()])?;
    params.subject_alt_names.push(SanType::IpAddress(IpAddr::from([192, 0, 2, 1])));
    params.subject_alt_names.push(SanType::Rfc822Name(format!("gateway@{NAME}").try_into()?));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    params.serial_number = Some(SERIAL.into());
    params.distinguished_name = named("gateway");
    Ok(params)
}

fn list(revoked_certs: Vec<RevokedCertParams>) -> CertificateRevocationListParams {
    CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2036, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

fn revoked() -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from(SERIAL),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CountryName, "CH");
    names.push(DnType::CommonName, name);
    names
}

/// A key made of one octet, in PKCS #8 (RFC 8410 §7).
fn key(octet: u8) -> Result<KeyPair, Error> {
    let mut der = PKCS8.to_vec();
    der.extend([octet; 32]);
    KeyPair::try_from(der)
}

/// What stands before an Ed25519 key: SEQUENCE { 0, { id-Ed25519 }, OCTET STRING { OCTET STRING …
const PKCS8: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

const SERIAL: u64 = 7;

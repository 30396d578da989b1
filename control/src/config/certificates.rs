//! `auth = "cert"` of a connection: its certificate, key and authorities, from files in PEM (or DER) to credentials.

use core::time::Duration;
use std::sync::Arc;

use gotthard_ike::codec::payload::id::Identity;
use gotthard_ike::config::Credentials;
use gotthard_ike::crypto::certificate::{self, Trust, Trusted};
use gotthard_ike::crypto::signature::PrivateKey;
use ring::rand::SystemRandom;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::document::{Table, Value};
use super::secret::{FileKind, SecretSource};

/// What a connection with certificates proves, and whom it believes.
#[derive(Clone)]
pub struct Certificates {
    /// Certificate, key and authorities.
    pub credentials: Arc<Credentials>,
    /// The names of the files, as they are written.
    files: [Option<String>; 4],
    /// The ends of the revocation lists, since 1970.
    lists_end: Vec<Duration>,
}

/// Two are equal where they name the same files: what those hold may be renewed, and concerns the next IKE SA.
impl PartialEq for Certificates {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl core::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Certificates").field(&self.files).finish()
    }
}

impl Certificates {
    /// Reads `cert`, `key`, `ca` and `crl` of a connection; every mistake in them is reported.
    pub(super) fn read(table: &Table<'_>, source: &dyn SecretSource) -> Option<Self> {
        let files = Files { table, source };
        let chain = files.required("cert", CERT_REMEDY, FileKind::Certificates, certificates);
        let key = files.required("key", KEY_REMEDY, FileKind::PrivateKey, private_key);
        let ca = files.required("ca", CA_REMEDY, FileKind::Certificates, certificates);
        let crl = table.value("crl");
        let lists = match &crl {
            Some(value) => files.read(value, FileKind::RevocationLists, lists)?,
            None => Vec::new(),
        };
        let (chain, key, ca) = (chain?, key?, ca?);
        let trust = match Trust::new(&ca, &lists) {
            Ok(trust) => Arc::new(trust),
            Err(error) => {
                let key = if error.what == Trusted::List { "crl" } else { "ca" };
                return table.value(key)?.refuse(error.to_string(), REPLACE_REMEDY);
            }
        };
        let Some(credentials) = Credentials::new(chain, Arc::new(key), trust) else {
            return table.value("key")?.refuse("is not the key of the certificate in `cert`", KEY_REMEDY);
        };
        let name = |key: &'static str| table.value(key).and_then(|value| value.word().map(str::to_owned));
        Some(Self {
            credentials: Arc::new(credentials),
            files: [name("cert"), name("key"), name("ca"), name("crl")],
            lists_end: lists.iter().filter_map(|der| certificate::next_update(der)).collect(),
        })
    }

    /// The identity that a tunnel shows: one that is written must be in the certificate; else the certificate's subject.
    pub(super) fn local_id(
        &self,
        written: Option<(Identity, Value<'_>)>,
        table: &Table<'_>,
    ) -> Option<Identity> {
        let own = self.own();
        match written {
            Some((identity, _)) if certificate::has_identity(own, &identity) => Some(identity),
            Some((identity, value)) => {
                let has = certificate::subject(own).map_or("no subject".to_owned(), |name| name.to_string());
                value.refuse(
                    format!("{identity} is not in the certificate in `cert`, whose subject is {has}"),
                    "write a name or an address that is a subject alternative name, or the subject, or remove the key",
                )
            }
            None => {
                let subject = certificate::subject(own);
                if subject.is_none() {
                    table
                        .missing("local_id", "write a name or address of the certificate: it has no subject");
                }
                subject
            }
        }
    }

    /// The end of our certificate, since 1970.
    pub(super) fn end(&self) -> Option<Duration> {
        certificate::not_after(self.own())
    }

    /// The ends of the revocation lists, since 1970.
    pub(super) fn lists_end(&self) -> &[Duration] {
        &self.lists_end
    }

    fn own(&self) -> &[u8] {
        self.credentials.chain().first().map(Vec::as_slice).unwrap_or_default()
    }
}

/// Keys of a connection that only certificates need.
pub(super) fn refuse_without(table: &Table<'_>) {
    for key in ["cert", "key", "ca", "crl"] {
        if let Some(value) = table.value(key) {
            value.refuse::<()>("is for auth = \"cert\" only", "write auth = \"cert\", or remove the key");
        }
    }
}

/// The files that a connection names.
struct Files<'t, 'a> {
    table: &'t Table<'a>,
    source: &'t dyn SecretSource,
}

impl<'a> Files<'_, 'a> {
    fn required<T>(
        &self,
        key: &'static str,
        remedy: &str,
        kind: FileKind,
        parse: impl FnOnce(&[u8]) -> Result<T, Unreadable>,
    ) -> Option<T> {
        self.table.require(key, remedy, |value| self.read(value, kind, parse))
    }

    fn read<T>(
        &self,
        value: &Value<'a>,
        kind: FileKind,
        parse: impl FnOnce(&[u8]) -> Result<T, Unreadable>,
    ) -> Option<T> {
        let file = value.string(kind.remedy())?;
        let octets = match self.source.read(value.place().file(), file, kind) {
            Ok(octets) => octets,
            Err(error) => return value.refuse(error.problem, error.remedy),
        };
        match parse(&octets) {
            Ok(parsed) => Some(parsed),
            Err(Unreadable(problem, remedy)) => value.refuse(problem, remedy),
        }
    }
}

/// Why a file is refused, and what to do.
struct Unreadable(&'static str, &'static str);

fn certificates(octets: &[u8]) -> Result<Vec<Vec<u8>>, Unreadable> {
    if !is_pem(octets) {
        return Ok(vec![octets.to_vec()]);
    }
    let certificates: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(octets).collect();
    match certificates {
        Ok(found) if !found.is_empty() => Ok(found.iter().map(|der| der.to_vec()).collect()),
        Ok(_) => Err(Unreadable("has no certificate", "write the name of a file with BEGIN CERTIFICATE")),
        Err(_) => Err(Unreadable("is broken PEM", REPLACE_REMEDY)),
    }
}

fn lists(octets: &[u8]) -> Result<Vec<Vec<u8>>, Unreadable> {
    if !is_pem(octets) {
        return Ok(vec![octets.to_vec()]);
    }
    let lists: Result<Vec<CertificateRevocationListDer<'_>>, _> =
        CertificateRevocationListDer::pem_slice_iter(octets).collect();
    match lists {
        Ok(found) if !found.is_empty() => Ok(found.iter().map(|der| der.to_vec()).collect()),
        Ok(_) => Err(Unreadable("has no revocation list", "write the name of a file with BEGIN X509 CRL")),
        Err(_) => Err(Unreadable("is broken PEM", REPLACE_REMEDY)),
    }
}

fn private_key(octets: &[u8]) -> Result<PrivateKey, Unreadable> {
    let pem = PrivateKeyDer::from_pem_slice(octets).map_err(|_| Unreadable("has no private key", PKCS8))?;
    let der = Zeroizing::new(pem);
    if matches!(*der, PrivateKeyDer::Sec1(_)) {
        return Err(Unreadable("has an EC key that is not in PKCS #8", PKCS8));
    }
    PrivateKey::from_der(der.secret_der(), Arc::new(SystemRandom::new()))
        .ok_or(Unreadable("has a key of a kind that is not possible", KEY_KINDS))
}

fn is_pem(octets: &[u8]) -> bool {
    octets.windows(PEM_MARK.len()).any(|window| window == PEM_MARK)
}

const PEM_MARK: &[u8] = b"-----BEGIN ";
const REPLACE_REMEDY: &str = "fetch the file again from the authority";
const PKCS8: &str = "convert it: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW";
const KEY_KINDS: &str =
    "use a key of P-256, P-384, Ed25519 or RSA with 2048 to 4096 bits, and a certificate for it";
const CERT_REMEDY: &str =
    "write the file of our certificate, and those between it and the authority: cert = \"gw.pem\"";
const KEY_REMEDY: &str =
    "write the file of the certificate's private key, of mode 0640 or less: key = \"gw.key\"";
const CA_REMEDY: &str =
    "write the file of the authorities that the peer's certificate leads to: ca = \"ca.pem\"";

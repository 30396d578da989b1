//! `auth = "cert"`: the files of a connection, what is refused about them, and what `check` warns of.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod issued;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use gotthard::config::model::TunnelAuth;
use gotthard::config::{ConfigErrors, Loaded, lint, load};
use issued::{Issued, revocation_list_until};
use tempfile::TempDir;

#[test]
fn certificate_key_and_authority_are_read_from_files() {
    let loaded = read(&Files::good()).unwrap();
    assert_eq!(lint::lint(&loaded).iter().map(|warning| &warning.key).collect::<Vec<_>>(), [ONE_TUNNEL]);
    let tunnel = &loaded.config.connections[0].tunnels[0];
    let TunnelAuth::Certificates(certificates) = &tunnel.auth else { panic!("{tunnel:?}") };
    assert_eq!(certificates.credentials.chain().len(), 1);
    assert_eq!(certificates.credentials.trust().key_hashes().len(), 20);
    assert_eq!(
        tunnel.local_id.as_ref().unwrap().to_string(),
        "CN=gw.example.org",
        "the subject is the default"
    );
}

#[test]
fn an_identity_must_be_in_the_certificate() {
    for identity in ["gw.example.org", "192.0.2.7", "CN=gw.example.org"] {
        let loaded = read(&Files { tunnel: format!("local_id = \"{identity}\""), ..Files::good() }).unwrap();
        let shown = loaded.config.connections[0].tunnels[0].local_id.as_ref().unwrap().to_string();
        assert_eq!(shown, identity);
    }
    for identity in ["other.example.org", "192.0.2.8", "CN=other", "keyid:x", "a@gw.example.org"] {
        let files = Files { tunnel: format!("local_id = \"{identity}\""), ..Files::good() };
        expect_refused(&files, "connection.c.tunnel[1].local_id", "is not in the certificate");
    }
}

#[test]
fn each_file_is_refused_for_what_is_wrong_with_it() {
    let good = Files::good;
    let empty = || String::from("nothing\n");
    expect_refused(
        &Files { cert: empty(), ..good() },
        "connection.c.key",
        "is not the key of the certificate",
    );
    expect_refused(&Files { cert: good().key, ..good() }, "connection.c.cert", "has no certificate");
    expect_refused(&Files { key: empty(), ..good() }, "connection.c.key", "has no private key");
    expect_refused(&Files { key: SEC1.to_owned(), ..good() }, "connection.c.key", "PKCS #8");
    expect_refused(&Files { ca: empty(), ..good() }, "connection.c.ca", "certificate 1 cannot be used");
    expect_refused(&Files { crl: Some(empty()), ..good() }, "connection.c.crl", "revocation list 1 cannot");
    expect_refused(&Files { crl: Some(good().cert), ..good() }, "connection.c.crl", "has no revocation list");
    let other_key = good().key;
    expect_refused(&Files { key: other_key, ..good() }, "connection.c.key", "is not the key");
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let folder = Files::good().write();
    fs::set_permissions(folder.path().join("gw.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let errors = load(&folder.path().join("gotthard.toml")).unwrap_err();
    assert!(
        errors.to_string().contains("connection.c.key") && errors.to_string().contains("chmod 0640"),
        "{errors}"
    );
}

#[test]
fn pre_shared_keys_and_certificates_are_not_mixed() {
    let with_psk = Files { tunnel: "psk = \"abcdefgh\"".to_owned(), ..Files::good() };
    expect_refused(&with_psk, "connection.c.tunnel[1].psk", "is there beside auth = \"cert\"");
    let without = Files { auth: "psk", tunnel: "psk = \"abcdefgh\"".to_owned(), ..Files::good() };
    expect_refused(&without, "connection.c.cert", "is for auth = \"cert\" only");
}

#[test]
fn check_warns_of_what_ends_soon_or_has_ended() {
    expect_warning(&Files::until(2020), "connection.c.cert", "the certificate expired");
    let list = Files { crl: Some(revocation_list_until(2021)), ..Files::good() };
    expect_warning(&list, "connection.c.crl", "a revocation list expired");
}

/// The next IKE SA is made with what the files hold then; the SAs of now need not be given up for it.
#[test]
fn renewed_files_are_no_other_configuration() {
    let (before, after) = (read(&Files::good()).unwrap(), read(&Files::good()).unwrap());
    assert_eq!(before.config, after.config);
    let other = Files { crl: Some(revocation_list_until(2100)), ..Files::good() };
    assert_ne!(before.config, read(&other).unwrap().config);
}

fn expect_refused(files: &Files, key: &str, problem: &str) {
    let errors = read(files).expect_err(problem).0;
    let found = errors.iter().any(|error| error.key == key && error.problem.contains(problem));
    assert!(found, "{key}: {problem}: {errors:?}");
    assert!(errors.iter().all(|error| error.line > 0 && !error.remedy.is_empty()), "{errors:?}");
}

fn expect_warning(files: &Files, key: &str, problem: &str) {
    let warnings = lint::lint(&read(files).unwrap());
    let found = warnings.iter().any(|warning| warning.key == key && warning.problem.contains(problem));
    assert!(found, "{key}: {problem}: {warnings:?}");
}

fn read(files: &Files) -> Result<Loaded, ConfigErrors> {
    load(&files.write().path().join("gotthard.toml"))
}

/// A configuration with one tunnel, and its files.
struct Files {
    auth: &'static str,
    cert: String,
    key: String,
    ca: String,
    crl: Option<String>,
    /// Further keys of the tunnel.
    tunnel: String,
}

impl Files {
    fn good() -> Self {
        Self::until(2100)
    }

    /// With a certificate that ends in that year.
    fn until(year: i32) -> Self {
        let Issued { cert, key, ca } = Issued::until(year);
        Self { auth: "cert", cert, key, ca, crl: None, tunnel: String::new() }
    }

    fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let crl = if self.crl.is_some() { "crl = \"crl.pem\"\n" } else { "" };
        let text = format!(
            "[connection.c]\nrouting = \"static\"\nremote = [\"10.200.0.0/16\"]\nauth = \"{}\"\ncert = \"gw.pem\"\n\
             key = \"gw.key\"\nca = \"ca.pem\"\n{crl}[[connection.c.tunnel]]\nname = \"1\"\npeer = \"198.51.100.11\"\n\
             inside = \"169.254.10.2/30\"\n{}\n",
            self.auth, self.tunnel
        );
        let files =
            [("gotthard.toml", &text), ("gw.pem", &self.cert), ("gw.key", &self.key), ("ca.pem", &self.ca)];
        for (name, text) in files.into_iter().chain(self.crl.iter().map(|crl| ("crl.pem", crl))) {
            fs::write(folder.path().join(name), text).unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        folder
    }
}

/// What every connection with one tunnel is warned of.
const ONE_TUNNEL: &str = "connection.c.tunnel";
/// As `openssl ecparam -genkey` writes it.
const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";

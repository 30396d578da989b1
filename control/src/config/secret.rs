//! The files that a configuration names: keys and who may read them, certificates, and how large each may be.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Where the files that a configuration names are read from.
pub trait SecretSource {
    /// What is in `file`, as `config_file` names it.
    fn read(&self, config_file: &Path, file: &str, kind: FileKind)
    -> Result<Zeroizing<Vec<u8>>, SecretError>;
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A pre-shared key: the whole file, without the line breaks at its end.
    PresharedKey,
    /// The password of a BGP session: as a pre-shared key.
    BgpPassword,
    /// A private key in PEM.
    PrivateKey,
    /// Certificates.
    Certificates,
    /// Revocation lists.
    RevocationLists,
}

impl FileKind {
    /// What to write in the configuration.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::PresharedKey => "write the name of a file that holds the pre-shared key and nothing else",
            Self::BgpPassword => "write the name of a file that holds the password and nothing else",
            Self::PrivateKey => "write the name of a file that holds a private key in PEM",
            Self::Certificates => "write the name of a file that holds certificates in PEM",
            Self::RevocationLists => "write the name of a file that holds revocation lists in PEM or DER",
        }
    }

    const fn is_secret(self) -> bool {
        matches!(self, Self::PresharedKey | Self::BgpPassword | Self::PrivateKey)
    }

    /// Octets at most. The clouds take pre-shared keys of 64 to 128; a CA with many revoked certificates has a long list.
    const fn max_len(self) -> usize {
        match self {
            Self::PresharedKey | Self::BgpPassword => 1024,
            Self::PrivateKey => 16 * 1024,
            Self::Certificates => 256 * 1024,
            Self::RevocationLists => 4 * 1024 * 1024,
        }
    }
}

/// Why a secret file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretError {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// Files; a relative name is looked up beside the configuration file that has it, `credential:NAME` among those that systemd
/// loaded for the service (systemd.exec(5), LoadCredential=).
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSecrets;

impl SecretSource for FileSecrets {
    fn read(
        &self,
        config_file: &Path,
        file: &str,
        kind: FileKind,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let path = path_of(config_file, file, &credentials())?;
        let refused = |problem: String| SecretError { problem, remedy: kind.remedy().to_owned() };
        let cannot_read = |error: std::io::Error| SecretError {
            problem: format!("{}: {error}", path.display()),
            remedy: remedy_of(&error, file, kind),
        };
        // A pipe must be refused below, not waited for.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let open =
            OpenOptions::new().read(true).custom_flags(nonblocking).open(&path).map_err(cannot_read)?;
        // Of the open file, so that it cannot be exchanged between the check and the reading.
        let found = open.metadata().map_err(cannot_read)?;
        if !found.is_file() {
            return Err(refused(format!("{} is no regular file", path.display())));
        }
        if kind.is_secret() {
            check(&path, &found, rustix::process::geteuid().as_raw())?;
        }
        let max = kind.max_len();
        // Room for the whole file, so that no copy of a secret is left behind by growth.
        let room = usize::try_from(found.len()).unwrap_or(max).min(max) + 1;
        let mut octets = Zeroizing::new(Vec::with_capacity(room));
        open.take(max as u64 + 1).read_to_end(&mut octets).map_err(cannot_read)?;
        if octets.len() > max {
            return Err(refused(format!("{} is longer than {max} octets", path.display())));
        }
        if matches!(kind, FileKind::PresharedKey | FileKind::BgpPassword) {
            let end = length_of_key(&octets);
            octets.truncate(end);
        }
        Ok(octets)
    }
}

/// Files, and the folders that they were read from.
#[derive(Debug, Default)]
pub(super) struct NotedSecrets {
    pub(super) folders: RefCell<BTreeSet<PathBuf>>,
}

impl SecretSource for NotedSecrets {
    fn read(
        &self,
        config_file: &Path,
        file: &str,
        kind: FileKind,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let octets = FileSecrets.read(config_file, file, kind)?;
        let path = path_of(config_file, file, &credentials())?;
        self.folders.borrow_mut().extend(path.parent().map(Path::to_path_buf));
        Ok(octets)
    }
}

/// Where a file is that a configuration names.
fn path_of(config_file: &Path, file: &str, credentials: &Path) -> Result<PathBuf, SecretError> {
    let Some(name) = file.strip_prefix(CREDENTIAL) else {
        return Ok(config_file.parent().map_or_else(|| PathBuf::from(file), |folder| folder.join(file)));
    };
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(SecretError {
            problem: "names no credential".to_owned(),
            remedy: "write credential:NAME, with the NAME of a LoadCredential=NAME:FILE of the service"
                .to_owned(),
        });
    }
    Ok(credentials.join(name))
}

/// The folder of the credentials: of the service that we are, or of the one that runs beside a command.
fn credentials() -> PathBuf {
    std::env::var_os(CREDENTIALS_VARIABLE).map_or_else(|| SERVICE_CREDENTIALS.into(), PathBuf::from)
}

/// What to do where a file cannot be read.
fn remedy_of(error: &std::io::Error, file: &str, kind: FileKind) -> String {
    if let Some(name) = file.strip_prefix(CREDENTIAL) {
        return format!(
            "give the service LoadCredential={name}:FILE (systemctl edit gotthard) and start it again"
        );
    }
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return "keep it in a folder that the daemon read when it started, such as the configuration's, or start the daemon again"
            .to_owned();
    }
    kind.remedy().to_owned()
}

/// For text from anywhere: no file is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

impl SecretSource for NoSecrets {
    fn read(&self, _: &Path, _: &str, _: FileKind) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        Err(SecretError {
            problem: "no file is read here".to_owned(),
            remedy: "write the key itself: psk = \"…\"".to_owned(),
        })
    }
}

/// A secret belongs to root or to us, and nobody beyond its group can touch it.
fn check(path: &Path, found: &std::fs::Metadata, us: u32) -> Result<(), SecretError> {
    let path = path.display();
    if found.uid() != 0 && found.uid() != us {
        return Err(SecretError {
            problem: format!("{path} belongs to user {}", found.uid()),
            remedy: format!("make it root's: chown root {path}"),
        });
    }
    let mode = found.mode() & 0o7777;
    if mode & !ALLOWED_MODE != 0 {
        return Err(SecretError {
            problem: format!("{path} has mode {mode:04o}, wider than {ALLOWED_MODE:04o}"),
            remedy: format!(
                "keep others from reading it: chmod 0640 {path} (and change the key if they could)"
            ),
        });
    }
    Ok(())
}

/// Length without the line breaks at the end: editors and `echo` write one, and it is no part of the key.
fn length_of_key(secret: &[u8]) -> usize {
    secret.iter().rposition(|octet| !b"\r\n".contains(octet)).map_or(0, |last| last + 1)
}

/// The widest mode of a secret file.
const ALLOWED_MODE: u32 = 0o640;
/// Before the name of a credential.
const CREDENTIAL: &str = "credential:";
/// Set by systemd for a service that has credentials.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Where systemd keeps them, for root's commands beside the service.
const SERVICE_CREDENTIALS: &str = "/run/credentials/gotthard.service";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_looked_up_by_its_name_and_leads_nowhere_else() {
        let at = |file: &str| path_of(Path::new("/etc/gotthard/gotthard.toml"), file, Path::new("/run/c"));
        assert_eq!(at("credential:aws-1"), Ok("/run/c/aws-1".into()));
        assert_eq!(at("aws-1.psk"), Ok("/etc/gotthard/aws-1.psk".into()));
        assert_eq!(at("/srv/aws-1.psk"), Ok("/srv/aws-1.psk".into()));
        for wrong in ["credential:", "credential:../shadow", "credential:.", "credential:a/b"] {
            assert!(at(wrong).is_err_and(|error| error.remedy.contains("LoadCredential=")), "{wrong}");
        }
    }
}

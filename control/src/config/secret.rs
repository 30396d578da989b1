//! Pre-shared keys from files: who may read them, and what of the file is the key.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Where the secret files of a configuration are read from.
pub trait SecretSource {
    /// The secret in `file`, as `config_file` names it.
    fn read(&self, config_file: &Path, file: &str) -> Result<Zeroizing<Vec<u8>>, SecretError>;
}

/// Why a secret file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretError {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// Files; a relative name is looked up beside the configuration file that has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSecrets;

impl SecretSource for FileSecrets {
    fn read(&self, config_file: &Path, file: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let path = config_file.parent().map_or_else(|| PathBuf::from(file), |folder| folder.join(file));
        let cannot_read = |error: std::io::Error| SecretError {
            problem: format!("{}: {error}", path.display()),
            remedy: FILE_REMEDY.to_owned(),
        };
        // A pipe must be refused below, not waited for.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let open =
            OpenOptions::new().read(true).custom_flags(nonblocking).open(&path).map_err(cannot_read)?;
        // Of the open file, so that it cannot be exchanged between the check and the reading.
        check(&path, &open.metadata().map_err(cannot_read)?, rustix::process::geteuid().as_raw())?;
        let mut secret = Zeroizing::new(Vec::with_capacity(MAX_SECRET + 1));
        open.take(MAX_SECRET as u64 + 1).read_to_end(&mut secret).map_err(cannot_read)?;
        if secret.len() > MAX_SECRET {
            return Err(SecretError {
                problem: format!("{} is longer than {MAX_SECRET} octets", path.display()),
                remedy: FILE_REMEDY.to_owned(),
            });
        }
        let end = length_of_key(&secret);
        secret.truncate(end);
        Ok(secret)
    }
}

/// For text from anywhere: no file is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

impl SecretSource for NoSecrets {
    fn read(&self, _: &Path, _: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        Err(SecretError {
            problem: "no file is read here".to_owned(),
            remedy: "write the key itself: psk = \"…\"".to_owned(),
        })
    }
}

/// A secret is a regular file of root or of us, and nobody beyond its group can touch it.
fn check(path: &Path, found: &std::fs::Metadata, us: u32) -> Result<(), SecretError> {
    let path = path.display();
    if !found.is_file() {
        return Err(SecretError {
            problem: format!("{path} is no regular file"),
            remedy: FILE_REMEDY.to_owned(),
        });
    }
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

const FILE_REMEDY: &str = "write the name of a file that holds the pre-shared key and nothing else";
/// The widest mode of a secret file.
const ALLOWED_MODE: u32 = 0o640;
/// Longest secret in octets; the clouds take 64 to 128.
const MAX_SECRET: usize = 1024;

//! What was found, put beside the configuration that runs: a file in `conf.d` for each connection, a file for each key.
//!
//! The whole is checked before anything is written, and each file is replaced at once, its keys before it: a crash or a full
//! disk leaves the configuration of before.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use similar::TextDiff;
use thiserror::Error;
use zeroize::Zeroizing;

use super::emit::{self, Keys};
use super::found::Found;
use crate::config::secret::{FileKind, FileSecrets, SecretError, SecretSource};
use crate::config::{self, ConfigErrors, Source};
use crate::whole_file;

/// Files to write, checked together with the configuration that they join.
#[derive(Debug)]
pub struct Plan {
    files: Vec<Planned>,
}

/// One file to write.
#[derive(Debug)]
struct Planned {
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
    mode: u32,
}

/// Why nothing was written.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The configuration would be invalid.
    #[error("with it the configuration would be invalid; nothing was written")]
    Invalid(#[source] ConfigErrors),
    /// A file cannot be written.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Plans the files of everything found that is in use, for the configuration at `config`.
///
/// # Errors
///
/// The configuration would be invalid with them.
pub fn plan(config: &Path, found: &Found) -> Result<Plan, ApplyError> {
    let folder = config.parent().unwrap_or(Path::new("")).join("conf.d");
    let is_new = !config.exists();
    let read = if is_new { config::sources_beside(config) } else { config::sources(config) };
    let mut sources = read.map_err(ApplyError::Invalid)?;
    let used: Vec<_> = found.connections.iter().filter(|one| one.unused.is_none()).collect();
    let paths: Vec<PathBuf> =
        used.iter().map(|one| folder.join(format!("{}.toml", emit::table_name(&one.name)))).collect();
    sources.retain(|source| !paths.iter().any(|path| path.display().to_string() == source.name));
    let mut gateway = !sources.iter().any(|source| source.has_table("gateway"));
    let mut plan = Plan { files: Vec::new() };
    if is_new {
        plan.files.push(Planned::new(config.to_owned(), MAIN_FILE.to_owned()));
    }
    let mut keys = BTreeMap::new();
    for (connection, path) in used.into_iter().zip(paths) {
        for (number, tunnel) in connection.tunnels.iter().enumerate() {
            let Some(psk) = &tunnel.psk else { continue };
            let path = folder.join(emit::key_file(connection, number));
            keys.insert(path.clone(), psk.0.clone());
            plan.files.push(Planned { path, text: psk.0.clone(), mode: KEY_MODE });
        }
        let one = Found { connections: vec![connection.clone()], remarks: found.remarks.clone() };
        let text = emit::emit(&one, core::mem::take(&mut gateway), Keys::Files);
        sources.push(Source { name: path.display().to_string(), text: Zeroizing::new(text.clone()) });
        plan.files.push(Planned::new(path, text));
    }
    config::parse_sources(&sources, &Overlay { keys }).map_err(ApplyError::Invalid)?;
    Ok(plan)
}

impl Plan {
    /// How the files of the configuration change, as `diff -u` shows it. Of a key only its file is named.
    pub fn difference(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let name = file.path.display().to_string();
            let before = Zeroizing::new(std::fs::read(&file.path).unwrap_or_default());
            if *before == *file.text {
                continue;
            }
            if file.mode == KEY_MODE {
                let what = if before.is_empty() { "a new key" } else { "another key" };
                text.extend([name.as_str(), ": ", what, "\n"]);
                continue;
            }
            let [before, after] = [&before, &file.text].map(|octets| String::from_utf8_lossy(octets));
            let difference = TextDiff::from_lines(before.as_ref(), after.as_ref());
            text += &difference.unified_diff().header(&name, &name).to_string();
        }
        text
    }

    /// Writes the files, and names them.
    ///
    /// # Errors
    ///
    /// One cannot be written; those after it are not.
    pub fn write(&self) -> Result<Vec<PathBuf>, ApplyError> {
        for file in &self.files {
            whole_file::write(&file.path, &file.text, file.mode)
                .map_err(|source| ApplyError::Write { path: file.path.clone(), source })?;
        }
        Ok(self.files.iter().map(|file| file.path.clone()).collect())
    }
}

impl Planned {
    /// A file of the configuration.
    fn new(path: PathBuf, text: String) -> Self {
        Self { path, text: Zeroizing::new(text.into_bytes()), mode: CONFIG_MODE }
    }
}

/// The keys that are about to be written, over the files that are there.
struct Overlay {
    keys: BTreeMap<PathBuf, Zeroizing<Vec<u8>>>,
}

impl SecretSource for Overlay {
    fn read(
        &self,
        config_file: &Path,
        file: &str,
        kind: FileKind,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let path = config_file.parent().unwrap_or(Path::new("")).join(file);
        self.keys.get(&path).map_or_else(|| FileSecrets.read(config_file, file, kind), |key| Ok(key.clone()))
    }
}

/// The configuration file itself, where there is none yet.
const MAIN_FILE: &str = "# The connections, and [gateway], are in conf.d.\n";
const CONFIG_MODE: u32 = 0o640;
const KEY_MODE: u32 = 0o600;

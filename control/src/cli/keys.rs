//! `gotthard keys export`: the keys of SAs under the names by which Wireshark looks for them. Without `debug_keys` there are
//! none.

use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;
use zeroize::Zeroizing;

use super::args::KeysExportArgs;
use super::check;
use super::exit::Exit;
use super::text;
use crate::whole_file;

/// Copies both tables to a folder, each of mode 0600.
pub(super) fn export(wanted: &KeysExportArgs) -> Exit {
    let loaded = match check::read(&wanted.config.config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    match copy(loaded.config.gateway.debug_keys.as_deref(), &wanted.folder, wanted.replace) {
        Ok([ike, esp]) => {
            let folder = text::line(&wanted.folder.display().to_string());
            println!("{folder}: the keys of {ike} IKE SAs and {esp} ESP SAs");
            eprintln!("who reads them reads the traffic: remove them when the capture is decrypted");
            Exit::Ok
        }
        Err(error) => {
            eprintln!("error: {}", text::lines(&error.to_string()));
            Exit::Failed
        }
    }
}

/// Why there is no export.
#[derive(Debug, Error)]
enum Refused {
    #[error(
        "the daemon writes no keys: gateway.debug_keys is not set\n  remedy: write debug_keys = \"FILE\" below [gateway], \
         `gotthard reload`, and rekey the tunnel that is to be read"
    )]
    NotWanted,
    #[error("{0} is there already\n  remedy: name another folder, or write --replace")]
    Exists(String),
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

/// How many lines each table has. Nothing is written unless both can be read.
fn copy(keys: Option<&Path>, folder: &Path, replace: bool) -> Result<[usize; 2], Refused> {
    let ike = keys.ok_or(Refused::NotWanted)?;
    let mut esp = ike.as_os_str().to_owned();
    esp.push(".esp");
    let failed = |path: &Path| {
        let shown = path.display().to_string();
        move |error| Refused::Io(shown, error)
    };
    let read = |path: &Path| fs::read(path).map(Zeroizing::new).map_err(failed(path));
    let tables = [(IKE_TABLE, read(ike)?), (ESP_TABLE, read(Path::new(&esp))?)];
    let paths = tables.each_ref().map(|(name, _)| folder.join(name));
    if let Some(found) = paths.iter().find(|path| !replace && fs::symlink_metadata(path).is_ok()) {
        return Err(Refused::Exists(found.display().to_string()));
    }
    for (path, (_, lines)) in paths.iter().zip(&tables) {
        whole_file::write(path, lines, MODE).map_err(failed(path))?;
    }
    Ok(tables.map(|(_, lines)| lines.split_inclusive(|octet| *octet == b'\n').count()))
}

/// The names of Wireshark's tables in a profile's folder.
const IKE_TABLE: &str = "ikev2_decryption_table";
const ESP_TABLE: &str = "esp_sa";
/// Its owner alone.
const MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn both_tables_are_copied_for_their_owner_alone_and_nothing_is_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, profile) = (folder.path().join("keys"), folder.path().join("profile"));
        fs::write(&keys, "a,b\n").unwrap();
        fs::write(folder.path().join("keys.esp"), "c\nd\n").unwrap();
        assert_eq!(copy(Some(&keys), &profile, false).unwrap(), [1, 2]);
        for (name, text) in [("ikev2_decryption_table", "a,b\n"), ("esp_sa", "c\nd\n")] {
            let path = profile.join(name);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        }
        assert!(matches!(copy(Some(&keys), &profile, false), Err(Refused::Exists(_))));
        assert_eq!(copy(Some(&keys), &profile, true).unwrap(), [1, 2]);
    }

    #[test]
    fn without_the_key_in_the_configuration_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let refused = copy(None, folder.path(), false).unwrap_err().to_string();
        assert!(refused.contains("gateway.debug_keys is not set"), "{refused}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_table_that_is_missing_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, profile) = (folder.path().join("keys"), folder.path().join("profile"));
        fs::write(&keys, "a,b\n").unwrap();
        assert!(
            matches!(copy(Some(&keys), &profile, false), Err(Refused::Io(path, _)) if path.ends_with("keys.esp"))
        );
        assert!(!profile.exists());
    }
}

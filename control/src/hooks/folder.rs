//! Which files of a folder are run: those that nobody but root or we could have put there.

use std::fs::{Metadata, symlink_metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a folder holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is run, in the order of the names.
    pub hooks: Vec<PathBuf>,
    /// What is not, and why: a line each.
    pub refused: Vec<String>,
}

/// Looks into a folder. Files whose name starts with a dot or ends with `~` are passed over: editors leave them.
pub fn scan(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    if let Err(why) = check(&std::fs::metadata(folder)?, rustix::process::geteuid().as_raw()) {
        found.refused.push(format!("{}: {why}: no hook of it is run", folder.display()));
        return Ok(found);
    }
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| {
        let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        !name.starts_with(b".") && !name.ends_with(b"~")
    });
    paths.sort();
    for path in paths {
        match inspect(&path) {
            Ok(()) if found.hooks.len() < MAX_HOOKS => found.hooks.push(path),
            Ok(()) => {
                found.refused.push(format!("{}: there are {MAX_HOOKS} hooks already", path.display()));
            }
            Err(why) => found.refused.push(format!("{}: {why}", path.display())),
        }
    }
    Ok(found)
}

fn inspect(path: &Path) -> Result<(), String> {
    // Not of what a link leads to: the folders on its way would have to be looked at as well.
    let file = symlink_metadata(path).map_err(|error| error.to_string())?;
    if file.is_symlink() {
        return Err("it is a symbolic link: copy the file".to_owned());
    }
    if !file.is_file() {
        return Err("it is no regular file".to_owned());
    }
    check(&file, rustix::process::geteuid().as_raw())?;
    if file.mode() & ANY_EXECUTE == 0 {
        return Err("it is not executable: chmod 0755 it, or move it away".to_owned());
    }
    Ok(())
}

/// Who may write it decides what we run.
fn check(found: &Metadata, us: u32) -> Result<(), String> {
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if owner != 0 && owner != us {
        return Err(format!("it belongs to user {owner}: make it root's"));
    }
    if mode & OTHERS_WRITE != 0 {
        return Err(format!("others can write it (mode {mode:04o}): chmod go-w it"));
    }
    Ok(())
}

/// Hooks of one folder: each may take its time.
const MAX_HOOKS: usize = 32;
const ANY_EXECUTE: u32 = 0o111;
/// The group's and everybody's.
const OTHERS_WRITE: u32 = 0o022;

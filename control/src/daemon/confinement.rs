//! The files that this daemon needs, at its start and at every reload: what [`crate::privileges`] leaves it.

use std::path::{Path, PathBuf};

use tracing::warn;

use crate::config::{Loaded, RunOptions};
use crate::privileges::Places;

/// The folders of the configuration, of the files that it names, of the socket, the state and the debug keys: a reload may
/// name other files in them.
pub(super) fn places(options: &RunOptions, loaded: &Loaded) -> Places {
    // It must be there to be allowed.
    if let Err(error) = std::fs::create_dir_all(&options.state) {
        warn!(path = %options.state.display(), %error, "the state folder cannot be made");
    }
    let gateway = &loaded.config.gateway;
    let configuration = [Some(folder(&options.config)), target(&options.config)].into_iter().flatten();
    Places {
        read: configuration.chain(loaded.folders.iter().cloned()).collect(),
        written: vec![options.state.clone()],
        added_to: gateway.debug_keys.iter().map(|file| folder(file)).collect(),
        cleared: vec![folder(&options.socket)],
    }
}

/// The folder of a file.
fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The folder of the file that a link leads to.
fn target(file: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(file).ok().map(|file| folder(&file))
}

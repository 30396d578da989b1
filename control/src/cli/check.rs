//! `gotthard check`.

use std::path::Path;

use super::exit::Exit;
use super::text;
use crate::config::{self, Loaded, lint};
use crate::counted::counted;

/// Reads, validates and lints; mistakes and warnings go to standard error, the sum to standard output.
pub(super) fn check(path: &Path) -> Exit {
    let loaded = match read(path) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let warnings = lint::lint(&loaded);
    for warning in &warnings {
        eprintln!("warning: {}", text::lines(&warning.to_string()));
    }
    println!(
        "{}: valid: {}, {}, {}",
        text::line(&path.display().to_string()),
        counted(loaded.config.connections.len() as u64, "connection", "connections"),
        counted(loaded.config.tunnels().count() as u64, "tunnel", "tunnels"),
        counted(warnings.len() as u64, "warning", "warnings"),
    );
    Exit::Ok
}

/// Reads and validates; mistakes go to standard error.
pub(super) fn read(path: &Path) -> Result<Loaded, Exit> {
    config::load(path).map_err(|errors| {
        for error in &errors.0 {
            eprintln!("error: {}", text::lines(&error.to_string()));
        }
        Exit::ConfigInvalid
    })
}

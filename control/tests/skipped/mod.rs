//! What a test could not run: said plainly, and collected where `GOTTHARD_SKIPPED` names a file.
#![allow(clippy::unwrap_used, reason = "a test's support may panic")]
#![allow(clippy::print_stderr, reason = "a test that cannot run says so")]

use std::fs;
use std::io::Write as _;

/// Says that a test could not run, and why.
pub(crate) fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    if let Some(file) = std::env::var_os("GOTTHARD_SKIPPED") {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        writeln!(file, "{test}: {why}").unwrap();
    }
}

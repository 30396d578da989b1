//! What the fuzz targets do with their bytes. A target fails by a panic.
//!
//! `cargo xtask fuzz` builds the programs in `src/bin` with libFuzzer. Built as anything else, each runs the files that
//! its command line names: so a finding is replayed, and debugged, without a fuzzer.

#![allow(clippy::missing_panics_doc, reason = "a panic is how every target says that it found something")]

mod config;
mod esp;
mod ike;
mod inner;

pub use config::config;
pub use esp::esp_decapsulate;
pub use ike::{ike_message, ike_sk};
pub use inner::inner_packet;

/// A target by its name, as its program and its folder in `seeds` have it.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 5] = [
    ("ike_message", ike_message),
    ("ike_sk", ike_sk),
    ("esp_decapsulate", esp_decapsulate),
    ("inner_packet", inner_packet),
    ("config", config),
];

/// Runs `target` on each file that the command line names.
pub fn replay(target: fn(&[u8])) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        target(&std::fs::read(path)?);
    }
    Ok(())
}

//! Configuration files: accepted, or refused with a place and a remedy.

use gotthard::config::lint::lint;
use gotthard::config::{NoSecrets, parse_str};

/// Reads `data` as a configuration file. Every mistake is reported with words that can be shown.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match parse_str(text, "fuzz.toml", &NoSecrets) {
        Ok(loaded) => drop(lint(&loaded)),
        Err(errors) => assert!(!errors.to_string().is_empty(), "a refusal without a reason"),
    }
}

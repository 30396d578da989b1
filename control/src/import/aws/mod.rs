//! AWS Site-to-Site VPN: XML, JSON around it, Terraform's, and the texts for devices.

mod json;
mod options;
mod text;
mod xml;

use super::error::Refused;
use super::found::Found;

/// Reads what AWS or a tool of its users hands out; each text describes connections of its own.
pub(super) fn read(texts: &[&str]) -> Result<Found, Refused> {
    let mut found = Found::default();
    for text in texts {
        let one = read_one(text)?;
        found.connections.extend(one.connections);
        found.remarks.extend(one.remarks);
    }
    Ok(found)
}

fn read_one(text: &str) -> Result<Found, Refused> {
    match text.trim_start_matches('\u{feff}').trim_start().chars().next() {
        Some('<') => Ok(Found::of(vec![xml::read(text)?])),
        Some('{' | '[') => json::read(text),
        _ => text::read(text),
    }
}

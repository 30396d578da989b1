//! What a cloud hands out about a VPN connection, read into a connection of ours.
//!
//! The file comes from a console, a pipeline or a mail: it is bounded, nothing in it is executed or fetched, and what is in
//! it reaches the configuration as values only, never as text. [`read`] takes it apart, [`emit`] writes what was found as
//! TOML, and [`apply`] puts that beside the configuration that runs.

mod answers;
pub mod apply;
mod aws;
mod azure;
pub mod emit;
mod error;
mod found;
mod gcp;
mod json;

pub use self::answers::Answers;
pub use self::error::Refused;
pub use self::found::{Found, FoundConnection, FoundTunnel};

/// The clouds whose files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// AWS Site-to-Site VPN.
    Aws,
    /// Azure VPN Gateway and Virtual WAN.
    Azure,
    /// Google Cloud HA VPN.
    Gcp,
}

/// Reads what a cloud has handed out; of some clouds that is more than one text.
///
/// # Errors
///
/// A text is too large, is of no known form, is cut off, or lacks what cannot be asked for elsewhere. Nothing of it is
/// taken then.
pub fn read(origin: Origin, texts: &[&str]) -> Result<Found, Refused> {
    if texts.iter().any(|text| text.len() > MAX_FILE) {
        return Err(Refused::TooLarge);
    }
    let found = match origin {
        Origin::Aws => aws::read(texts)?,
        Origin::Azure => azure::read(texts)?,
        Origin::Gcp => gcp::read(texts)?,
    };
    if found.connections.is_empty() {
        return Err(Refused::NoConnection);
    }
    Ok(found.bounded()?.told_apart())
}

/// Octets of a file: a hundred connections as AWS describes them.
pub const MAX_FILE: usize = 1 << 20;

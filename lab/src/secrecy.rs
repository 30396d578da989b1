//! What a gateway prints holds none of its keys. Its key file of the same run is the list of what must not appear.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::Gotthard;
use crate::gotthard::Config;

/// What a gateway must not show.
pub struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// The keys of all SAs that the gateway has had, and the pre-shared keys of its configuration.
    pub fn of(gateway: &Gotthard, config: &Config) -> Result<Self> {
        let mut secrets = keys(gateway)?;
        secrets.extend(config.tunnels.iter().map(|tunnel| tunnel.psk.clone().into_bytes()));
        Ok(Self(secrets))
    }

    /// The keys in the text of both key files of a gateway, and pre-shared keys.
    pub fn in_tables(tables: &[String], psks: &[&str]) -> Result<Self> {
        let mut secrets: Vec<Vec<u8>> = tables.iter().flat_map(|table| keys_in(table)).collect();
        ensure!(!secrets.is_empty(), "the key files hold none");
        secrets.extend(psks.iter().map(|psk| psk.as_bytes().to_vec()));
        Ok(Self(secrets))
    }

    /// Fails if a text holds one, and if there is no text.
    pub fn expect_absent(&self, place: &str, text: &str) -> Result<()> {
        ensure!(!text.is_empty(), "{place} is empty");
        for (index, secret) in self.0.iter().enumerate() {
            for form in forms(secret)? {
                ensure!(!holds(text.as_bytes(), &form), "secret {index} is in {place}, as {form:?}");
            }
        }
        Ok(())
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Every key in both files of a gateway.
fn keys(gateway: &Gotthard) -> Result<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    for path in gateway.key_files() {
        let before = keys.len();
        keys.extend(keys_of(&path)?);
        ensure!(keys.len() > before, "no keys in {}", path.display());
    }
    Ok(keys)
}

/// The words of hexadecimal digits that are longer than an SPI.
fn keys_of(path: &Path) -> Result<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(keys_in(&text))
}

fn keys_in(table: &str) -> Vec<Vec<u8>> {
    let words = table.split(['\n', ',', '"']).map(|word| word.trim_start_matches("0x"));
    words.filter(|word| word.len() > SPI_DIGITS).filter_map(unhex).collect()
}

/// How a secret would show in text: as it is, in hexadecimal, and as `Debug` prints octets. The beginning is enough.
fn forms(secret: &[u8]) -> Result<[Vec<u8>; 4]> {
    let head = secret.get(..HEAD).context("a secret is longer than that")?;
    let (mut hex, mut list) = (String::new(), String::new());
    for octet in head {
        write!(hex, "{octet:02x}")?;
        write!(list, "{octet}, ")?;
    }
    Ok([head.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes(), list.into_bytes()])
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let octet = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(octet).collect()
}

/// Octets of a secret that do not occur by chance.
const HEAD: usize = 8;
/// An SPI of IKE is shown on purpose.
const SPI_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() -> Result<()> {
        let secret = b"\x00\x01\xfe\xffpsk-and-more";
        for text in [
            "key=0001feff70736b2d616e64",
            "KEY=0001FEFF70736B2D616E64",
            "[0, 1, 254, 255, 112, 115, 107, 45, 97]",
        ] {
            assert!(forms(secret)?.iter().any(|form| holds(text.as_bytes(), form)), "{text}");
        }
        assert!(forms(secret)?.iter().any(|form| holds(b"a\x00\x01\xfe\xffpsk-", form)));
        assert!(!forms(secret)?.iter().any(|form| holds(b"psk-and-more", form)));
        Ok(())
    }
}

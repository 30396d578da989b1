//! Distinguished names (X.501), as an ID payload and a certificate hold them and as people write them.
//!
//! People write them in the order of the certificate, as `openssl x509 -subject` and strongSwan do: `C=CH, O=Alps, CN=a`.

use core::str::FromStr as _;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::name::Name;

/// The DER of a name that somebody wrote. `None`: it is none.
pub(super) fn parse(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_LEN {
        return None;
    }
    let parts = split(text)?;
    if parts.iter().any(|part| !is_attribute(part)) {
        return None;
    }
    // RFC 4514 has the last attribute first.
    let reversed: Vec<&str> = parts.into_iter().rev().collect();
    Name::from_str(&reversed.join(",")).ok()?.to_der().ok()
}

/// A name in the form that [`parse`] reads. `None`: its DER is broken, or a part of it has no attribute.
pub(super) fn text(der: &[u8]) -> Option<String> {
    let name = Name::from_der(der.get(..).filter(|der| der.len() <= MAX_LEN)?).ok()?;
    let parts: Vec<String> = name.iter_rdn().map(ToString::to_string).collect();
    let named = !parts.is_empty() && parts.iter().all(|part| !part.is_empty());
    named.then(|| parts.join(", "))
}

/// Whether two names are the same: attribute by attribute, without regard to case, to outer blanks and to which of
/// the string types of X.501 was used (RFC 5280 §7.1).
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    if a.len() > MAX_LEN || b.len() > MAX_LEN {
        return false;
    }
    let (Ok(a), Ok(b)) = (Name::from_der(a), Name::from_der(b)) else { return false };
    let (mut a, mut b) = (a.iter_rdn(), b.iter_rdn());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.len() == b.len() => {
                if !a.iter().zip(b.iter()).all(|(a, b)| a.oid == b.oid && value(a).eq(value(b))) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// The octets of a value, folded for comparison.
fn value(attribute: &AttributeTypeAndValue) -> impl Iterator<Item = u8> {
    attribute.value.value().trim_ascii().iter().map(u8::to_ascii_lowercase)
}

/// Splits at commas that are not escaped. `None`: the last escape escapes nothing.
fn split(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            parts.extend(text.get(start..at));
            start = at.saturating_add(1);
        }
        escaped = c == '\\' && !escaped;
    }
    parts.extend(text.get(start..));
    (!escaped).then(|| parts.into_iter().map(str::trim).collect())
}

/// `NAME=VALUE`, with a name of X.500 or the numbers of one.
fn is_attribute(part: &str) -> bool {
    part.split_once('=').is_some_and(|(name, value)| {
        !name.is_empty() && !value.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
    })
}

/// Octets of a name; those of certificates have some hundred.
const MAX_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_name_is_shown_as_it_was_written() {
        for name in ["C=CH, O=Alps, CN=tube-1", "CN=a", r"O=Alps\, Ltd, CN=x", "DC=org, DC=example, CN=b"] {
            assert_eq!(text(&parse(name).unwrap()).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "=", "a", "CN", "CN=", "=x", "CN=a,", "user@host=x", "NOSUCH=x", "CN=\\"] {
            assert_eq!(parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_name_without_attributes_has_no_text() {
        for der in [&[0x30, 0][..], &[0x30, 2, 0x31, 0], &[0x30, 4, 0x31, 0, 0x31, 0]] {
            assert_eq!(text(der), None, "{der:02x?}");
        }
    }

    #[test]
    fn names_differ_by_value_and_order_but_not_by_case_or_string_type() {
        let name = parse("C=CH, CN=Tube").unwrap();
        assert!(same(&name, &parse("C=ch,CN=tube").unwrap()));
        assert!(!same(&name, &parse("CN=Tube, C=CH").unwrap()));
        assert!(!same(&name, &parse("C=CH, CN=Tub").unwrap()));
        assert!(!same(&name, &parse("C=CH").unwrap()));
        let utf8 = name.iter().position(|octet| *octet == 0x0c).unwrap();
        let mut printable = name.clone();
        printable[utf8] = 0x13;
        assert!(same(&name, &printable));
        assert!(!same(&name, &name[1..]));
    }
}

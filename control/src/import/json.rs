//! JSON whose strings may be keys: wiped when it is dropped, and never quoted in an error.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::Refused;
use crate::config::model::Psk;

/// A document.
pub(super) struct Document(Value);

impl Document {
    /// Parses it. The parser bounds how deep it goes.
    pub(super) fn parse(text: &str, form: &'static str) -> Result<Self, Refused> {
        serde_json::from_str(text).map(Self).map_err(|error| Refused::Malformed {
            form,
            why: format!("line {}, column {}", error.line(), error.column()),
        })
    }

    /// What it is.
    pub(super) const fn root(&self) -> &Value {
        &self.0
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(entries) => entries.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An object, with what its values are called in errors.
#[derive(Clone, Copy)]
pub(super) struct Object<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Object<'a> {
    /// The object that a value is.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// The first of these keys that has a value.
    pub(super) fn get(self, keys: &[&str]) -> Option<&'a Value> {
        keys.iter().filter_map(|key| self.0.get(*key)).find(|value| !value.is_null())
    }

    /// An object inside.
    pub(super) fn object(self, keys: &[&str]) -> Option<Self> {
        self.get(keys).and_then(Self::of)
    }

    /// A text that is not empty.
    pub(super) fn text(self, keys: &[&str]) -> Option<&'a str> {
        self.get(keys)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// What a list has; of what is no list, nothing.
    pub(super) fn list(self, keys: &[&str]) -> &'a [Value] {
        self.get(keys).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A yes or no.
    pub(super) fn is(self, keys: &[&str]) -> bool {
        self.get(keys).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A number, also one that is written as a text.
    pub(super) fn number<N: TryFrom<u64> + core::str::FromStr>(self, keys: &[&str]) -> Option<N> {
        let value = self.get(keys)?;
        match value.as_u64() {
            Some(number) => N::try_from(number).ok(),
            None => value.as_str()?.trim().parse().ok(),
        }
    }

    /// A key.
    pub(super) fn psk(self, keys: &[&str]) -> Option<Psk> {
        self.text(keys).and_then(psk)
    }

    /// An address.
    pub(super) fn address(self, owner: &str, keys: &[&str]) -> Result<Option<IpAddr>, Refused> {
        self.text(keys).map(|text| address(owner, text)).transpose()
    }
}

/// The key that a text is; of one that is kept elsewhere the clouds show nothing, or asterisks.
pub(super) fn psk(text: &str) -> Option<Psk> {
    let key = text.trim();
    (!key.bytes().all(|octet| octet == b'*')).then(|| Psk(Zeroizing::new(key.as_bytes().to_vec())))
}

/// The address that a text is; one with a prefix length counts too.
pub(super) fn address(owner: &str, text: &str) -> Result<IpAddr, Refused> {
    let bare = text.split_once('/').map_or(text, |(address, _)| address);
    bare.trim().parse().map_err(|_| Refused::value(owner, "address", text))
}

/// The prefixes of a list of texts, or of a text with commas.
pub(super) fn prefixes<'a>(
    owner: &str,
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<IpNet>, Refused> {
    let parts = texts.into_iter().flat_map(|text| text.split(',')).map(str::trim);
    let prefix = |text: &str| {
        let parsed = text.parse::<IpNet>().map(|prefix| prefix.trunc());
        parsed.or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
    };
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(|text| prefix(text).map_err(|_| Refused::value(owner, "prefix", text))).collect()
}

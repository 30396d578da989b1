//! Azure VPN Gateway and Virtual WAN: the hub's download, what `az` shows, and the texts for devices.

mod connection;
mod policy;
mod text;
mod virtual_wan;

use serde_json::Value;

use super::error::Refused;
use super::found::Found;
use super::json::{Document, Object};

/// Reads what Azure hands out: a Virtual WAN configuration, or a connection with, best, its gateway and its local network
/// gateway in texts of their own.
pub(super) fn read(texts: &[&str]) -> Result<Found, Refused> {
    if let [text] = texts
        && !text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '['])
    {
        return text::read(text);
    }
    let documents: Vec<Document> =
        texts.iter().map(|text| Document::parse(text, "JSON")).collect::<Result<_, _>>()?;
    let mut objects = Vec::new();
    for document in &documents {
        collect(document.root(), &mut objects);
    }
    let sites: Vec<_> = objects.iter().filter(|object| object.get(&[virtual_wan::KEY]).is_some()).collect();
    if !sites.is_empty() {
        let mut found = Found::default();
        for site in sites {
            found.connections.extend(virtual_wan::read(*site)?);
        }
        return Ok(found);
    }
    connection::read(&objects)
}

/// Every object of the document, the outer before the inner.
fn collect<'a>(value: &'a Value, into: &mut Vec<Object<'a>>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
        Value::Object(entries) => {
            into.push(Object(entries));
            entries.values().for_each(|value| collect(value, into));
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A connection whose file does not name it.
const UNNAMED: &str = "azure";
const KNOWN: &str = "give the hub's VPN configuration, what the connection's Download configuration gives for any \
     device, or what `az network vpn-connection show` prints, with that of `az network vnet-gateway show` and `az network \
     local-gateway show` in files beside it";

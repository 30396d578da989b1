//! One value each: a string of the file becomes a thing of its type, or an error that shows how to write it.

use core::fmt::Display;
use core::ops::RangeInclusive;
use core::str::FromStr;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::document::Value;
use super::suggest;

/// One of a few words.
pub(super) fn choice<T: Copy>(value: &Value<'_>, choices: &[(&'static str, T)]) -> Option<T> {
    let words = || choices.iter().map(|&(word, _)| word);
    let quoted: Vec<String> = words().map(|word| format!("{word:?}")).collect();
    let possible = format!("write one of {}", quoted.join(", "));
    let written = value.string(&possible)?;
    if let Some(&(_, meant)) = choices.iter().find(|(word, _)| *word == written) {
        return Some(meant);
    }
    let hint = suggest::nearest(written, words()).map(|word| format!(" (did you mean {word:?}?)"));
    value.refuse(format!("{} is not possible", shown(written)), possible + &hint.unwrap_or_default())
}

/// An address that a host can have.
pub(super) fn address(value: &Value<'_>, example: &str) -> Option<IpAddr> {
    let remedy = format!("write an address, such as {example:?}");
    let written = value.string(&remedy)?;
    let Ok(address) = written.parse::<IpAddr>() else {
        return value.refuse(format!("{} is no IP address", shown(written)), remedy);
    };
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || broadcast {
        return value.refuse(format!("{address} is no address of a host"), remedy);
    }
    Some(address)
}

/// An address and a port to listen on; all addresses of the host may be meant.
pub(super) fn listen_address(value: &Value<'_>, example: &str) -> Option<SocketAddr> {
    let remedy = format!("write ADDRESS:PORT, such as {example:?}, or remove the key");
    let written = value.string(&remedy)?;
    match written.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => value.refuse("has no port", remedy),
        Ok(address) => Some(address),
        Err(_) => value.refuse(format!("{} is no address with a port", shown(written)), remedy),
    }
}

/// An address with its prefix length, host part and all.
pub(super) fn interface_address(value: &Value<'_>, example: &str) -> Option<IpNet> {
    let remedy = format!("write ADDRESS/LENGTH, such as {example:?}");
    let written = value.string(&remedy)?;
    match written.parse() {
        Ok(net) => Some(net),
        Err(_) => value.refuse(format!("{} is no address with a prefix length", shown(written)), remedy),
    }
}

/// Prefixes; no host bits, none twice.
pub(super) fn prefixes(value: &Value<'_>, example: &str) -> Option<Vec<IpNet>> {
    let remedy = format!("write a list of prefixes, such as [{example:?}]");
    let mut prefixes = Vec::new();
    let mut refused = false;
    for element in value.array(&remedy)? {
        match prefix(&element, &remedy) {
            Some(prefix) if prefixes.contains(&prefix) => {
                refused = true;
                element.refuse::<()>(format!("{prefix} is there twice"), "remove one of them");
            }
            Some(prefix) => prefixes.push(prefix),
            None => refused = true,
        }
    }
    (!refused).then_some(prefixes)
}

fn prefix(value: &Value<'_>, remedy: &str) -> Option<IpNet> {
    let written = value.string(remedy)?;
    let Ok(prefix) = written.parse::<IpNet>() else {
        return value.refuse(format!("{} is no prefix", shown(written)), remedy);
    };
    if prefix.addr() != prefix.network() {
        return value.refuse(
            format!("{prefix} has bits behind its length"),
            format!("write {:?}", prefix.trunc().to_string()),
        );
    }
    Some(prefix)
}

/// A time span such as `8h`, within bounds.
pub(super) fn duration(value: &Value<'_>, bounds: &RangeInclusive<Duration>) -> Option<Duration> {
    let (low, high) =
        (humantime::format_duration(*bounds.start()), humantime::format_duration(*bounds.end()));
    let remedy =
        format!("write a number with its unit (ms, s, m, h) in quotes, from \"{low}\" to \"{high}\"");
    let written = value.string(&remedy)?;
    match humantime::parse_duration(written) {
        Ok(duration) if bounds.contains(&duration) => Some(duration),
        Ok(_) => value.refuse(format!("{} is out of bounds", shown(written)), remedy),
        Err(_) => value.refuse(format!("{} is no time span", shown(written)), remedy),
    }
}

/// A list of suites, the preferred first; not empty, none twice.
pub(super) fn suites<T>(value: &Value<'_>, example: &str) -> Option<Vec<T>>
where
    T: FromStr<Err: Display> + PartialEq,
{
    let remedy = format!("write strongSwan's keywords, such as [{example:?}]");
    let mut suites = Vec::new();
    let mut refused = false;
    let elements = value.array(&remedy)?;
    if elements.is_empty() || elements.len() > MAX_SUITES {
        let problem = if elements.is_empty() { "is empty" } else { "has too many suites" };
        return value.refuse(problem, format!("{remedy}, 1 to {MAX_SUITES} of them, or remove the key"));
    }
    for element in elements {
        match element.string(&remedy).map(|written| (written, written.parse::<T>())) {
            Some((_, Ok(suite))) if !suites.contains(&suite) => suites.push(suite),
            Some((written, Ok(_))) => {
                refused = true;
                element.refuse::<()>(format!("{} is there twice", shown(written)), "remove one of them");
            }
            Some((written, Err(error))) => {
                refused = true;
                element.refuse::<()>(format!("{}: {error}", shown(written)), &remedy);
            }
            None => refused = true,
        }
    }
    (!refused).then_some(suites)
}

/// Whether a text can name a connection or a tunnel: it goes into logs, labels and commands, and into
/// keys, where a dot would part it.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// How a name must be, for remedies.
pub(super) const NAME_RULE: &str = "write 1 to 32 letters, digits, '_', '-', the first a letter or digit";

/// The name of a network device.
pub(super) fn interface(value: &Value<'_>) -> Option<String> {
    let remedy = "write 1 to 15 letters, digits, '_', '.', '-', the first a letter, such as \"gth0\"";
    let written = value.string(remedy)?;
    let good = (1..=MAX_INTERFACE).contains(&written.len())
        && written.starts_with(|c: char| c.is_ascii_alphabetic())
        && written.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    // Folders below /proc/sys/net/ipv4/conf that are no devices.
    if !good || ["all", "default"].contains(&written) {
        return value.refuse(format!("{} cannot name a network device", shown(written)), remedy);
    }
    Some(written.to_owned())
}

/// An AS number that a speaker can have (RFC 7607, RFC 6793 §9).
pub(super) fn asn(value: &Value<'_>) -> Option<u32> {
    let asn = value.integer(&(1..=u64::from(u32::MAX) - 1))?;
    match u32::try_from(asn) {
        Ok(AS_TRANS) | Err(_) => value.refuse(
            format!("{asn} is reserved"),
            "write your own AS number, such as 65010 (64512 to 65534 are private)",
        ),
        Ok(asn) => Some(asn),
    }
}

/// A string of the file in quotes, escaped and shortened: it may hold anything.
pub(super) fn shown(written: &str) -> String {
    if written.chars().count() <= MAX_SHOWN {
        return format!("{written:?}");
    }
    let start: String = written.chars().take(MAX_SHOWN).collect();
    format!("{start:?}…")
}

/// Longest name of a connection or tunnel.
const MAX_NAME: usize = 32;
/// IFNAMSIZ less its zero octet.
const MAX_INTERFACE: usize = 15;
/// More suites than anybody needs, few enough for one IKE_SA_INIT.
const MAX_SUITES: usize = 16;
/// Characters of a value that are shown.
const MAX_SHOWN: usize = 64;
/// Stands for a 4-octet AS number towards old speakers (RFC 6793 §9).
const AS_TRANS: u32 = 23_456;

//! strongSwan in the posture of a cloud's gateway, from the swanctl files that describe them.
//!
//! The files are read where they are (`GOTTHARD_SHARED`, else `../shared` beside the workspace). Where they are
//! missing, a connection of our own with the same addresses, identities and keys takes their place.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::Connection;

/// The AWS virtual private gateway: two endpoints, each with its pre-shared key, that answer and do not initiate.
///
/// One change: ESP always in UDP, because kernel-libipsec can nothing else.
pub fn aws() -> Result<String> {
    match described("aws-vgw-responder", &[ENDPOINTS, PSKS].concat())? {
        Some(text) => replace_once(&text, "encap = no ", "encap = yes "),
        None => Connection::render(&own_aws()),
    }
}

/// The first instance of an Azure VPN gateway: it initiates, and rekeys without a key exchange as its default policy
/// does.
///
/// Changes: an IKE policy of its user's, since by default it has group 2 only; ESP in UDP; a rekey of the child every
/// 5 s instead of seven hours, and of the IKE SA every 12 s.
pub fn azure(ike: &str) -> Result<String> {
    let Some(text) = described("azure-vpngw-mimic", &[AZURE_ENDPOINT, AZURE_PSK])? else {
        return Connection::render(&[own_azure(ike)]);
    };
    let mut text = without_section(&text, "az1 :")?;
    let policy = text.lines().find(|line| line.trim_start().starts_with("proposals = "));
    let policy = policy.context("no IKE proposals in the posture")?.to_owned();
    for (from, to) in [
        (policy.as_str(), format!("  proposals = {ike}\n  encap = yes")),
        ("rekey_time = 27360s", "rekey_time = 12s".to_owned()),
        ("over_time  = 1440s", "over_time = 12s".to_owned()),
        ("rekey_time = 25650s", "rekey_time = 5s".to_owned()),
        ("life_time  = 27000s", "life_time = 10s".to_owned()),
    ] {
        text = replace_once(&text, from, &to)?;
    }
    Ok(text)
}

/// The outer address of our gateway, as both endpoints know it.
pub const CUSTOMER_GATEWAY: &str = "203.0.113.10";
/// The outer addresses of the two endpoints.
pub const ENDPOINTS: [&str; 2] = ["198.51.100.11", "198.51.100.12"];
/// Their pre-shared keys.
pub const PSKS: [&str; 2] = ["exampleTunnelOne_0123456789.abcd", "exampleTunnelTwo_0123456789.abcd"];

/// The outer address of the Azure gateway's first instance.
pub const AZURE_ENDPOINT: &str = "198.51.100.21";
/// Its pre-shared key.
pub const AZURE_PSK: &str = "abc123-example";

/// What a gateway must know of a peer with user-space ESP: kernel-libipsec has a window of 128 packets, whatever
/// `replay_window` of the child says.
pub const USERSPACE_WINDOW: &str = "peer_replay_window = 128";

fn own_aws() -> Vec<Connection> {
    let connection = |index: usize| Connection {
        name: format!("tun{}", index + 1),
        local: ENDPOINTS[index].to_owned(),
        remote: CUSTOMER_GATEWAY.to_owned(),
        psk: PSKS[index].to_owned(),
        ike: "aes128-aes256-sha256-sha384-modp2048-ecp256, aes128gcm16-aes256gcm16-prfsha256-modp2048-ecp256"
            .to_owned(),
        esp: "aes128-aes256-sha256-sha384-modp2048-ecp256, aes128gcm16-aes256gcm16-modp2048-ecp256"
            .to_owned(),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "0.0.0.0/0".to_owned(),
        options: Vec::new(),
        child_options: Vec::new(),
    };
    vec![connection(0), connection(1)]
}

fn own_azure(ike: &str) -> Connection {
    Connection {
        name: "az0".to_owned(),
        local: AZURE_ENDPOINT.to_owned(),
        remote: CUSTOMER_GATEWAY.to_owned(),
        psk: AZURE_PSK.to_owned(),
        ike: ike.to_owned(),
        esp: "aes256gcm16, aes256-sha256".to_owned(),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "0.0.0.0/0".to_owned(),
        options: vec!["rekey_time = 12s".to_owned()],
        child_options: ["rekey_time = 5s", "life_time = 10s", "rand_time = 0", "start_action = start"]
            .map(str::to_owned)
            .to_vec(),
    }
}

/// The text of a posture, where there is one; fails unless it holds what the scenarios count on.
fn described(name: &str, needed: &[&str]) -> Result<Option<String>> {
    let path = shared().join(format!("emulation/{name}.swanctl.conf"));
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for needed in needed {
        if !text.contains(needed) {
            bail!("{}: no {needed}; the scenarios count on it", path.display());
        }
    }
    Ok(Some(text))
}

/// Cuts a section out, from its name to its closing brace.
fn without_section(text: &str, name: &str) -> Result<String> {
    let (before, section) = text.split_once(name).with_context(|| format!("no section {name}"))?;
    let mut depth = 0;
    let end = section.find(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == '}' && depth == 0
    });
    let rest = end.and_then(|end| section.get(end + 1..)).with_context(|| format!("{name} has no end"))?;
    Ok(format!("{before}{rest}"))
}

fn replace_once(text: &str, from: &str, to: &str) -> Result<String> {
    let count = text.matches(from).count();
    if count != 1 {
        bail!("`{from}` occurs {count} times in the posture, not once");
    }
    Ok(text.replace(from, to))
}

/// Where files are that others have published: `GOTTHARD_SHARED`, else `../shared` beside the workspace.
pub fn shared() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    std::env::var_os("GOTTHARD_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_cut_out_with_all_that_is_nested_in_it() -> Result<()> {
        let text = "a {\n  one : x {\n    c { d = 1 }\n  }\n  two : x { e { f = 2 } }\n}\n";
        assert_eq!(without_section(text, "one : x")?, "a {\n  \n  two : x { e { f = 2 } }\n}\n");
        assert!(without_section(text, "three").is_err());
        Ok(())
    }
}

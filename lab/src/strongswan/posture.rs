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
    let path = shared().join("emulation/aws-vgw-responder.swanctl.conf");
    if !path.exists() {
        return Connection::render(&own_aws());
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for needed in [ENDPOINTS, PSKS].concat() {
        if !text.contains(needed) {
            bail!("{}: no {needed}; the scenarios count on it", path.display());
        }
    }
    replace_once(&text, "encap = no ", "encap = yes ")
}

/// The outer address of our gateway, as both endpoints know it.
pub const CUSTOMER_GATEWAY: &str = "203.0.113.10";
/// The outer addresses of the two endpoints.
pub const ENDPOINTS: [&str; 2] = ["198.51.100.11", "198.51.100.12"];
/// Their pre-shared keys.
pub const PSKS: [&str; 2] = ["exampleTunnelOne_0123456789.abcd", "exampleTunnelTwo_0123456789.abcd"];

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
    };
    vec![connection(0), connection(1)]
}

fn replace_once(text: &str, from: &str, to: &str) -> Result<String> {
    let count = text.matches(from).count();
    if count != 1 {
        bail!("`{from}` occurs {count} times in the posture, not once");
    }
    Ok(text.replace(from, to))
}

fn shared() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    std::env::var_os("GOTTHARD_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from)
}

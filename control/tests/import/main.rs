//! Files of the clouds into connections of ours. Those in `files` are of the shapes that the clouds write, with addresses of
//! the documentation; published ones are read where they are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod applied;
mod aws;
mod azure;
mod gcp;
mod hostile;
mod published;
mod round_trip;
#[path = "../skipped/mod.rs"]
mod skipped;
mod terraform;

use gotthard::config::{Config, NoSecrets, parse_str};
use gotthard::import::emit::{Keys, emit};
use gotthard::import::{self, Answers, Found, FoundConnection, Origin};

/// What one text holds of one connection, as found.
fn one(origin: Origin, texts: &[&str]) -> FoundConnection {
    let found = import::read(origin, texts).unwrap();
    assert_eq!(found.connections.len(), 1);
    found.connections.into_iter().next().unwrap()
}

/// The configuration that is written of it.
fn config(found: &Found) -> Config {
    let text = emit(found, true, Keys::Inline);
    match parse_str(&text, "imported.toml", &NoSecrets) {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("{errors:?}\n{text}"),
    }
}

/// Peers, and addresses inside, in their order.
fn ends(found: &FoundConnection) -> Vec<(String, String, String)> {
    let shown = |value: Option<String>| value.unwrap_or_default();
    let tunnel = |tunnel: &import::FoundTunnel| {
        (
            tunnel.peer.to_string(),
            shown(tunnel.peer_inside.map(|address| address.to_string())),
            shown(tunnel.inside.map(|network| network.to_string())),
        )
    };
    found.tunnels.iter().map(tunnel).collect()
}

fn keys(found: &FoundConnection) -> Vec<Option<&str>> {
    let key = |tunnel: &import::FoundTunnel| {
        tunnel.psk.as_ref().map(|psk| core::str::from_utf8(&psk.0).unwrap().to_owned().leak() as &str)
    };
    found.tunnels.iter().map(key).collect()
}

fn remote(prefix: &str) -> Answers {
    Answers { remote: vec![prefix.parse().unwrap()], ..Answers::default() }
}

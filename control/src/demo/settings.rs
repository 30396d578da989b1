//! The configuration files of both sides: what an operator would write.

use core::fmt::Write as _;
use std::net::Ipv4Addr;

use zeroize::Zeroizing;

use super::network::{CLOUD_NETWORK, GATEWAY_NETWORK, WIRES, Wire};

/// Pre-shared keys for the two tunnels, made for this run.
pub(super) struct Keys([Zeroizing<String>; 2]);

impl Keys {
    /// Fresh ones from the operating system.
    pub(super) fn generate() -> anyhow::Result<Self> {
        Ok(Self([key()?, key()?]))
    }
}

/// The gateway's file: one connection to AWS.
pub(super) fn gateway(keys: &Keys) -> Zeroizing<String> {
    file("initiator", GATEWAY_NETWORK, CLOUD_NETWORK, keys, |wire| (wire.cloud, wire.gateway_inside))
}

/// The cloud's file: the same connection from its other end, waiting to be called.
pub(super) fn cloud(keys: &Keys) -> Zeroizing<String> {
    file("responder", CLOUD_NETWORK, GATEWAY_NETWORK, keys, |wire| (wire.gateway, wire.cloud_inside))
}

/// A file with both tunnels; `end` gives a wire's outer address of the peer and our inside address.
fn file(
    mode: &str,
    ours: &str,
    theirs: &str,
    keys: &Keys,
    end: impl Fn(&Wire) -> (Ipv4Addr, Ipv4Addr),
) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!(
        "[gateway]\nadvertise = [\"{ours}\"]\n\n\
         [connection.{CONNECTION}]\ncloud = \"aws\"\nmode = \"{mode}\"\nrouting = \"static\"\n\
         remote = [\"{theirs}\"]\n"
    ));
    for (wire, key) in WIRES.iter().zip(&keys.0) {
        let (peer, inside) = end(wire);
        text.push_str(&tunnel(wire.tunnel, peer, inside, key));
    }
    text
}

fn tunnel(name: &str, peer: Ipv4Addr, inside: Ipv4Addr, key: &str) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "\n[[connection.{CONNECTION}.tunnel]]\nname = \"{name}\"\npeer = \"{peer}\"\ninside = \"{inside}/30\"\n\
         psk = \"{key}\"\n"
    ))
}

fn key() -> anyhow::Result<Zeroizing<String>> {
    let mut octets = Zeroizing::new([0; KEY_LEN]);
    getrandom::fill(octets.as_mut_slice())?;
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY_LEN));
    for octet in octets.iter() {
        write!(text, "{octet:02x}")?;
    }
    Ok(text)
}

/// Name of the connection, on both sides.
pub(super) const CONNECTION: &str = "demo";
/// Octets of a pre-shared key, twice as many characters.
const KEY_LEN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_hold_and_name_each_other() {
        let keys = Keys::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let load = |text: &str| {
            let file = folder.path().join("gotthard.toml");
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            crate::config::load(&file).unwrap().config
        };
        let (gateway, cloud) = (load(&gateway(&keys)), load(&cloud(&keys)));
        for ((_, ours), (_, theirs)) in gateway.tunnels().zip(cloud.tunnels()) {
            assert_eq!((ours.peer_inside, &ours.auth), (theirs.inside.map(|net| net.addr()), &theirs.auth));
            assert_eq!(theirs.peer_inside, ours.inside.map(|net| net.addr()));
        }
        assert_ne!(gateway.connections[0].tunnels[0].auth, gateway.connections[0].tunnels[1].auth);
    }
}

//! A tunnel as the benches of IKEv2 configure it.

use std::net::IpAddr;

use gotthard_ike::config::{Auth, Encapsulation, Mode, PeerConfig};

/// What the end at `local` is told of the one at `remote`. `group` is the key exchange, in the words of a suite.
///
/// # Panics
///
/// Where there is no such group.
pub fn config(mode: Mode, local: IpAddr, remote: IpAddr, group: &str) -> PeerConfig {
    PeerConfig {
        mode,
        ike_suites: vec![format!("{IKE_SUITE}-{group}").parse().expect("a suite")],
        esp_suites: vec![ESP_SUITE.parse().expect("a suite")],
        encapsulation: Encapsulation::Udp,
        ..PeerConfig::new(local, remote, Auth::psk(PSK.as_bytes()))
    }
}

/// The key of every tunnel.
pub const PSK: &str = "correct horse battery staple";
/// The IKE suite without its group.
pub const IKE_SUITE: &str = "aes256gcm16-sha256";
/// The ESP suite.
pub const ESP_SUITE: &str = "aes256gcm16";

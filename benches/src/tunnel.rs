//! A tunnel as the benches of IKEv2 configure it.

use core::time::Duration;
use std::net::IpAddr;

use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::config::{Auth, Encapsulation, Mode, PeerConfig, Retransmit};
use gotthard_ike::limits;

/// What the end at `local` is told of the one at `remote`. `group` is the key exchange, in the words of a suite.
///
/// # Panics
///
/// Where there is no such group.
pub fn config(mode: Mode, local: IpAddr, remote: IpAddr, group: &str) -> PeerConfig {
    PeerConfig {
        mode,
        local,
        remote,
        local_id: local.into(),
        remote_id: remote.into(),
        auth: Auth::psk(PSK.as_bytes()),
        ike_suites: vec![format!("{IKE_SUITE}-{group}").parse().expect("a suite")],
        esp_suites: vec![ESP_SUITE.parse().expect("a suite")],
        ts_local: vec![TrafficSelector::any_v4()],
        ts_remote: vec![TrafficSelector::any_v4()],
        encapsulation: Encapsulation::Udp,
        dpd_interval: Duration::from_secs(10),
        retransmit: Retransmit::default(),
        ike_lifetime: Duration::from_hours(8),
        child_lifetime: Duration::from_hours(1),
        rekey_margin: Duration::from_secs(270),
        rekey_fuzz: 100,
        fragment_size: limits::FRAGMENT_SIZE,
        start_on_4500: false,
    }
}

/// The key of every tunnel.
pub const PSK: &str = "correct horse battery staple";
/// The IKE suite without its group.
pub const IKE_SUITE: &str = "aes256gcm16-sha256";
/// The ESP suite.
pub const ESP_SUITE: &str = "aes256gcm16";

//! What differs between the clouds' gateways, and why. A quirk of one cloud has its place here and nowhere else.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use gotthard_ike::suite::{EspSuite, IkeSuite};
use ipnet::IpNet;

use super::lifetimes::Lifetimes;

/// Whose gateway a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// AWS Site-to-Site VPN: virtual private gateway, transit gateway, Cloud WAN.
    Aws,
    /// Azure VPN Gateway and Virtual WAN, route-based.
    Azure,
    /// Google Cloud HA VPN.
    Gcp,
    /// Any other IKEv2 gateway; also one of ours.
    Generic,
}

/// Values that a connection has where its configuration is silent.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// IKE suites, the preferred first.
    pub suites: Vec<IkeSuite>,
    /// ESP suites, the preferred first.
    pub esp: Vec<EspSuite>,
    /// Cap of the inner MTU in octets.
    pub mtu: u16,
    /// When SAs are rekeyed and end.
    pub lifetimes: Lifetimes,
    /// The AS number of the cloud's side, where it has a fixed one.
    pub peer_asn: Option<u32>,
    /// The anti-replay window of the cloud's side in packets.
    pub peer_replay_window: u32,
}

/// Silence after which a peer is asked whether it lives; AWS asks as often.
pub const DPD_INTERVAL: Duration = Duration::from_secs(10);
/// Time between two probes inside a tunnel: three misses are noticed within a second.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(300);
/// Anti-replay window in packets: wide enough for what a cloud's many cores reorder at several Gbps.
pub const REPLAY_WINDOW: u32 = 8192;

impl Cloud {
    /// Every cloud, in the order that messages list them.
    pub const ALL: [Self; 4] = [Self::Aws, Self::Azure, Self::Gcp, Self::Generic];

    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Generic => "generic",
        }
    }

    /// The hold time that we propose, in seconds. Azure's gateways are fixed at 180; elsewhere it is AWS's, and the lower one
    /// of both ends counts.
    pub const fn hold_time(self) -> u16 {
        match self {
            Self::Azure => 180,
            Self::Aws | Self::Gcp | Self::Generic => 30,
        }
    }

    /// Prefixes that the cloud takes from us. A virtual private gateway of AWS ends the session above 100, a transit gateway
    /// above 1,000; Azure above 4,000.
    pub const fn max_advertised(self) -> usize {
        match self {
            Self::Aws | Self::Gcp => 100,
            Self::Azure => 4000,
            Self::Generic => 10_000,
        }
    }

    /// What a connection to this cloud has where its configuration is silent.
    pub fn preset(self) -> Preset {
        let row = match self {
            // AWS takes the lowest algorithm that both sides share and ignores our order, so that a second suite is
            // not a fallback but the one that is used. Its lifetimes are the defaults of both phases.
            Self::Aws => Row {
                suites: &["aes256gcm16-sha256-ecp256"],
                esp: &["aes256gcm16-ecp256"],
                mtu: MTU_OUTER_1500,
                lifetimes: Lifetimes::new(Duration::from_hours(8), Duration::from_hours(1)),
                peer_asn: Some(64_512),
                peer_replay_window: PEER_REPLAY_WINDOW,
            },
            // Azure's default policy knows group 2 only; these need a custom policy on its connection (DHGroup ECP256
            // or DHGroup14). Its default quick mode has no PFS, hence the suites without a group. It forwards no
            // fragments and drops what is larger than 1400 without a word. Its quick mode lives for 27,000 s or
            // 102,400,000 KB; the wide margin makes most rekeys ours, because those that Azure starts have no PFS.
            Self::Azure => Row {
                suites: &["aes256gcm16-sha384-ecp256", "aes256-sha256-ecp256", "aes256-sha256-modp2048"],
                esp: &["aes256gcm16-ecp256", "aes256gcm16-modp2048", "aes256gcm16", "aes256-sha256"],
                mtu: 1400,
                lifetimes: Lifetimes {
                    margin: Duration::from_mins(15),
                    bytes: Some(102_400_000 * 1024),
                    ..Lifetimes::new(Duration::from_hours(8), Duration::from_mins(450))
                },
                peer_asn: Some(65_515),
                peer_replay_window: PEER_REPLAY_WINDOW,
            },
            // HA VPN runs over an outer MTU of 1460. Its documented lifetimes are 36,000 s and 10,800 s.
            Self::Gcp => Row {
                suites: &["aes256gcm16-sha256-ecp256", "aes256-sha256-modp2048"],
                esp: &["aes256gcm16-ecp256", "aes256gcm16-modp2048", "aes256-sha256-modp2048"],
                mtu: 1406,
                lifetimes: Lifetimes::new(Duration::from_hours(10), Duration::from_hours(3)),
                peer_asn: None,
                peer_replay_window: PEER_REPLAY_WINDOW,
            },
            Self::Generic => Row {
                suites: &[
                    "aes256gcm16-sha256-ecp256",
                    "aes256gcm16-sha256-modp2048",
                    "aes256-sha256-modp2048",
                ],
                esp: &["aes256gcm16-ecp256", "aes256gcm16-modp2048", "aes256-sha256-modp2048"],
                mtu: MTU_OUTER_1500,
                lifetimes: Lifetimes::new(Duration::from_hours(8), Duration::from_hours(1)),
                peer_asn: None,
                peer_replay_window: PEER_REPLAY_WINDOW,
            },
        };
        row.into()
    }

    /// Why an inside prefix cannot be used with this cloud, if so.
    ///
    /// AWS keeps some prefixes of 169.254.0.0/16 for itself and takes no IPv4 prefix outside of it.
    pub fn refuses_inside(self, inside: IpNet) -> Option<&'static str> {
        let (Self::Aws, IpAddr::V4(network)) = (self, inside.network()) else { return None };
        match network.octets() {
            [169, 254, 0..=5, 0..=3] | [169, 254, 169, 252..=255] => Some("AWS reserves this prefix"),
            [169, 254, ..] => None,
            _ => Some("AWS takes inside prefixes of 169.254.0.0/16 only"),
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A [`Preset`] as it is written above.
struct Row {
    suites: &'static [&'static str],
    esp: &'static [&'static str],
    mtu: u16,
    lifetimes: Lifetimes,
    peer_asn: Option<u32>,
    peer_replay_window: u32,
}

impl From<Row> for Preset {
    /// A keyword that does not parse is left out; a test keeps that from happening.
    fn from(row: Row) -> Self {
        Self {
            suites: row.suites.iter().filter_map(|suite| suite.parse().ok()).collect(),
            esp: row.esp.iter().filter_map(|suite| suite.parse().ok()).collect(),
            mtu: row.mtu,
            lifetimes: row.lifetimes,
            peer_asn: row.peer_asn,
            peer_replay_window: row.peer_replay_window,
        }
    }
}

/// The default of AWS, whose tunnels take 64 to 2048. The other clouds publish none; none is known to be narrower.
const PEER_REPLAY_WINDOW: u32 = 1024;
/// What plain ESP with AES-GCM leaves of an outer MTU of 1500; the SA's own limit may be lower.
const MTU_OUTER_1500: u16 = 1446;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_all_its_suites_and_no_weak_one() {
        for (cloud, ike, esp) in
            [(Cloud::Aws, 1, 1), (Cloud::Azure, 3, 4), (Cloud::Gcp, 2, 3), (Cloud::Generic, 3, 3)]
        {
            let preset = cloud.preset();
            assert_eq!((preset.suites.len(), preset.esp.len()), (ike, esp), "{cloud}");
        }
    }

    #[test]
    fn aws_keeps_some_inside_prefixes_for_itself() {
        let refuses = |prefix: &str| Cloud::Aws.refuses_inside(prefix.parse().unwrap()).is_some();
        assert!(refuses("169.254.0.2/30") && refuses("169.254.5.1/30") && refuses("169.254.169.254/30"));
        assert!(refuses("10.0.0.1/30"));
        assert!(!refuses("169.254.10.2/30") && !refuses("169.254.5.5/30") && !refuses("fd00::1/126"));
        assert_eq!(Cloud::Generic.refuses_inside("10.0.0.1/30".parse().unwrap()), None);
    }
}

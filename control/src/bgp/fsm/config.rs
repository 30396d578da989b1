//! What a session is to be, and the OPEN that says so.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::bgp::codec::capability::{Capabilities, GracefulRestart};
use crate::bgp::codec::{Families, Open};

/// A peer as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Our AS number.
    pub local_asn: u32,
    /// The peer's AS number; another one is refused.
    pub peer_asn: u32,
    /// Our BGP Identifier; not 0.
    pub identifier: Ipv4Addr,
    /// Address families to speak.
    pub families: Families,
    /// Seconds without a word of the peer after which the session is over: 0 (never), or 3 and more.
    pub hold_time: u16,
    /// How long an attempt to connect may take, and the wait after one that failed.
    pub connect_retry: Duration,
    /// The peer opens the TCP connection, never we.
    pub passive: bool,
    /// Seconds that routes are kept over a restart of ours, as we ask of the peer; `None`: no graceful restart, of either end.
    pub restart_time: Option<u16>,
    /// Families whose routes this daemon found in the kernel when it started, which it has forwarded throughout its
    /// restart (RFC 4724 §4.1); empty where it did not restart.
    pub preserved: Families,
}

impl Config {
    /// The OPEN of this end.
    ///
    /// `restarting`: this daemon has restarted and this is its first session. `preserved`: families whose packets it
    /// forwarded while there was no session.
    pub(super) fn open(&self, restarting: bool, preserved: Families) -> Open {
        let graceful_restart = self.restart_time.map(|time| GracefulRestart {
            restarting,
            notification: true,
            time,
            families: self.families,
            preserved: preserved.intersection(self.families),
        });
        Open {
            asn: self.local_asn,
            hold_time: self.hold_time,
            identifier: self.identifier,
            capabilities: Capabilities {
                families: Some(self.families),
                route_refresh: true,
                four_octet_as: Some(self.local_asn),
                graceful_restart,
            },
        }
    }
}

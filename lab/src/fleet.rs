//! Hundreds of connections of two tunnels each, between two gateways of ours.
//!
//! ```text
//! initiator  198.18.0.1 ...  192.0.2.1 --- 192.0.2.2  198.18.128.1 ...  responder
//! ```
//! A peer is known by its outer address: each tunnel has its own at both ends.

use core::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;

use crate::gotthard::{FILE, write_secret};
use crate::site::OUTSIDE;
use crate::{Gotthard, Netns, Run};

/// The two hosts.
#[derive(Debug)]
pub struct Fleet {
    /// That of the initiator, then that of the responder.
    pub hosts: [Netns; 2],
    connections: u32,
}

/// Which end of the tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Starts them.
    Initiator,
    /// Waits for them.
    Responder,
}

impl Fleet {
    /// Hosts for so many connections.
    pub fn new(run: &Run, connections: u32) -> Result<Self> {
        let hosts = [Netns::new("initiator")?, Netns::new("responder")?];
        hosts[0].link(OUTSIDE, &hosts[1], OUTSIDE)?;
        let fleet = Self { hosts, connections };
        for end in [End::Initiator, End::Responder] {
            // Thousands of addresses and routes, with one process.
            let mut batch = format!("addr add {}/24 dev {OUTSIDE}\n", end.gateway());
            for tunnel in 0..2 * connections {
                let (ours, theirs) = (end.outer(tunnel), end.other().outer(tunnel));
                writeln!(batch, "addr add {ours}/32 dev {OUTSIDE}")?;
                writeln!(batch, "route add {theirs}/32 via {} src {ours}", end.other().gateway())?;
            }
            let file = run.dir().join(format!("{}.batch", end.name()));
            std::fs::write(&file, batch)?;
            fleet.host(end).ip(&format!("-batch {}", file.display()))?;
        }
        Ok(fleet)
    }

    /// Starts a gateway. It serves its page of metrics on TCP too.
    pub fn start(&self, run: &Run, end: End) -> Result<Gotthard> {
        let dir = run.dir().join(end.name());
        std::fs::create_dir_all(&dir)?;
        write_secret(&dir.join(FILE), &self.configuration(end)?)?;
        Gotthard::start_there(run, self.host(end), end.name(), "error")
    }

    /// Where a gateway runs.
    pub const fn host(&self, end: End) -> &Netns {
        match end {
            End::Initiator => &self.hosts[0],
            End::Responder => &self.hosts[1],
        }
    }

    fn configuration(&self, end: End) -> Result<String> {
        let mut text = format!("[gateway]\nlocal = \"auto\"\nmetrics = \"{PAGE}\"\n");
        for connection in 0..self.connections {
            let behind = (end.other().side() * 64) + 64 + connection / 256;
            write!(
                text,
                "\n[connection.cloud-{connection}]\ncloud = \"generic\"\nrouting = \"static\"\nmode = \"{}\"\n\
                 remote = [\"10.{behind}.{}.0/24\"]\nprobe_interval = \"{}s\"\n\
                 suites = [\"aes256gcm16-sha256-x25519\"]\nesp = [\"aes256gcm16\"]\n",
                end.name(),
                connection % 256,
                PROBE_SECONDS,
            )?;
            for tunnel in [2 * connection, 2 * connection + 1] {
                let inside = Ipv4Addr::from_bits(INSIDE.to_bits() + tunnel * 4 + 1 + end.side());
                write!(
                    text,
                    "\n[[connection.cloud-{connection}.tunnel]]\nname = \"{}\"\npeer = \"{}\"\n\
                     inside = \"{inside}/30\"\npsk = \"thousand.tunnels.two.gateways\"\n",
                    tunnel % 2 + 1,
                    end.other().outer(tunnel)
                )?;
            }
        }
        Ok(text)
    }
}

impl End {
    const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Responder => "responder",
        }
    }

    const fn side(self) -> u32 {
        match self {
            Self::Initiator => 0,
            Self::Responder => 1,
        }
    }

    const fn gateway(self) -> Ipv4Addr {
        match self {
            Self::Initiator => Ipv4Addr::new(192, 0, 2, 1),
            Self::Responder => Ipv4Addr::new(192, 0, 2, 2),
        }
    }

    /// The outer address of a tunnel.
    const fn outer(self, tunnel: u32) -> Ipv4Addr {
        let first = match self {
            Self::Initiator => Ipv4Addr::new(198, 18, 0, 1),
            Self::Responder => Ipv4Addr::new(198, 18, 128, 1),
        };
        Ipv4Addr::from_bits(first.to_bits() + tunnel)
    }
}

/// Where each gateway serves its page.
pub const PAGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9477);
/// The first of the subnets inside the tunnels.
const INSIDE: Ipv4Addr = Ipv4Addr::new(169, 254, 32, 0);
/// Between two probes of a tunnel. Seldom: what is measured of so many is not their probes.
pub const PROBE_SECONDS: u32 = 5;

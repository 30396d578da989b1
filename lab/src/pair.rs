//! Two gateways on one link with a tunnel between them, each of them ours or strongSwan.
//!
//! ```text
//! left 203.0.113.10 --- 203.0.113.11 right        inside 169.254.10.2 --- 169.254.10.1
//! ```

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;

use crate::gotthard::{Config, Tunnel};
use crate::strongswan::{Charon, Connection, posture};
use crate::traffic::{Direction, Stream};
use crate::{Gotthard, Netns, Path, Run};

/// The two gateways. Their outer devices are [`OUTSIDE`].
#[derive(Debug)]
pub struct Pair {
    /// Names its files.
    pub name: String,
    /// Left and right.
    pub hosts: [Netns; 2],
    daemons: [Daemon; 2],
}

/// Which program is at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Ours, on this way or on its own choice.
    Gotthard(Option<Path>),
    /// strongSwan.
    Strongswan,
}

#[derive(Debug)]
enum Daemon {
    Gotthard(Box<Gotthard>),
    Strongswan(Charon),
}

impl Pair {
    /// Starts both ends and returns when the tunnel is up.
    pub fn new(run: &Run, name: &str, ends: [End; 2]) -> Result<Self> {
        let hosts = [Netns::new("left")?, Netns::new("right")?];
        hosts[0].link(OUTSIDE, &hosts[1], OUTSIDE)?;
        for (host, outer) in hosts.iter().zip(OUTER) {
            host.address(&format!("{outer}/24"), OUTSIDE)?;
        }
        // The responder first, so that the initiator's first attempt succeeds.
        let right = Daemon::start(run, &hosts[1], &format!("{name}-1"), 1, ends)?;
        let left = Daemon::start(run, &hosts[0], &format!("{name}-0"), 0, ends)?;
        match &left {
            Daemon::Gotthard(gateway) => drop(gateway.await_up(UP)?),
            Daemon::Strongswan(charon) => charon.initiate("pair-c")?,
        }
        Ok(Self { name: name.to_owned(), hosts, daemons: [left, right] })
    }

    /// Those ends that are ours, the left one first.
    pub fn gateways(&self) -> impl Iterator<Item = &Gotthard> {
        self.daemons.iter().filter_map(|daemon| match daemon {
            Daemon::Gotthard(gateway) => Some(&**gateway),
            Daemon::Strongswan(_) => None,
        })
    }

    /// A TCP stream through the tunnel from left to right; returns what arrived, in bits per second.
    pub fn stream(&self, run: &Run, seconds: u32, cap_mbit: Option<u32>) -> Result<f64> {
        let [from, to] = INSIDE;
        let [client, server] = &self.hosts;
        Stream { client, from, server, to, direction: Direction::Up, seconds, cap_mbit }.run(run)
    }
}

impl Daemon {
    fn start(run: &Run, host: &Netns, name: &str, side: usize, ends: [End; 2]) -> Result<Self> {
        Ok(match ends[side] {
            End::Gotthard(path) => {
                let mut config = config(run, side, path);
                if ends[1 - side] == End::Strongswan {
                    config = config.with(posture::USERSPACE_WINDOW);
                }
                let gateway = Gotthard::start(run, host, name, &config)?;
                gateway.await_running(UP)?;
                Self::Gotthard(Box::new(gateway))
            }
            End::Strongswan => Self::Strongswan(strongswan(run, host, name, side)?),
        })
    }
}

fn config(run: &Run, side: usize, path: Option<Path>) -> Config {
    let mode = if side == 0 { "initiator" } else { "responder" };
    let tunnel = Tunnel {
        peer: OUTER[1 - side].to_owned(),
        inside: format!("{}/30", INSIDE[side]),
        psk: PSK.to_owned(),
        options: Vec::new(),
    };
    Config {
        local: OUTER[side].to_owned(),
        cloud: "generic".to_owned(),
        remote: vec![["10.200.0.0/16", "10.10.0.0/16"][side].to_owned()],
        suite: run.suite,
        options: vec![format!("mode = \"{mode}\"")],
        tunnels: vec![tunnel],
        path,
        log: "info",
    }
}

fn strongswan(run: &Run, host: &Netns, name: &str, side: usize) -> Result<Charon> {
    host.address(&format!("{}/32", INSIDE[side]), "lo")?;
    let connection = Connection {
        name: "pair".to_owned(),
        local: OUTER[side].to_owned(),
        remote: OUTER[1 - side].to_owned(),
        psk: PSK.to_owned(),
        ike: run.suite.ike().to_owned(),
        esp: run.suite.esp().to_owned(),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "0.0.0.0/0".to_owned(),
    };
    Charon::start(run, host, name, &Connection::render(&[connection])?)
}

/// The outer device of both hosts.
pub const OUTSIDE: &str = "outside";
/// The addresses inside the tunnel, left and right.
pub const INSIDE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(169, 254, 10, 2)), IpAddr::V4(Ipv4Addr::new(169, 254, 10, 1))];

const OUTER: [&str; 2] = ["203.0.113.10", "203.0.113.11"];
const PSK: &str = "exampleTunnelOne_0123456789.abcd";
const UP: Duration = Duration::from_secs(10);

//! Two gateways on one link with a tunnel between them, each of them ours or strongSwan.
//!
//! ```text
//! left 203.0.113.10 --- 203.0.113.11 right        inside 169.254.10.2 --- 169.254.10.1
//! ```

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};

use crate::flow::Flow;
use crate::gotthard::{Config, Tunnel};
use crate::relay::{Relay, Tally, Weather, weather};
use crate::strongswan::{Charon, Connection, posture};
use crate::traffic::{Direction, Stream, ping};
use crate::{Gotthard, Netns, Path, Run};

pub mod ledger;
mod queues;
pub mod rekey;

/// The two gateways. Their outer devices are [`OUTSIDE`].
#[derive(Debug)]
pub struct Pair {
    /// Names its files.
    pub name: String,
    /// Left and right.
    pub hosts: [Netns; 2],
    daemons: [Daemon; 2],
    relay: Option<Relay>,
}

/// What a pair is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    ends: [End; 2],
    weather: Option<Weather>,
    lane: u64,
    esp: Option<String>,
    encapsulation: &'static str,
    ours: Vec<String>,
    theirs: [Vec<String>; 2],
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

impl Plan {
    /// Two ends on one link, the left one initiating.
    pub fn new(name: &str, ends: [End; 2]) -> Self {
        Self {
            name: name.to_owned(),
            ends,
            weather: None,
            lane: 0,
            esp: None,
            encapsulation: "udp",
            ours: Vec::new(),
            theirs: [const { Vec::new() }; 2],
        }
    }

    /// A relay between them.
    #[must_use]
    pub fn through(mut self, weather: Weather) -> Self {
        self.weather = Some(weather);
        self
    }

    /// An ESP proposal in the place of the run's.
    #[must_use]
    pub fn esp(mut self, proposal: &str) -> Self {
        self.esp = Some(proposal.to_owned());
        self
    }

    /// ESP as IP protocol 50 and not in UDP, where both ends are ours.
    #[must_use]
    pub const fn raw(mut self) -> Self {
        self.encapsulation = "esp";
        self
    }

    /// One of several pairs at once, with files and a seed of its own.
    #[must_use]
    pub fn lane(mut self, number: u64) -> Self {
        self.name = format!("{}-{number}", self.name);
        self.lane = number;
        self
    }

    /// One more key of the connection, `key = value`, at every end that is ours.
    #[must_use]
    pub fn ours(mut self, option: &str) -> Self {
        self.ours.push(option.to_owned());
        self
    }

    /// One more key of strongSwan's connection.
    #[must_use]
    pub fn theirs(mut self, option: &str) -> Self {
        self.theirs[0].push(option.to_owned());
        self
    }

    /// One more key of strongSwan's child.
    #[must_use]
    pub fn their_child(mut self, option: &str) -> Self {
        self.theirs[1].push(option.to_owned());
        self
    }

    /// Starts both ends and returns when the tunnel is up.
    pub fn start(&self, run: &Run) -> Result<Pair> {
        let hosts = [Netns::new("left")?, Netns::new("right")?];
        let relay = self.connect(&hosts)?;
        for (host, outer) in hosts.iter().zip(OUTER) {
            host.address(&format!("{outer}/24"), OUTSIDE)?;
        }
        // The responder first, so that the initiator's first attempt succeeds.
        let right = self.daemon(run, &hosts[1], 1)?;
        let left = self.daemon(run, &hosts[0], 0)?;
        let pair = Pair { name: self.name.clone(), hosts, daemons: [left, right], relay };
        if let Daemon::Strongswan(charon) = &pair.daemons[0] {
            charon.initiate("pair-c")?;
        }
        pair.gateways().try_for_each(|gateway| gateway.await_up(UP).map(drop))?;
        Ok(pair)
    }

    fn connect(&self, [left, right]: &[Netns; 2]) -> Result<Option<Relay>> {
        let Some(weather) = self.weather else {
            left.link(OUTSIDE, right, OUTSIDE)?;
            return Ok(None);
        };
        let seed = weather::seed()?.wrapping_add(self.lane);
        Relay::between([left, right], OUTSIDE, OUTER, weather, seed).map(Some)
    }

    fn daemon(&self, run: &Run, host: &Netns, side: usize) -> Result<Daemon> {
        let name = format!("{}-{side}", self.name);
        Ok(match self.ends[side] {
            End::Gotthard(path) => {
                let gateway = Gotthard::start(run, host, &name, &self.config(run, side, path))?;
                gateway.await_running(UP)?;
                Daemon::Gotthard(Box::new(gateway))
            }
            End::Strongswan => Daemon::Strongswan(self.strongswan(run, host, &name, side)?),
        })
    }

    fn config(&self, run: &Run, side: usize, path: Option<Path>) -> Config {
        let mode = if side == 0 { "initiator" } else { "responder" };
        let mut options = vec![format!("mode = \"{mode}\"")];
        if self.ends[1 - side] == End::Strongswan {
            options.push(posture::USERSPACE_WINDOW.to_owned());
        }
        options.extend(self.ours.iter().cloned());
        let tunnel = Tunnel {
            peer: OUTER[1 - side].to_string(),
            inside: format!("{}/30", INSIDE[side]),
            psk: PSK.to_owned(),
            options: Vec::new(),
        };
        Config {
            local: OUTER[side].to_string(),
            cloud: "generic".to_owned(),
            gateway: Vec::new(),
            routing: "static",
            remote: vec![["10.200.0.0/16", "10.10.0.0/16"][side].to_owned()],
            suite: run.suite,
            esp: vec![self.proposal(run)],
            options,
            tunnels: vec![tunnel],
            path,
            encapsulation: self.encapsulation,
            reveals_keys: false,
            log: "info",
        }
    }

    fn proposal(&self, run: &Run) -> String {
        self.esp.clone().unwrap_or_else(|| run.suite.esp().to_owned())
    }

    fn strongswan(&self, run: &Run, host: &Netns, name: &str, side: usize) -> Result<Charon> {
        host.address(&format!("{}/32", INSIDE[side]), "lo")?;
        let [options, child_options] = self.theirs.clone();
        let connection = Connection {
            name: "pair".to_owned(),
            local: OUTER[side].to_string(),
            remote: OUTER[1 - side].to_string(),
            psk: PSK.to_owned(),
            ike: run.suite.ike().to_owned(),
            esp: self.proposal(run),
            local_ts: "0.0.0.0/0".to_owned(),
            remote_ts: "0.0.0.0/0".to_owned(),
            options,
            child_options,
        };
        Charon::start(run, host, name, &Connection::render(&[connection])?)
    }
}

impl Pair {
    /// Two ends on one link; returns when the tunnel is up.
    pub fn new(run: &Run, name: &str, ends: [End; 2]) -> Result<Self> {
        Plan::new(name, ends).start(run)
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

    /// Pings through the tunnel from left to right; how many were answered.
    pub fn ping(&self, count: u32) -> Result<u32> {
        Ok(ping(&self.hosts[0], INSIDE[1], count, None)?.0.received)
    }

    /// Numbered flows through the tunnel, from left to right and back, of so many packets a second each.
    pub fn flows(&self, rate: u32) -> Result<[Flow; 2]> {
        self.widen_queues()?;
        let [left, right] = &self.hosts;
        let [here, there] = INSIDE;
        Ok([
            Flow::at(rate, left, (here, 7001).into(), &[right], (there, 7001).into())?,
            Flow::at(rate, right, (there, 7002).into(), &[left], (here, 7002).into())?,
        ])
    }

    /// How many rekeys of one end have crossed one of the other, as the relay saw it.
    pub fn collisions(&self) -> Result<u32> {
        self.relay.as_ref().map(Relay::crossed).context("a relay")
    }

    /// Ends the relay, and says what it did.
    pub fn end_relay(&mut self) -> Result<Option<Tally>> {
        self.relay.take().map(Relay::finish).transpose()
    }
}

/// The outer device of both hosts.
pub const OUTSIDE: &str = "outside";
/// The addresses inside the tunnel, left and right.
pub const INSIDE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(169, 254, 10, 2)), IpAddr::V4(Ipv4Addr::new(169, 254, 10, 1))];

const OUTER: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 10), Ipv4Addr::new(203, 0, 113, 11)];
const PSK: &str = "exampleTunnelOne_0123456789.abcd";
/// A bad path loses some of the handshake.
const UP: Duration = Duration::from_secs(30);

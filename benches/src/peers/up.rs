//! A candidate that is up: both ends run, and traffic passes between them.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gotthard_lab::process::Signal;
use gotthard_lab::strongswan::{Charon, Connection};
use gotthard_lab::{Process, Run, Suite, traffic, wait};

use super::bed::{Bed, INNER_MTU, OUTER, Side};
use super::candidate::{Candidate, Gotthard, Kind};
use super::generator::{FLOWS, flow_address};
use super::programs::Programs;
use super::usage::Watched;
use super::{command, tcp};
use crate::interrupt;

/// Both hosts and what runs in them.
#[derive(Debug)]
pub(super) struct Up {
    ends: Ends,
    _iperf3: Process,
    pub(super) bed: Bed,
    /// It has a device for each flow.
    many_devices: bool,
    /// Where its files are.
    pub(super) dir: PathBuf,
}

#[derive(Debug)]
pub(super) enum Ends {
    None,
    Processes { left: Process, right: Process },
    Charons { left: Box<Charon>, right: Box<Charon> },
}

impl Up {
    /// Starts a candidate; returns when a ping has passed.
    pub(super) fn start(candidate: &Candidate, programs: &Programs, dir: &Path) -> Result<Self> {
        let dir = dir.join(&candidate.name);
        fs::create_dir_all(&dir)?;
        let bed = Bed::new(candidate.between)?;
        let many_devices = matches!(&candidate.kind, Kind::Gotthard(gateway) if gateway.tunnels > 1);
        let ends = match &candidate.kind {
            Kind::Bare => bare(&bed)?,
            Kind::Gotthard(gateway) => gotthard(&bed, gateway, candidate.has_flows(), programs, &dir)?,
            Kind::Strongswan(suite) => strongswan(&bed, *suite, &dir)?,
            Kind::Command(source) => command::start(&bed, &source.command(programs)?, &dir)?,
        };
        traffic::await_ping(&bed.left, Side::Right.inner().into(), CONNECTED)?;
        let iperf3 = tcp::serve(&bed, &dir)?;
        Ok(Self { ends, _iperf3: iperf3, bed, many_devices, dir })
    }

    /// The gateways' processes, left and right; none where there is no gateway.
    pub(super) fn gateways(&self) -> Option<[Watched; 2]> {
        let pids = match &self.ends {
            Ends::None => return None,
            Ends::Processes { left, right } => [left.pid(), right.pid()],
            Ends::Charons { left, right } => [left.pid(), right.pid()],
        };
        Some(pids.map(Watched::new))
    }

    /// What our gateways say that they run.
    pub(super) fn runs(&self) -> Option<String> {
        let said = fs::read_to_string(self.dir.join(format!("{}.out", Side::Left.name()))).ok()?;
        said.lines().find_map(|line| line.strip_prefix("runs ")).map(str::to_owned)
    }

    /// Ends our gateways and returns what both dropped, by reason.
    pub(super) fn end(&mut self) -> Result<BTreeMap<String, u64>> {
        let mut drops = BTreeMap::new();
        self.remove_devices();
        let Ends::Processes { left, right } = &mut self.ends else { return Ok(drops) };
        for (side, process) in Side::BOTH.into_iter().zip([left, right]) {
            process.signal(Signal::TERM)?;
            process.wait(ENDED)?;
            let said = fs::read_to_string(self.dir.join(format!("{}.out", side.name())))?;
            for line in said.lines() {
                let words: Vec<_> = line.split(' ').collect();
                if let ["drop", reason, count] = words.as_slice() {
                    *drops.entry((*reason).to_owned()).or_default() += count.parse::<u64>()?;
                }
            }
        }
        Ok(drops)
    }

    /// Removes many devices at once: one by one, as they go with a process, each would wait for all cores.
    fn remove_devices(&mut self) {
        if core::mem::take(&mut self.many_devices) {
            for side in Side::BOTH {
                let _ = self.bed.host(side).ip(&format!("link del group {GROUP}"));
            }
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.remove_devices();
    }
}

fn bare(bed: &Bed) -> Result<Ends> {
    for side in Side::BOTH {
        bed.address_inside(side, OUTER)?;
    }
    Ok(Ends::None)
}

fn gotthard(bed: &Bed, gateway: &Gotthard, flows: bool, programs: &Programs, dir: &Path) -> Result<Ends> {
    let program = programs.gateway(gateway.build)?;
    let start = |side: Side| -> Result<Process> {
        let mut command = bed.host(side).command(&program.to_string_lossy());
        command.args(["gateway", DEVICE]);
        command.args([side, side.other()].map(|side| bed.outer(side).to_string()));
        command.arg(side.name()).args(&gateway.options);
        let (mut process, output) = Process::spawn_with_output(&mut command, side.name(), dir)?;
        wait::until_true(READY, "the gateway to be ready", || {
            interrupt::check()?;
            if !process.is_running()? {
                bail!("the gateway has ended: {}", process.log());
            }
            Ok(fs::read_to_string(&output)?.contains("ready\n"))
        })?;
        Ok(process)
    };
    let (right, left) = (start(Side::Right)?, start(Side::Left)?);
    for side in Side::BOTH {
        if gateway.tunnels > 1 {
            address_tunnels(bed, side, gateway.tunnels, dir)?;
        } else {
            bed.address_inside(side, DEVICE)?;
            if flows {
                address_flows(bed, side, dir)?;
            }
        }
    }
    Ok(Ends::Processes { left, right })
}

/// Every stream's addresses on the one device.
fn address_flows(bed: &Bed, side: Side, dir: &Path) -> Result<()> {
    let mut batch = String::new();
    for flow in 0..FLOWS {
        writeln!(batch, "addr add {}/32 dev {DEVICE}", flow_address(side, flow))?;
        writeln!(batch, "route add {}/32 dev {DEVICE}", flow_address(side.other(), flow))?;
    }
    ip_batch(bed, side, dir, &batch)
}

/// Every stream's addresses on a device of their own; the first device also carries the ping.
fn address_tunnels(bed: &Bed, side: Side, tunnels: u16, dir: &Path) -> Result<()> {
    let mut batch = String::new();
    for tunnel in 0..tunnels {
        let device = format!("{DEVICE}{tunnel}");
        writeln!(batch, "link set {device} mtu {INNER_MTU} group {GROUP} up")?;
        writeln!(batch, "addr add {}/32 dev {device}", flow_address(side, tunnel))?;
        writeln!(batch, "route add {}/32 dev {device}", flow_address(side.other(), tunnel))?;
    }
    writeln!(batch, "addr add {}/32 dev {DEVICE}0", side.inner())?;
    writeln!(batch, "route add {}/32 dev {DEVICE}0 src {}", side.other().inner(), side.inner())?;
    ip_batch(bed, side, dir, &batch)
}

fn ip_batch(bed: &Bed, side: Side, dir: &Path, batch: &str) -> Result<()> {
    let file = dir.join(format!("{}.ip", side.name()));
    fs::write(&file, batch)?;
    bed.host(side).ip(&format!("-batch {}", file.display()))
}

fn strongswan(bed: &Bed, suite: Suite, dir: &Path) -> Result<Ends> {
    let run = Run::new(suite, dir.to_owned());
    let start = |side: Side| {
        bed.host(side).address(&format!("{}/32", side.inner()), "lo")?;
        let connection = Connection {
            name: "bench".to_owned(),
            local: bed.outer(side).to_string(),
            remote: bed.outer(side.other()).to_string(),
            psk: "benchmark-0123456789".to_owned(),
            ike: suite.ike().to_owned(),
            esp: suite.esp().to_owned(),
            local_ts: "0.0.0.0/0".to_owned(),
            remote_ts: "0.0.0.0/0".to_owned(),
            options: Vec::new(),
            child_options: Vec::new(),
        };
        Charon::start(&run, bed.host(side), side.name(), &Connection::render(&[connection])?)
    };
    let (right, left) = (start(Side::Right)?, start(Side::Left)?);
    left.initiate("bench-c").context("strongSwan")?;
    Ok(Ends::Charons { left: Box::new(left), right: Box::new(right) })
}

/// The TUN device of our gateway; with many, the first part of their names.
const DEVICE: &str = "gt";
/// The device group of many devices.
const GROUP: u16 = 4500;
const READY: Duration = Duration::from_mins(1);
const CONNECTED: Duration = Duration::from_secs(10);
const ENDED: Duration = Duration::from_secs(20);

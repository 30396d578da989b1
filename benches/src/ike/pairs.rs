//! Many tunnels between two endpoints without I/O, on a virtual clock: what one costs in memory, and what bringing all up
//! and an hour of their liveness and rekeys cost in time on a core.

use core::time::Duration;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, ensure};
use clap::Args;
use gotthard_benches::seeded::Seeded;
use gotthard_benches::tunnel;
use gotthard_ike::config::{Mode, PeerConfig, PeerId};
use gotthard_ike::{Endpoint, Event, Output, Time, Transmit};

use super::processor::own_time;

/// What is measured.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Tunnels, each with a peer of its own
    #[arg(long, default_value_t = 10_000)]
    pairs: u32,
    /// Key exchange: modp2048, ecp256, x25519
    #[arg(long, default_value = "ecp256")]
    group: String,
}

/// Runs the bench and prints a table.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { pairs, group } = arguments;
    let before = resident()?;
    let mut world = World::new(*pairs, group);
    world.bring_up(*pairs)?;
    let octets = (resident()? - before) / u64::from(2 * pairs);
    println!("| {pairs} tunnels, {group} | initiator | responder |\n|---|---|---|");
    println!("| octets of memory for one, its configuration included | {octets} | {octets} |");
    let [initiator, responder] = world.ends().map(End::take_tally);
    row("handshakes of a second on a core", [&initiator, &responder], |tally| {
        format!("{:.0}", f64::from(*pairs) / tally.spent.as_secs_f64())
    });
    world.run_for(HOUR);
    let hour = world.ends().map(End::take_tally);
    world.ensure_up(*pairs)?;
    let [initiator, responder] = &hour;
    let both = [initiator, responder];
    row("seconds on a core for an hour of all", both, |tally| format!("{:.1}", tally.spent.as_secs_f64()));
    row("messages sent in it", both, |tally| tally.sent.to_string());
    row("rekeys of IKE SAs in it", both, |tally| tally.ike_rekeys.to_string());
    row("rekeys of child SAs in it", both, |tally| tally.child_rekeys.to_string());
    row("longest wait for the core of what was due, in ms", both, |tally| {
        format!("{:.1}", tally.longest.as_secs_f64() * 1e3)
    });
    for Tally { ike_rekeys, child_rekeys, .. } in &hour {
        ensure!(ike_rekeys >= pairs && child_rekeys >= pairs, "not every SA was rekeyed");
    }
    Ok(())
}

fn row(title: &str, tallies: [&Tally; 2], figure: impl Fn(&Tally) -> String) {
    let [initiator, responder] = tallies.map(figure);
    println!("| {title} | {initiator} | {responder} |");
}

/// Both ends of all tunnels; what one sends the other has at once.
struct World {
    initiator: End,
    responder: End,
    now: Time,
}

impl World {
    fn new(pairs: u32, group: &str) -> Self {
        let mut world = Self { initiator: End::new(1), responder: End::new(2), now: Time::ZERO };
        for number in 0..pairs {
            let remote = IpAddr::V4(Ipv4Addr::from_bits(PEERS.to_bits() + number));
            let config = |mode, local, remote| {
                let config = tunnel::config(mode, local, remote, group);
                PeerConfig { ike_lifetime: HOUR, child_lifetime: HOUR, ..config }
            };
            let id = PeerId(number);
            world.initiator.endpoint.add_peer(id, config(Mode::Initiator, remote, GATEWAY));
            world.responder.endpoint.add_peer(id, config(Mode::Responder, GATEWAY, remote));
        }
        world
    }

    fn bring_up(&mut self, pairs: u32) -> Result<()> {
        for number in 0..pairs {
            // Not all at one moment: their timers would all be due at one later.
            self.now = self.now + BETWEEN;
            let now = self.now;
            self.initiator.work(|endpoint| endpoint.initiate(now, PeerId(number)));
            self.exchange();
        }
        self.ensure_up(pairs)
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let due = self.ends().map(|end| end.timeout);
            let Some(next) = due.into_iter().flatten().min().filter(|at| *at <= end) else { break };
            let now = self.now.max(next);
            self.now = now;
            for end in self.ends() {
                if end.timeout.is_some_and(|at| at <= now) {
                    end.work(|endpoint| endpoint.handle_timeout(now));
                }
            }
            self.exchange();
        }
        self.now = end;
    }

    /// Carries messages to and fro until there are none.
    fn exchange(&mut self) {
        let (now, Self { initiator, responder, .. }) = (self.now, self);
        while !(initiator.outbox.is_empty() && responder.outbox.is_empty()) {
            responder.receive(now, core::mem::take(&mut initiator.outbox));
            initiator.receive(now, core::mem::take(&mut responder.outbox));
        }
    }

    fn ends(&mut self) -> [&mut End; 2] {
        [&mut self.initiator, &mut self.responder]
    }

    fn ensure_up(&mut self, pairs: u32) -> Result<()> {
        for End { up, .. } in self.ends() {
            ensure!(*up == i64::from(pairs), "{up} of {pairs} tunnels are up");
        }
        Ok(())
    }
}

/// An endpoint with what it has to send.
struct End {
    endpoint: Endpoint,
    outbox: Vec<Transmit>,
    timeout: Option<Time>,
    up: i64,
    tally: Tally,
}

/// What an end has done.
#[derive(Debug, Default)]
struct Tally {
    /// Time on a core.
    spent: Duration,
    /// The most at a time.
    longest: Duration,
    sent: u64,
    ike_rekeys: u32,
    child_rekeys: u32,
}

impl End {
    fn new(seed: u64) -> Self {
        let endpoint = Endpoint::new(Box::new(Seeded(seed)));
        Self { endpoint, outbox: Vec::new(), timeout: None, up: 0, tally: Tally::default() }
    }

    fn receive(&mut self, now: Time, datagrams: Vec<Transmit>) {
        for Transmit { local, remote, payload } in datagrams {
            self.work(|endpoint| endpoint.handle_datagram(now, remote, local, &payload));
        }
    }

    /// Does something and takes what comes of it.
    fn work(&mut self, step: impl FnOnce(&mut Endpoint)) {
        let before = own_time();
        step(&mut self.endpoint);
        self.drain();
        let took = own_time().saturating_sub(before);
        self.tally.spent += took;
        self.tally.longest = self.tally.longest.max(took);
    }

    fn drain(&mut self) {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => {
                    self.tally.sent += 1;
                    self.outbox.push(transmit);
                }
                Output::Event(event) => self.note(&event),
                Output::Install(_) | Output::Keepalive { .. } | Output::Keys(_) => {}
                Output::Compute(job) => self.endpoint.handle_computed(Time::ZERO, job.run()),
                Output::Timeout { at } => {
                    self.timeout = at;
                    return;
                }
            }
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::ChildUp { rekey: Some(_), .. } => self.tally.child_rekeys += 1,
            Event::IkeRekeyed { .. } => self.tally.ike_rekeys += 1,
            Event::IkeUp { .. } => self.up += 1,
            Event::IkeDown { .. } => self.up -= 1,
            Event::ChildUp { .. }
            | Event::ChildDown { .. }
            | Event::RekeyFailed { .. }
            | Event::Alive { .. }
            | Event::Failed { .. } => {}
        }
    }

    fn take_tally(&mut self) -> Tally {
        core::mem::take(&mut self.tally)
    }
}

/// The resident set of this process, in octets.
fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// The first of the peers' addresses.
const PEERS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const HOUR: Duration = Duration::from_hours(1);
/// Time between two handshakes.
const BETWEEN: Duration = Duration::from_millis(1);

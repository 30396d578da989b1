//! One TCP stream through our tunnel beside the same stream between two strongSwan ends, in interleaved rounds.
//!
//! Four programs share the machine's cores here, so whatever else runs weighs on the ratio. The scenario fails below a
//! factor that a busy machine reaches too; `GOTTHARD_SPEED_FACTOR=3` asks for the one that an idle machine must reach.

use core::time::Duration;

use anyhow::{Context, Result, ensure};
use gotthard_lab::capture::Capture;
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::run::say;
use gotthard_lab::strongswan::{Charon, Connection};
use gotthard_lab::traffic::{Direction, Stream};
use gotthard_lab::{Gotthard, Netns, Run, scenarios};

scenarios!(one_tcp_stream_is_faster_than_between_two_strongswan_ends);

fn one_tcp_stream_is_faster_than_between_two_strongswan_ends(run: &Run) -> Result<()> {
    let pairs = [
        Pair::new(run, "gotthard-gotthard", [End::Gotthard, End::Gotthard])?,
        Pair::new(run, "gotthard-strongswan", [End::Gotthard, End::Strongswan])?,
        Pair::new(run, "strongswan-strongswan", [End::Strongswan, End::Strongswan])?,
    ];
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (pair, rates) in pairs.iter().zip(&mut rates) {
            rates.push(pair.stream(run, SECONDS, None)?);
        }
    }
    let medians = rates.each_ref().map(|rates| median(rates));
    let [ours, mixed, theirs] = medians;
    say(&format!("lab: one TCP stream, {}, medians of {ROUNDS} rounds of {SECONDS} s", run.suite.esp_name()));
    for ((pair, rates), median) in pairs.iter().zip(&rates).zip(medians) {
        let rounds: Vec<_> = rates.iter().map(|rate| format!("{:.2}", rate / GIGA)).collect();
        let ratio = median / theirs;
        say(&format!(
            "lab:   {:<22} {:>6.2} Gbit/s  {ratio:>5.1} x   ({})",
            pair.name,
            median / GIGA,
            rounds.join(" ")
        ));
    }
    // Of a stream that is measured no capture is taken: it would cost each packet the same and hide the difference.
    for pair in &pairs {
        let capture = Capture::start(run, &pair.hosts[0], "outside", &format!("{}-outside", pair.name))?;
        pair.stream(run, 1, Some(50))?;
        capture.expect_no_inner_packet()?;
    }
    let factor = factor()?;
    ensure!(ours >= factor * theirs, "{:.2} is not {factor} x {:.2} Gbit/s", ours / GIGA, theirs / GIGA);
    ensure!(mixed > 0.0);
    Ok(())
}

/// Two gateways on one link with a tunnel between them.
struct Pair {
    name: &'static str,
    hosts: [Netns; 2],
    _daemons: Vec<Daemon>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Gotthard,
    Strongswan,
}

enum Daemon {
    Gotthard(Gotthard),
    Strongswan(Charon),
}

impl Pair {
    fn new(run: &Run, name: &'static str, ends: [End; 2]) -> Result<Self> {
        let hosts = [Netns::new("left")?, Netns::new("right")?];
        hosts[0].link("outside", &hosts[1], "outside")?;
        for (host, outer) in hosts.iter().zip(OUTER) {
            host.address(&format!("{outer}/24"), "outside")?;
        }
        let mut daemons = Vec::new();
        // The responder first, so that the initiator's first attempt succeeds.
        for side in [1, 0] {
            let name = format!("{name}-{side}");
            daemons.push(match ends[side] {
                End::Gotthard => Daemon::Gotthard(gotthard(run, &hosts[side], &name, side)?),
                End::Strongswan => Daemon::Strongswan(strongswan(run, &hosts[side], &name, side)?),
            });
        }
        match daemons.last() {
            Some(Daemon::Gotthard(gateway)) => drop(gateway.await_up(UP)?),
            Some(Daemon::Strongswan(charon)) => charon.initiate("pair-c")?,
            None => {}
        }
        Ok(Self { name, hosts, _daemons: daemons })
    }

    fn stream(&self, run: &Run, seconds: u32, cap_mbit: Option<u32>) -> Result<f64> {
        let [from, to] = [INSIDE[0].parse()?, INSIDE[1].parse()?];
        let [client, server] = &self.hosts;
        Stream { client, from, server, to, direction: Direction::Up, seconds, cap_mbit }.run(run)
    }
}

fn gotthard(run: &Run, host: &Netns, name: &str, side: usize) -> Result<Gotthard> {
    let mode = if side == 0 { "initiator" } else { "responder" };
    let tunnel = Tunnel {
        peer: OUTER[1 - side].to_owned(),
        inside: format!("{}/30", INSIDE[side]),
        psk: PSK.to_owned(),
        options: Vec::new(),
    };
    let config = Config {
        local: OUTER[side].to_owned(),
        cloud: "generic".to_owned(),
        remote: vec![["10.200.0.0/16", "10.10.0.0/16"][side].to_owned()],
        suite: run.suite,
        options: vec![format!("mode = \"{mode}\"")],
        tunnels: vec![tunnel],
        log: "info",
    };
    let gateway = Gotthard::start(run, host, name, &config)?;
    gateway.await_running(UP)?;
    Ok(gateway)
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

/// How many times as fast as two strongSwan ends we must be.
fn factor() -> Result<f64> {
    match std::env::var("GOTTHARD_SPEED_FACTOR") {
        Ok(factor) => factor.parse().with_context(|| format!("GOTTHARD_SPEED_FACTOR={factor}")),
        Err(_) => Ok(BUSY_FACTOR),
    }
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

const OUTER: [&str; 2] = ["203.0.113.10", "203.0.113.11"];
const INSIDE: [&str; 2] = ["169.254.10.2", "169.254.10.1"];
const PSK: &str = "exampleTunnelOne_0123456789.abcd";
/// Measured with both cores compiling: 2.1 to 2.3 for AES-GCM, 2.7 to 3.3 for AES-CBC.
const BUSY_FACTOR: f64 = 1.5;
const ROUNDS: usize = 5;
const SECONDS: u32 = 2;
const GIGA: f64 = 1e9;
const UP: Duration = Duration::from_secs(10);

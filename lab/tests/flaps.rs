//! A tunnel that is cut and mended again and again: its hold-down doubles with every fall, so the traffic that both tunnels
//! share leaves it and comes back a few times, and then stays away.
//!
//! A move is a change of the kernel's route, as the kernel tells it. `GOTTHARD_FLAPS=100` is the long form, ten minutes of
//! each routing.

use core::time::Duration;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use gotthard_lab::cloud::Aws;
use gotthard_lab::gotthard::Config;
use gotthard_lab::outage::{self, Vanishes};
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::await_ping;
use gotthard_lab::{Gotthard, Netns, Process, Run, Suite, run, wait};

#[test]
fn a_flapping_tunnel_of_static_routing_moves_the_traffic_a_few_times() -> run::Outcome {
    run::scenario("flaps_static", Suite::Gcm, |run| {
        let site = Site::new()?;
        let _aws = site.aws(run)?;
        flap(run, &site, &Config::aws(run.suite).with("ecmp = true"))
    })
}

#[test]
fn a_flapping_tunnel_with_bgp_moves_the_traffic_a_few_times() -> run::Outcome {
    run::scenario("flaps_bgp", Suite::Gcm, |run| {
        let site = Site::new()?;
        let _aws = Aws::start(run, &site)?;
        flap(run, &site, &Config::aws_bgp(run.suite))
    })
}

/// Cuts the first tunnel until it is missed and mends it, once every [`PERIOD`], and counts the moves.
fn flap(run: &Run, site: &Site, config: &Config) -> Result<()> {
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", config)?;
    await_shared(&gateway, site)?;
    let moves = Moves::watch(run, &site.gateway)?;
    let begun = Instant::now();
    let flaps = run::number("GOTTHARD_FLAPS", 6)?;
    for number in 0..flaps {
        gateway.await_up(SOON)?;
        thread::sleep((begun + PERIOD * number).saturating_duration_since(Instant::now()));
        outage::silence(&site.wan, posture::ENDPOINTS[0], Vanishes::All)?;
        gateway.await_status(SOON, "the tunnel to be missed", |status| {
            status.tunnels().next().is_some_and(|tunnel| !tunnel.is_up())
        })?;
        outage::mend(&site.wan)?;
    }
    gateway.await_up(SOON)?;
    let (took, moves) = (begun.elapsed(), moves.count()?);
    let most = most_moves(took);
    let seconds = took.as_secs();
    run::say(&format!("lab: {flaps} flaps in {seconds} s moved the traffic {moves} times, at most {most}"));
    ensure!(moves > 0, "no flap has moved the traffic");
    ensure!(moves <= most, "{moves} moves in {seconds} s, at most {most}");
    await_ping(&site.lan, CLOUD_HOST, SOON)
}

/// Both tunnels carry: what falls is missing from the kernel's route.
fn await_shared(gateway: &Gotthard, site: &Site) -> Result<()> {
    wait::until_true(SOON, "both tunnels to share the prefix", || {
        let shown = site.gateway.ip_output(&format!("route show {PREFIX} proto 71"))?;
        Ok(["gth0", "gth1"].iter().all(|device| shown.contains(&format!("nexthop dev {device}"))))
    })
    .with_context(|| gateway.ask(&["status"]).unwrap_or_default())
}

/// What can happen in this time: the first fall, and after each hold-down that has passed a return and a fall. The waits
/// are 2 s, 4 s, … and at last 240 s; in 600 s that makes 17, where twenty are promised.
fn most_moves(time: Duration) -> usize {
    let waits = (0..16).map(|doublings| (FIRST_HOLD * (1 << doublings)).min(LONGEST_HOLD));
    let passed = waits.scan(Duration::ZERO, |spent, wait| {
        *spent += wait;
        Some(*spent)
    });
    1 + 2 * passed.take_while(|spent| *spent <= time).count()
}

/// Changes of the route into the tunnels.
struct Moves {
    told: PathBuf,
    _monitor: Process,
}

impl Moves {
    /// From here on.
    fn watch(run: &Run, host: &Netns) -> Result<Self> {
        let mut monitor = host.command("ip");
        monitor.args(["-4", "-oneline", "monitor", "route"]);
        let (monitor, told) = Process::spawn_with_output(&mut monitor, "monitor", run.dir())?;
        let moves = Self { told, _monitor: monitor };
        // It says nothing of itself: a route of nobody's shows that it listens.
        wait::until_true(SOON, "ip to listen", || {
            host.route(&format!("unreachable {SIGN}"))?;
            host.ip(&format!("route del unreachable {SIGN}"))?;
            Ok(moves.told()?.contains(SIGN))
        })?;
        Ok(moves)
    }

    fn count(&self) -> Result<usize> {
        let of_tunnels = |line: &&str| line.contains(PREFIX) && line.contains("metric 71");
        Ok(self.told()?.lines().filter(of_tunnels).count())
    }

    fn told(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.told)?)
    }
}

/// The prefix behind the cloud.
const PREFIX: &str = "10.200.0.0/16";
/// Of documentation, and of nobody in the site.
const SIGN: &str = "192.0.2.0/24";
/// 100 flaps in ten minutes.
const PERIOD: Duration = Duration::from_secs(6);
/// The hold-down after the first fall, and the longest.
const FIRST_HOLD: Duration = Duration::from_secs(2);
/// See [`FIRST_HOLD`].
const LONGEST_HOLD: Duration = Duration::from_mins(4);
const SOON: Duration = Duration::from_mins(1);

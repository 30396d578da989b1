//! What scraping the metrics once a second costs the daemon, with a thousand tunnels: its processor time with and without,
//! in rounds that take turns, of as many seconds as the probes need to come round.
//!
//! ```text
//! gotthard run, which is scraped --- veth --- gotthard run, the peer of all its tunnels
//! ```

use core::fmt;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use gotthard_lab::exposition::{self, Wants};
use gotthard_lab::fleet::{End, Fleet, PAGE};
use gotthard_lab::{Gotthard, Run, Suite};

use crate::peers::usage::Watched;
use crate::{interrupt, machine};

/// What is measured.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Connections of two tunnels each
    #[arg(long, default_value_t = 500)]
    connections: u32,
    /// Rounds, of three times five seconds: without a scrape, by the control socket, by TCP
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Leaves the tunnels down: there is no peer
    #[arg(long)]
    down: bool,
}

/// A way to scrape.
#[derive(Clone, Copy, Debug)]
enum Way {
    Not,
    Socket,
    Tcp,
}

/// Runs the bench and prints a table.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        std::env::var_os("GOTTHARD_BIN").is_some(),
        "GOTTHARD_BIN names the daemon: target/release/gotthard"
    );
    let _turn = machine::take()?;
    let dir = tempfile::Builder::new().prefix("gotthard-scrape-").tempdir()?;
    let run = Run::new(Suite::Gcm, dir.path().to_owned());
    let fleet = Fleet::new(&run, arguments.connections)?;
    let begun = Instant::now();
    let end = if arguments.down { End::Responder } else { End::Initiator };
    let peer = if arguments.down { None } else { Some(fleet.start(&run, End::Responder)?) };
    if let Some(peer) = &peer {
        peer.await_running(READY)?;
    }
    let gateway = fleet.start(&run, end)?;
    gateway.await_running(READY)?;
    if peer.is_some() {
        gateway.await_up(READY)?;
        rekey_all(&gateway, arguments.connections)?;
    }
    eprintln!("ready after {} s", begun.elapsed().as_secs());
    // What it takes to become up is over when nothing but probes is left.
    thread::sleep(SETTLED);

    let page = exposition::on_socket(gateway.socket(), Wants::Open)?;
    let mut rounds = Vec::new();
    for round in 0..arguments.rounds {
        let mut shares = [0.0; 3];
        for (way, share) in WAYS.iter().zip(&mut shares) {
            interrupt::check()?;
            *share = 100.0 * measure(&fleet, end, &gateway, *way)?;
        }
        let [nothing, socket, tcp] = shares;
        eprintln!("{round}: {nothing:.2} % of a core, {socket:.2} %, {tcp:.2} %");
        rounds.push(shares);
    }
    let middle = |value: fn(&[f64; 3]) -> f64| median(rounds.iter().map(value).collect());
    let (tunnels, state) = (2 * arguments.connections, if arguments.down { "down" } else { "up" });
    println!(
        "{tunnels} tunnels, {state}; a page has {} lines, {} KiB",
        page.lines().count(),
        page.len() >> 10
    );
    println!("| once a second | of a core | more than without, within a round |\n|---|---|---|");
    println!("| {} | {:.2} % | |", Way::Not, middle(|[nothing, ..]| *nothing));
    println!("| {} | {:.2} % | {:.2} % |", Way::Socket, middle(|[_, s, _]| *s), middle(|[n, s, _]| s - n));
    println!("| {} | {:.2} % | {:.2} % |", Way::Tcp, middle(|[.., t]| *t), middle(|[n, _, t]| t - n));
    Ok(())
}

/// Every tunnel has histograms of rekeys from here on, as after some hours.
fn rekey_all(gateway: &Gotthard, connections: u32) -> Result<()> {
    for connection in 0..connections {
        for tunnel in [1, 2] {
            let name = format!("cloud-{connection}/{tunnel}");
            gateway.ask(&["rekey", &name])?;
        }
    }
    Ok(())
}

/// The share of a core that the daemon takes while each second begins with a scrape.
fn measure(fleet: &Fleet, end: End, gateway: &Gotthard, way: Way) -> Result<f64> {
    let daemon = Watched::new(gateway.process.pid());
    let before = daemon.cpu()?;
    let start = Instant::now();
    for second in 1..=SECONDS {
        match way {
            Way::Not => {}
            Way::Socket => drop(exposition::on_socket(gateway.socket(), Wants::Open)?),
            Way::Tcp => drop(exposition::on_tcp(fleet.host(end), PAGE, Wants::Open)?),
        }
        thread::sleep((SECOND * second).saturating_sub(start.elapsed()));
    }
    let used = daemon.cpu()?.checked_sub(before).context("a thread of the daemon has ended")?;
    Ok(used.as_secs_f64() / start.elapsed().as_secs_f64())
}

fn median(mut shares: Vec<f64>) -> f64 {
    shares.sort_by(f64::total_cmp);
    shares.get(shares.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Not => "no scrape",
            Self::Socket => "by the control socket",
            Self::Tcp => "by TCP",
        })
    }
}

/// In this order.
const WAYS: [Way; 3] = [Way::Not, Way::Socket, Way::Tcp];
const READY: Duration = Duration::from_mins(5);
const SETTLED: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);
/// Of one way: every probe is sent as often in all of them. No idle thread of the daemon ends so soon, and takes its time along.
const SECONDS: u32 = gotthard_lab::fleet::PROBE_SECONDS;

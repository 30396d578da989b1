//! How long the liveness check of one tunnel waits while the daemon answers a storm of handshakes, all on one core.
//!
//! ```text
//! clients that shake hands without end (one core) --- veth --- gotthard run (one core)
//! one client that stays, and asks again and again --/
//! ```

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use clap::Args;
use gotthard_benches::tunnel;
use gotthard_dataplane::sys::affinity;
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::{Gotthard, Netns, Run, Suite};

use super::clients::{Clients, Steady, client};
use super::handshakes::{bed, pin};
use crate::machine;

/// How large the storm is.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How long it lasts
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Handshakes under way at a time
    #[arg(long, default_value_t = 48)]
    clients: u8,
}

/// Runs the bench.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        std::env::var_os("GOTTHARD_BIN").is_some(),
        "GOTTHARD_BIN names the daemon: target/release/gotthard"
    );
    ensure!(arguments.clients < u8::MAX, "one client stays");
    let _turn = machine::take()?;
    let cores = affinity::cores();
    let (load, daemon) = (*cores.first().context("a core")?, *cores.last().context("a core")?);
    let dir = tempfile::Builder::new().prefix("gotthard-storm-").tempdir()?;
    let (left, right) = bed(RESPONDER)?;
    let run = Run::new(Suite::Gcm, dir.path().to_owned());
    let gateway = Gotthard::start(&run, &right, "gotthard", &configuration(arguments.clients))?;
    gateway.await_running(READY)?;
    pin(gateway.process.pid(), daemon)?;
    affinity::pin(load)?;

    let mut steady = Steady::new(arguments.clients, &left, RESPONDER, GROUP, INTERVAL)?;
    steady.come_up(READY)?;
    let calm = steady.ask_for(Duration::from_secs(arguments.seconds))?;
    let (made, stormy) = storm(arguments, &left, &mut steady)?;
    let rate = made as f64 / arguments.seconds as f64;
    println!("liveness, answered after   median      99 %   longest");
    println!("without a storm      {}", shown(calm));
    println!("{rate:>5.0} IKE SAs a second {}", shown(stormy));
    Ok(())
}

/// Counts the IKE SAs that were made meanwhile.
fn storm(arguments: &Arguments, host: &Netns, steady: &mut Steady) -> Result<(u64, Vec<Duration>)> {
    let mut clients = Clients::new(arguments.clients, host, RESPONDER, GROUP)?;
    ensure!(clients.run_for(WARM_UP)? > 0, "no handshake succeeds");
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let mut made = 0;
            while !ended.load(Ordering::Relaxed) {
                made += clients.run_for(SLICE)?;
            }
            anyhow::Ok(made)
        });
        let delays = steady.ask_for(Duration::from_secs(arguments.seconds));
        ended.store(true, Ordering::Relaxed);
        let made = clients.join().ok().context("the clients ended")??;
        Ok((made, delays?))
    })
}

/// A tunnel for each client, the one that stays among them.
fn configuration(clients: u8) -> Config {
    let tunnel = |number: u8| Tunnel {
        peer: client(number).to_string(),
        inside: format!("169.254.{number}.1/30"),
        psk: tunnel::PSK.to_owned(),
        options: Vec::new(),
    };
    Config {
        local: RESPONDER.to_string(),
        cloud: "generic".to_owned(),
        remote: vec!["10.200.0.0/16".to_owned()],
        options: vec!["mode = \"responder\"".to_owned(), "dpd_interval = \"60s\"".to_owned()],
        tunnels: (0..=clients).map(tunnel).collect(),
        log: "error",
        ..Config::aws(Suite::Gcm)
    }
}

fn shown(mut delays: Vec<Duration>) -> String {
    delays.sort();
    let at =
        |part: usize| delays.get(delays.len().saturating_sub(1) * part / 100).copied().unwrap_or_default();
    let [median, most, longest] = [at(50), at(99), at(100)].map(|delay| delay.as_secs_f64() * 1e3);
    format!("{median:>9.1} ms {most:>6.1} ms {longest:>6.1} ms, {} checks", delays.len())
}

const RESPONDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
/// The costliest of those that both clouds offer first.
const GROUP: &str = "modp2048";
/// The client that stays asks after so long a silence.
const INTERVAL: Duration = Duration::from_millis(50);
const READY: Duration = Duration::from_secs(20);
const WARM_UP: Duration = Duration::from_secs(1);
const SLICE: Duration = Duration::from_millis(100);

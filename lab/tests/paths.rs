//! Every way through our gateway against strongSwan: back ends, offloads, transforms and worker counts.
//!
//! `GOTTHARD_PATH=syscalls-plain-1 cargo test -p gotthard-lab` runs all other scenarios on one of them.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use gotthard_lab::gotthard::Config;
use gotthard_lab::process::Signal;
use gotthard_lab::run::say;
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::status::Status;
use gotthard_lab::strongswan::Charon;
use gotthard_lab::traffic::{Datagrams, Direction, Stream, expect_ping};
use gotthard_lab::{Gotthard, Path, Run, scenarios};

scenarios!(every_path_carries_ping_tcp_and_udp_both_ways_to_strongswan);

fn every_path_carries_ping_tcp_and_udp_both_ways_to_strongswan(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    for path in Path::all() {
        carries(run, &site, &aws, path).with_context(|| path.to_string())?;
    }
    Ok(())
}

fn carries(run: &Run, site: &Site, aws: &[Charon], path: Path) -> Result<()> {
    let start = Instant::now();
    let config = Config::aws(run.suite).on(path);
    let mut gateway = Gotthard::start(run, &site.gateway, &format!("gotthard-{path}"), &config)?;
    let active = gateway.await_up(SOON)?.active()?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    let stream = Stream { direction: Direction::Both, ..site.lan_stream(active, Direction::Both) };
    let bits = Stream { cap_mbit: None, ..stream }.run(run)?;
    let udp = Stream { cap_mbit: Some(UDP_MBIT), ..stream }.run_udp(run, UDP_OCTETS)?;
    let status = gateway.status()?;
    path.expect(&status.dataplane)?;
    say(&format!(
        "lab:   {:<22} {:<4} TCP {:>4.0} Mbit/s both ways, UDP {} sent, {} lost, {} late; {:.1} s",
        path.to_string(),
        run.suite.word(),
        bits / MEGA,
        udp.sent,
        udp.lost,
        udp.late,
        start.elapsed().as_secs_f32()
    ));
    nothing_is_out_of_place(&status, udp)?;
    gateway.process.signal(Signal::TERM)?;
    gateway.process.success(SOON)?;
    aws.iter().try_for_each(|endpoint| endpoint.await_no_sa(SOON))
}

/// strongSwan's user-space ESP, the slower end, may drop of a burst what it has no room for.
fn nothing_is_out_of_place(status: &Status, udp: Datagrams) -> Result<()> {
    ensure!(udp.late == 0, "{udp:?}");
    ensure!(udp.lost * 50 <= udp.sent, "{udp:?}");
    for tunnel in status.tunnels() {
        ensure!(tunnel.esp.drops.replay == 0 && tunnel.esp.drops.icv == 0, "{:?}", tunnel.esp);
    }
    Ok(())
}

const SOON: Duration = Duration::from_secs(5);
const UDP_MBIT: u32 = 20;
const UDP_OCTETS: usize = 1200;
const MEGA: f64 = 1e6;

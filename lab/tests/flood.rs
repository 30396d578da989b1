//! H1: a flood of first requests, half of them in the names of our own peers. The tunnel that is up does not feel it,
//! and an honest peer whose address is forged comes up all the same.
//!
//! Short unless asked otherwise: `GOTTHARD_FLOOD_SECONDS=30`. `GOTTHARD_FLOOD_RATE` sets the requests a second; what was
//! reached is printed, since sender, gateway and both peers share the machine.

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};
use gotthard_lab::flow::{Flow, Report};
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::hostile::flood::Flood;
use gotthard_lab::run::{number, say};
use gotthard_lab::site::{Site, inside_of};
use gotthard_lab::strongswan::posture;
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(a_flood_of_first_requests_slows_no_tunnel_and_keeps_no_peer_out);

fn a_flood_of_first_requests_slows_no_tunnel_and_keeps_no_peer_out(run: &Run) -> Result<()> {
    let rate = number("GOTTHARD_FLOOD_RATE", 100_000)?;
    let time = Duration::from_secs(number("GOTTHARD_FLOOD_SECONDS", 5)?.into());
    let site = Site::new()?;
    let config = Config { log: "info", ..Config::aws(run.suite) }.with("mode = \"responder\"");
    let mut gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    gateway.await_running(SOON)?;
    let established = peer(run, &site, 0)?;
    established.await_up(SOON)?;
    let before = gateway.process.resident_kib()?;
    let lines = gateway.process.log().lines().count();

    let flows = flows(&site)?;
    let start = Instant::now();
    let flood = Flood::start(&site.stranger, 1, rate, &PEERS, GATEWAY)?;
    thread::sleep(time / 5);
    let honest_start = Instant::now();
    let honest = peer(run, &site, 1)?;
    honest.await_up(SOON)?;
    let came_up = honest_start.elapsed();
    thread::sleep(time.saturating_sub(start.elapsed()));
    let sent = flood.finish()?;
    let reports = flows.into_iter().map(Flow::finish).collect::<Result<Vec<_>>>()?;

    let grown = gateway.process.peak_resident_kib()?.saturating_sub(before);
    let arrived: Vec<_> = reports.iter().map(arrived).collect();
    say(&format!(
        "lab: {} first requests/s for {:.0?}: an honest peer up after {came_up:.2?}, {grown} KiB more; of {PACKETS} \
         packets/s each way arrived, of 1000: {arrived:?}",
        sent.rate(),
        sent.time,
    ));
    ensure!(gateway.process.is_running()?, "the daemon has ended");
    ensure!(came_up <= Duration::from_secs(2), "the honest peer was kept out for {came_up:?}");
    ensure!(arrived.iter().all(|of_1000| *of_1000 >= 900), "the tunnel that was up suffered: {arrived:?}");
    ensure!(grown <= 16 << 10, "{grown} KiB more");
    let logged = gateway.process.log().lines().count().saturating_sub(lines);
    ensure!(logged as u64 <= 10 * (time.as_secs() + 2), "{logged} lines of log");
    gateway.await_up(SOON)?;
    for gateway in [&established, &honest] {
        ensure!(gateway.status()?.tunnel(0)?.is_up());
    }
    Ok(())
}

/// The other end of a tunnel: ours, initiating from an endpoint's address.
fn peer(run: &Run, site: &Site, index: usize) -> Result<Gotthard> {
    let tunnel = Tunnel {
        peer: posture::CUSTOMER_GATEWAY.to_owned(),
        inside: format!("{}/30", inside_of(index)),
        psk: posture::PSKS[index].to_owned(),
        options: Vec::new(),
    };
    let config = Config {
        local: posture::ENDPOINTS[index].to_owned(),
        cloud: "generic".to_owned(),
        remote: vec!["10.10.0.0/16".to_owned()],
        options: Vec::new(),
        tunnels: vec![tunnel],
        log: "info",
        ..Config::aws(run.suite)
    };
    Gotthard::start(run, &site.endpoints[index], &format!("endpoint{}", index + 1), &config)
}

/// Through the tunnel that is up, both ways.
fn flows(site: &Site) -> Result<[Flow; 2]> {
    let (far, near) = (inside_of(0), IpAddr::V4(Ipv4Addr::new(169, 254, 10, 2)));
    let (endpoint, gateway) = (&site.endpoints[0], &site.gateway);
    Ok([
        Flow::at(PACKETS, endpoint, (far, 7001).into(), &[gateway], (near, 7001).into())?,
        Flow::at(PACKETS, gateway, (near, 7002).into(), &[endpoint], (far, 7002).into())?,
    ])
}

/// Of a thousand packets, how many arrived.
fn arrived(report: &Report) -> u64 {
    report.sent.saturating_sub(report.lost.len() as u64) * 1000 / report.sent.max(1)
}

const GATEWAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), 500);
const PEERS: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 51, 100, 11), Ipv4Addr::new(198, 51, 100, 12)];
/// Packets a second each way: what two cores carry beside the flood and its sender.
const PACKETS: u32 = 2_000;
const SOON: Duration = Duration::from_secs(10);

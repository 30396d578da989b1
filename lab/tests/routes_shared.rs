//! Two tunnels that share the cloud's prefix, learnt by BGP or configured: flows are spread over both, whole and in order,
//! and nothing of the routes is left in the end.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use gotthard_lab::cloud::Aws;
use gotthard_lab::gotthard::{CONNECTION, Config, Gotthard};
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, Site, inside_of};
use gotthard_lab::traffic::await_ping;
use gotthard_lab::{Netns, Run, Suite, run, wait};
use rustix::process::Signal;

#[test]
fn flows_are_spread_over_both_tunnels_and_none_is_put_out_of_order() -> run::Outcome {
    scenario("routes_shared", |run, site| {
        let _aws = Aws::start(run, site)?;
        spread(run, site, &Config::aws_bgp(run.suite), |inside| format!("via {inside}  AS path 64512"))
    })
}

#[test]
fn flows_of_static_routing_are_spread_as_well_where_tunnels_share() -> run::Outcome {
    scenario("routes_shared_static", |run, site| {
        let _aws = site.aws(run)?;
        spread(run, site, &Config::aws(run.suite).with("ecmp = true"), |_| "static".to_owned())
    })
}

fn scenario(name: &str, body: impl FnOnce(&Run, &Site) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, |run| {
        let site = Site::new()?;
        // The hash of the flows is the kernel's; with a number of ours it is the same in every run.
        site.gateway.sysctl("net.ipv4.fib_multipath_hash_seed=71")?;
        body(run, &site)
    })
}

/// `source`: what `routes` says of where the path to an inside address comes from.
fn spread(run: &Run, site: &Site, config: &Config, source: fn(IpAddr) -> String) -> Result<()> {
    let gateway = Gotthard::start(run, &site.gateway, "gateway", config)?;
    await_shared(&gateway, &site.gateway, source)?;
    ensure!(hash_policy(&site.gateway)? == "1", "ports count");

    let arrived = send_flows(site)?;
    let counts = [0, 1].map(|endpoint| arrived[endpoint].len());
    run::say(&format!("lab: {FLOWS} flows: {counts:?} through the tunnels"));
    let both: BTreeSet<_> = arrived.iter().flat_map(BTreeMap::keys).collect();
    ensure!(both.len() == usize::from(FLOWS), "{} flows arrived: {counts:?}", both.len());
    ensure!(counts.iter().sum::<usize>() == both.len(), "a flow went both ways: {counts:?}");
    for (port, numbers) in arrived.iter().flatten() {
        ensure!(numbers.is_sorted(), "flow {port} is out of order: {numbers:?}");
        ensure!(numbers.len() == usize::from(PACKETS), "flow {port} lost some: {numbers:?}");
    }
    ensure!(counts.iter().all(|count| count * 100 > 35 * usize::from(FLOWS)), "{counts:?}");
    expect_nothing_left(gateway, &site.gateway)
}

/// The kernel's route has both devices, and `routes` says so.
fn await_shared(gateway: &Gotthard, host: &Netns, source: fn(IpAddr) -> String) -> Result<()> {
    let shown = || host.ip_output("route show 10.200.0.0/16 proto 71");
    wait::until_true(UP, "both tunnels to share the prefix", || {
        Ok(["nexthop dev gth0", "nexthop dev gth1"].iter().all(|hop| shown().is_ok_and(|s| s.contains(hop))))
    })
    .with_context(|| {
        format!("{}{}", shown().unwrap_or_default(), gateway.ask(&["routes"]).unwrap_or_default())
    })?;
    let routes = gateway.ask(&["routes"])?;
    for (index, tunnel) in ["1", "2"].into_iter().enumerate() {
        let path = routes.lines().find(|line| line.contains(&format!("● {CONNECTION}/{tunnel}")));
        let path = path.with_context(|| format!("no path through tunnel {tunnel} is used:\n{routes}"))?;
        ensure!(path.contains(&source(inside_of(index))), "{routes}");
    }
    Ok(())
}

/// Sends the flows from the LAN; returns what arrived at each endpoint, by source port.
fn send_flows(site: &Site) -> Result<[BTreeMap<u16, Vec<u16>>; 2]> {
    await_ping(&site.lan, CLOUD_HOST, UP)?;
    let target = SocketAddr::new(CLOUD_HOST, PORT);
    let mut receivers = Vec::new();
    for endpoint in &site.endpoints {
        let socket = endpoint.udp(target)?;
        socket.set_read_timeout(Some(QUIET))?;
        receivers.push(thread::spawn(move || receive(&socket)));
    }
    let flows = (FIRST..FIRST + FLOWS).map(|port| site.lan.udp(SocketAddr::new(LAN_HOST, port)));
    let flows: Vec<UdpSocket> = flows.collect::<Result<_>>()?;
    for number in 0..PACKETS {
        for flow in &flows {
            flow.send_to(&number.to_be_bytes(), target)?;
        }
        // Less than a queue of the way holds.
        thread::sleep(PACE);
    }
    let mut arrived = receivers.into_iter().map(|receiver| receiver.join().map_err(|_| anyhow!("panicked")));
    let mut next = || arrived.next().context("a receiver")?;
    Ok([next()?, next()?])
}

/// Until nothing has come for a while.
fn receive(socket: &UdpSocket) -> BTreeMap<u16, Vec<u16>> {
    let mut flows: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    let mut packet = [0; 2];
    while let Ok((2, from)) = socket.recv_from(&mut packet) {
        flows.entry(from.port()).or_default().push(u16::from_be_bytes(packet));
    }
    flows
}

fn expect_nothing_left(mut gateway: Gotthard, host: &Netns) -> Result<()> {
    gateway.process.signal(Signal::TERM)?;
    gateway.process.success(UP)?;
    for (what, command) in
        [("routes", "route show table all proto 71"), ("devices", "-brief link show type tun")]
    {
        let left = host.ip_output(command)?;
        ensure!(left.is_empty(), "{what} are left: {left}");
    }
    ensure!(hash_policy(host)? == "0", "the kernel's hash is put back");
    Ok(())
}

fn hash_policy(host: &Netns) -> Result<String> {
    let value = host.output("sysctl", &["-n", "net.ipv4.fib_multipath_hash_policy"])?;
    Ok(value.trim().to_owned())
}

const UP: Duration = Duration::from_mins(1);
const PORT: u16 = 7000;
/// Source ports of the flows.
const FIRST: u16 = 20_000;
const FLOWS: u16 = 64;
/// Packets of a flow.
const PACKETS: u16 = 50;
const PACE: Duration = Duration::from_millis(10);
/// No packet is so long on its way.
const QUIET: Duration = Duration::from_secs(5);

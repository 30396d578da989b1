//! A gateway with two uplinks, one for each tunnel: the loss of one is told by the kernel and moves the traffic at once,
//! without waiting for the probe, which is slow here.
//!
//! ```text
//! gateway 203.0.113.10 === outside  --- customer  === wan === endpoint 1
//!                      === outside2 --- customer2 ===     === endpoint 2
//! ```

use core::time::Duration;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use gotthard_lab::flow::Flow;
use gotthard_lab::gotthard::Config;
use gotthard_lab::run::say;
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, OUTSIDE, Site};
use gotthard_lab::strongswan::posture;
use gotthard_lab::{Gotthard, Netns, Run, scenarios};

scenarios!(
    an_uplink_without_a_carrier_moves_the_traffic_at_once,
    an_uplink_that_is_set_down_moves_the_traffic_at_once
);

fn an_uplink_without_a_carrier_moves_the_traffic_at_once(run: &Run) -> Result<()> {
    lose_uplinks(run, |site| &site.wan, FAR)
}

fn an_uplink_that_is_set_down_moves_the_traffic_at_once(run: &Run) -> Result<()> {
    lose_uplinks(run, |site| &site.gateway, NEAR)
}

/// Loses the uplink of the tunnel that carries and mends it, and then that of the other one.
fn lose_uplinks(run: &Run, side: fn(&Site) -> &Netns, devices: [&str; 2]) -> Result<()> {
    let site = Site::new()?;
    connect_second_uplink(&site)?;
    let _aws = site.aws(run)?;
    let config = Config::aws(run.suite).with(&format!("probe_interval = \"{}s\"", PROBE.as_secs()));
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    for _ in 0..2 {
        let active = gateway.await_up(RECOVERY)?.active()?;
        let flow = upward(&site)?;
        flow.await_arrivals(SOME, RECOVERY)?;
        side(&site).ip(&format!("link set {} down", devices[active]))?;
        let status = gateway.await_status(RECOVERY, "the traffic to move", |status| {
            status.active().is_ok_and(|now| now != active)
        })?;
        let broken = status.tunnel(active)?.broken.as_ref().context("no broken link")?;
        ensure!(broken.code == "GTH-NET-02" && broken.message.contains(NEAR[active]), "{broken:?}");
        flow.await_arrivals(SOME, RECOVERY)?;
        let report = flow.finish()?;
        side(&site).ip(&format!("link set {} up", devices[active]))?;
        route_through(&site, active)?;
        say(&format!("lab: {} is down: gap {} ms", devices[active], report.gap().as_millis()));
        ensure!(report.gap() < PROBE, "{:?}: not before the probe has told", report.gap());
    }
    gateway.await_up(RECOVERY).map(drop)
}

/// Between gateway and the outside, a second time. Without a default route neither is the spare of the other.
fn connect_second_uplink(site: &Site) -> Result<()> {
    site.gateway.link(NEAR[1], &site.wan, FAR[1])?;
    site.gateway.address("203.0.114.10/24", NEAR[1])?;
    site.wan.address("203.0.114.1/24", FAR[1])?;
    site.wan.ip(&format!("rule add from {} lookup {TABLE}", posture::ENDPOINTS[1]))?;
    site.gateway.ip("route del default")?;
    (0..2).try_for_each(|index| route_through(site, index))
}

/// Each endpoint is reached through its own uplink and answers through it; a link that was down has lost its routes.
fn route_through(site: &Site, index: usize) -> Result<()> {
    let (endpoint, router) = (posture::ENDPOINTS[index], ROUTERS[index]);
    if index == 1 {
        let gateway = posture::CUSTOMER_GATEWAY;
        site.wan.ip(&format!("route replace {gateway} dev {} table {TABLE}", FAR[index]))?;
    }
    site.gateway.ip(&format!("route replace {endpoint} via {router} dev {}", NEAR[index]))
}

fn upward(site: &Site) -> Result<Flow> {
    let [one, two] = &site.endpoints;
    let (source, target) = (SocketAddr::new(LAN_HOST, 0), SocketAddr::new(CLOUD_HOST, PORT));
    Flow::at(RATE, &site.lan, source, &[one, two], target)
}

/// The uplinks as the gateway has them, and their other ends.
const NEAR: [&str; 2] = [OUTSIDE, "outside2"];
const FAR: [&str; 2] = ["customer", "customer2"];
const ROUTERS: [&str; 2] = ["203.0.113.1", "203.0.114.1"];
/// What comes from the second endpoint is routed by it.
const TABLE: u32 = 100;
/// So long that three echoes in vain take three times as long as the move may.
const PROBE: Duration = Duration::from_secs(2);
const RATE: u32 = 1000;
const PORT: u16 = 7002;
/// Packets that have to arrive before a flow counts as flowing.
const SOME: u64 = 200;
const RECOVERY: Duration = Duration::from_secs(40);

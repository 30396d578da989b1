//! A peer that loses its state, a path that is cut: traffic returns with nobody's help.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::gotthard::Config;
use gotthard_lab::outage::{self, Vanishes};
use gotthard_lab::site::{CLOUD_HOST, Site, inside_of};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::{await_ping, expect_ping};
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(
    a_peer_killed_and_restarted_without_state_is_reached_again,
    traffic_moves_to_the_other_tunnel_when_one_is_cut_and_the_cut_one_returns
);

fn a_peer_killed_and_restarted_without_state_is_reached_again(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let mut aws = site.aws(run)?;
    let capture = site.capture(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &quick(run))?;
    let before = gateway.await_up(UP)?;
    expect_ping(&site.gateway, inside_of(0))?;
    aws[0].restart_after_kill(&site.endpoints[0])?;
    let old = before.tunnel(0)?.ike.clone();
    gateway.await_status(RECOVERY, "tunnel 1 to be up anew", |status| {
        status.tunnels().next().is_some_and(|tunnel| tunnel.is_up() && tunnel.ike.spi_i != old.spi_i)
    })?;
    aws[0].await_established(UP)?;
    expect_ping(&site.gateway, inside_of(0))?;
    let after = gateway.status()?;
    let untouched = [&before, &after].map(|status| status.tunnel(1).map(|tunnel| tunnel.ike.clone()).ok());
    ensure!(untouched[0] == untouched[1], "tunnel 2 was touched: {untouched:?}");
    ensure!(after.tunnel(0)?.esp.tx_packets >= before.tunnel(0)?.esp.tx_packets, "counters went back");
    capture.expect_no_inner_packet()?;
    Ok(())
}

fn traffic_moves_to_the_other_tunnel_when_one_is_cut_and_the_cut_one_returns(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    let capture = site.capture(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &quick(run))?;
    let first = gateway.await_up(UP)?.active()?;
    let other = 1 - first;
    expect_ping(&site.lan, CLOUD_HOST)?;
    outage::silence(&site.wan, posture::ENDPOINTS[first], Vanishes::All)?;
    await_ping(&site.lan, CLOUD_HOST, RECOVERY)?;
    let cut = gateway.status()?;
    ensure!(cut.connections.iter().all(|connection| connection.state == "degraded"), "{cut:?}");
    ensure!(cut.active()? == other, "{cut:?}");
    ensure!(cut.tunnel(first)?.broken.is_some(), "the broken link is not named");
    let carried = aws[other].sas()?.number("packets-in");
    expect_ping(&site.lan, CLOUD_HOST)?;
    ensure!(
        aws[other].sas()?.number("packets-in") >= carried + 5,
        "the other endpoint did not get the pings"
    );
    outage::mend(&site.wan)?;
    gateway.await_up(RECOVERY)?;
    expect_ping(&site.gateway, inside_of(first))?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    capture.expect_no_inner_packet()?;
    Ok(())
}

fn quick(run: &Run) -> Config {
    Config::aws(run.suite).with("dpd_interval = \"1s\"")
}

const UP: Duration = Duration::from_secs(5);
/// Liveness: 1 s of silence, 11.5 s of retransmissions, a back-off, a handshake.
const RECOVERY: Duration = Duration::from_secs(30);

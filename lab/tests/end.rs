//! How it ends: SIGTERM leaves nothing behind, and nothing inner leaves in clear, whatever is down or dead.

use core::time::Duration;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Result, ensure};
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::process::Signal;
use gotthard_lab::site::{CLOUD_HOST, Site, inside_of};
use gotthard_lab::traffic::{expect_ping, ping};
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(
    gcm:
    sigterm_deletes_the_sas_at_the_peers_and_leaves_nothing_behind,
    nothing_inner_leaves_in_clear_while_tunnels_are_not_yet_up_or_are_taken_down,
    nothing_inner_leaves_in_clear_when_the_daemon_is_killed,
    nothing_inner_leaves_in_clear_when_all_peers_are_dead
);

fn sigterm_deletes_the_sas_at_the_peers_and_leaves_nothing_behind(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    let capture = site.capture(run)?;
    let before = site.gateway.configuration()?;
    let mut gateway = Gotthard::start(run, &site.gateway, "gotthard", &dual_stack(run))?;
    gateway.await_up(SOON)?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    terminate(&mut gateway)?;
    for endpoint in &aws {
        endpoint.await_no_sa(Duration::from_secs(3))?;
        ensure!(endpoint.log().contains("received DELETE for IKE_SA"), "the peer got no Delete");
    }
    same(&before, &site.gateway.configuration()?)?;
    capture.expect_no_inner_packet()?;
    Ok(())
}

fn nothing_inner_leaves_in_clear_while_tunnels_are_not_yet_up_or_are_taken_down(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &dual_stack(run))?;
    gateway.await_status(SOON, "a tunnel to try", |status| {
        status.tunnels().any(|tunnel| tunnel.ike.state == "connecting")
    })?;
    let capture = site.capture(run)?;
    knock(&site)?;
    let _aws = site.aws(run)?;
    gateway.await_up(Duration::from_secs(30))?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    gateway.ask(&["down", CONNECTION])?;
    gateway.await_status(SOON, "both tunnels to be down", |status| {
        status.tunnels().all(|tunnel| tunnel.state == "admin-down" && tunnel.esp.state == "down")
    })?;
    knock(&site)?;
    gateway.ask(&["up", CONNECTION])?;
    gateway.await_up(SOON)?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    ensure!(!gateway.process.log().contains("GTH-EVT-11"), "a peer is silent whose tunnel was to be down");
    capture.expect_no_inner_packet()?;
    Ok(())
}

fn nothing_inner_leaves_in_clear_when_the_daemon_is_killed(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let before = site.gateway.configuration()?;
    let mut gateway = Gotthard::start(run, &site.gateway, "gotthard", &dual_stack(run))?;
    gateway.await_up(SOON)?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    let capture = site.capture(run)?;
    gateway.process.kill()?;
    knock(&site)?;

    // The next one takes over what the dead one left, and leaves nothing itself.
    let mut gateway = Gotthard::start(run, &site.gateway, "gotthard", &dual_stack(run))?;
    gateway.await_up(SOON)?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    capture.expect_no_inner_packet()?;
    terminate(&mut gateway)?;
    same(&before, &site.gateway.configuration()?)
}

fn nothing_inner_leaves_in_clear_when_all_peers_are_dead(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let mut aws = site.aws(run)?;
    let config = dual_stack(run).with("dpd_interval = \"1s\"");
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    gateway.await_up(SOON)?;
    let capture = site.capture(run)?;
    for endpoint in &mut aws {
        endpoint.kill()?;
    }
    knock(&site)?;
    gateway.await_status(Duration::from_secs(30), "the connection to be down", |status| {
        status.connections.iter().all(|connection| connection.state == "down")
    })?;
    knock(&site)?;
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// Sends to everything behind the tunnels, from the LAN and from the gateway, IPv4 and IPv6; nothing answers.
fn knock(site: &Site) -> Result<()> {
    for host in [&site.lan, &site.gateway] {
        for target in [CLOUD_HOST, CLOUD_HOST_V6, inside_of(0)] {
            let (seen, text) = ping(host, target, 10, None)?;
            ensure!(seen.received == 0, "an answer without a tunnel: {text}");
        }
    }
    Ok(())
}

fn terminate(gateway: &mut Gotthard) -> Result<()> {
    gateway.process.signal(Signal::TERM)?;
    gateway.process.success(SOON)
}

fn same(before: &str, after: &str) -> Result<()> {
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");
    Ok(())
}

fn dual_stack(run: &Run) -> Config {
    let mut config = Config::aws(run.suite);
    config.remote.push("2001:db8:200::/48".to_owned());
    config
}

const CLOUD_HOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x200, 0, 0, 0, 0, 1));
const SOON: Duration = Duration::from_secs(10);

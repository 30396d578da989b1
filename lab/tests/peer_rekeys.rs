//! The peer rekeys the child and the IKE SA under traffic: no packet is lost.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::flow::Flow;
use gotthard_lab::gotthard::Config;
use gotthard_lab::run::say;
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, Site};
use gotthard_lab::status::Tunnel;
use gotthard_lab::strongswan::Charon;
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, scenarios, wait};

scenarios!(the_peer_rekeys_child_and_ike_sa_and_no_packet_is_lost);

fn the_peer_rekeys_child_and_ike_sa_and_no_packet_is_lost(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    let capture = site.capture(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let status = gateway.await_up(SOON)?;
    ensure!(status.tunnel(0)?.active, "the first tunnel is not the one in use");
    expect_ping(&site.lan, CLOUD_HOST)?;
    let up =
        Flow::start(&site.lan, (LAN_HOST, 7001).into(), &[&site.endpoints[0]], (CLOUD_HOST, 7001).into())?;
    let down =
        Flow::start(&site.endpoints[0], (CLOUD_HOST, 7002).into(), &[&site.lan], (LAN_HOST, 7002).into())?;

    child_is_rekeyed(&gateway, &aws[0], 1)?;
    let before = ike_sa(&gateway)?;
    aws[0].rekey_ike("tun1")?;
    gateway.await_status(SOON, "the IKE SA to be rekeyed", |status| {
        first(status, |tunnel| tunnel.ike.rekeys == 1)
    })?;
    ensure!(ike_sa(&gateway)? != before, "the same SPIs after a rekey of the IKE SA");
    child_is_rekeyed(&gateway, &aws[0], 2)?;
    child_is_rekeyed(&gateway, &aws[0], 3)?;

    for (flow, direction) in [(up, "to the cloud"), (down, "from the cloud")] {
        let report = flow.finish()?;
        say(&format!(
            "lab: rekeys, {}: {} packets {direction}, {} lost",
            run.suite.word(),
            report.sent,
            report.lost.len()
        ));
        report.expect_whole(direction)?;
    }
    ensure!(gateway.status()?.tunnel(0)?.is_up());
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// Has the peer rekey the child and waits until both ends have the new one alone.
fn child_is_rekeyed(gateway: &Gotthard, peer: &Charon, count: u64) -> Result<()> {
    let old = spi(peer)?;
    peer.rekey_child("tun1-c")?;
    wait::until_true(SOON, "the peer to have the new child alone", || {
        let sas = peer.sas()?;
        let children = sas.values("spi-in").count();
        Ok(children == 1 && sas.installed() == 1 && spi(peer)? != old)
    })?;
    gateway.await_status(SOON, "the rekey to be counted", |status| {
        first(status, |tunnel| tunnel.esp.rekeys == count)
    })?;
    Ok(())
}

fn spi(peer: &Charon) -> Result<Option<String>> {
    Ok(peer.sas()?.values("spi-in").last().map(str::to_owned))
}

fn ike_sa(gateway: &Gotthard) -> Result<[Option<String>; 2]> {
    let status = gateway.status()?;
    let ike = &status.tunnel(0)?.ike;
    Ok([ike.spi_i.clone(), ike.spi_r.clone()])
}

fn first(status: &gotthard_lab::status::Status, holds: impl Fn(&Tunnel) -> bool) -> bool {
    status.tunnels().next().is_some_and(holds)
}

const SOON: Duration = Duration::from_secs(10);

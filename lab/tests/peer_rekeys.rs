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
    let active = gateway.await_up(SOON)?.active()?;
    let end = Rekeyed { gateway: &gateway, peer: &aws[active], index: active };
    let endpoint = &site.endpoints[active];
    expect_ping(&site.lan, CLOUD_HOST)?;
    let up = Flow::start(&site.lan, (LAN_HOST, 7001).into(), &[endpoint], (CLOUD_HOST, 7001).into())?;
    let down = Flow::start(endpoint, (CLOUD_HOST, 7002).into(), &[&site.lan], (LAN_HOST, 7002).into())?;

    end.rekey_child(1)?;
    end.rekey_ike(1)?;
    end.rekey_child(2)?;
    end.rekey_child(3)?;

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
    ensure!(end.tunnel()?.is_up());
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// A tunnel whose peer rekeys it.
struct Rekeyed<'a> {
    gateway: &'a Gotthard,
    peer: &'a Charon,
    index: usize,
}

impl Rekeyed<'_> {
    /// Has the peer rekey the child and waits until both ends have the new one alone.
    fn rekey_child(&self, count: u64) -> Result<()> {
        let old = self.spi()?;
        self.peer.rekey_child(&format!("tun{}-c", self.index + 1))?;
        // strongSwan keeps the old inbound SA for 5 s (delete_rekeyed_delay).
        wait::until_true(SOON, "the peer to have the new child alone", || {
            let sas = self.peer.sas()?;
            Ok(sas.values("spi-in").count() == 1 && sas.installed() == 1 && self.spi()? != old)
        })?;
        wait::until_true(SOON, "the rekey to be counted", || Ok(self.tunnel()?.esp.rekeys == count))
    }

    /// Has the peer rekey the IKE SA.
    fn rekey_ike(&self, count: u64) -> Result<()> {
        let old = self.tunnel()?.ike;
        self.peer.rekey_ike(&format!("tun{}", self.index + 1))?;
        wait::until_true(SOON, "the rekey to be counted", || Ok(self.tunnel()?.ike.rekeys == count))?;
        let new = self.tunnel()?.ike;
        ensure!(new.spi_i != old.spi_i && new.spi_r != old.spi_r, "{old:?}, {new:?}");
        Ok(())
    }

    fn spi(&self) -> Result<Option<String>> {
        Ok(self.peer.sas()?.values("spi-in").last().map(str::to_owned))
    }

    fn tunnel(&self) -> Result<Tunnel> {
        Ok(self.gateway.status()?.tunnel(self.index)?.clone())
    }
}

const SOON: Duration = Duration::from_secs(10);

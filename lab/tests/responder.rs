//! We answer and strongSwan initiates.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::gotthard::Config;
use gotthard_lab::site::{CLOUD_HOST, Site, inside_of};
use gotthard_lab::strongswan::{Charon, Connection, posture};
use gotthard_lab::traffic::{Direction, expect_ping};
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(strongswan_initiates_and_traffic_crosses_both_ways);

fn strongswan_initiates_and_traffic_crosses_both_ways(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let capture = site.capture(run)?;
    let config = Config::aws(run.suite).with("mode = \"responder\"");
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    gateway.await_running(SOON)?;
    let peers = [initiator(run, &site, 0)?, initiator(run, &site, 1)?];
    for peer in &peers {
        peer.initiate("tun-c")?;
        peer.await_established(SOON)?;
    }
    let status = gateway.await_up(SOON)?;
    for tunnel in status.tunnels() {
        ensure!(tunnel.esp.mtu == Some(run.suite.inner_mtu_in_udp()), "{tunnel:?}");
    }
    for index in [0, 1] {
        expect_ping(&site.gateway, inside_of(index))?;
    }
    expect_ping(&site.lan, CLOUD_HOST)?;
    for direction in [Direction::Up, Direction::Down] {
        site.lan_stream(status.active()?, direction).run(run)?;
    }
    capture.expect_no_inner_packet()?;
    Ok(())
}

fn initiator(run: &Run, site: &Site, index: usize) -> Result<Charon> {
    let connection = Connection {
        name: "tun".to_owned(),
        local: posture::ENDPOINTS[index].to_owned(),
        remote: posture::CUSTOMER_GATEWAY.to_owned(),
        psk: posture::PSKS[index].to_owned(),
        ike: run.suite.ike().to_owned(),
        esp: run.suite.esp().to_owned(),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "0.0.0.0/0".to_owned(),
        options: Vec::new(),
        child_options: Vec::new(),
    };
    let name = format!("endpoint{}", index + 1);
    Charon::start(run, &site.endpoints[index], &name, &Connection::render(&[connection])?)
}

const SOON: Duration = Duration::from_secs(10);

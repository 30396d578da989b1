//! A NAT (nftables masquerade) between the gateway and the cloud.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::capture::Capture;
use gotthard_lab::gotthard::Config;
use gotthard_lab::site::{CLOUD_HOST, Site, inside_of};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::{Direction, expect_ping};
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(both_tunnels_come_up_and_carry_traffic_through_a_nat);

fn both_tunnels_come_up_and_carry_traffic_through_a_nat(run: &Run) -> Result<()> {
    let site = Site::behind_nat()?;
    let aws = site.aws(run)?;
    let before = site.capture(run)?;
    let behind = Capture::start(run, &site.wan, "customer", "wan")?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config_behind_nat(run))?;
    let status = gateway.await_up(Duration::from_secs(5))?;
    for tunnel in status.tunnels() {
        let nat = tunnel.ike.nat.as_deref();
        // kernel-libipsec works in UDP alone, so the peer pretends to be behind a NAT of its own.
        ensure!(matches!(nat, Some("local" | "both")), "NAT seen: {nat:?}");
    }
    for (index, endpoint) in aws.iter().enumerate() {
        let sas = endpoint.await_established(Duration::from_secs(5))?;
        let seen = sas.values("remote-host").next().map(str::to_owned);
        ensure!(seen.as_deref() == Some(posture::CUSTOMER_GATEWAY), "the endpoint sees {seen:?}");
        expect_ping(&site.gateway, inside_of(index))?;
    }
    expect_ping(&site.lan, CLOUD_HOST)?;
    for direction in [Direction::Up, Direction::Down] {
        site.lan_stream(status.active()?, direction).run(run)?;
    }
    before.expect_no_inner_packet()?;
    behind.expect_no_inner_packet()?;
    Ok(())
}

/// The address is private; the identity is the address that the cloud was told.
fn config_behind_nat(run: &Run) -> Config {
    let mut config = Config { local: "192.168.77.2".to_owned(), ..Config::aws(run.suite) };
    for tunnel in &mut config.tunnels {
        tunnel.options.push(format!("local_id = \"{}\"", posture::CUSTOMER_GATEWAY));
    }
    config
}

//! Two tunnels to strongSwan in the posture of AWS, from a configuration file to traffic.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Result, ensure};
use gotthard_lab::gotthard::Config;
use gotthard_lab::site::{CLOUD_HOST, Site, inside_of};
use gotthard_lab::status::{Status, Tunnel};
use gotthard_lab::traffic::{Direction, Stream, expect_ping};
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(both_tunnels_are_up_within_five_seconds_and_each_carries_traffic_both_ways);

fn both_tunnels_are_up_within_five_seconds_and_each_carries_traffic_both_ways(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    let capture = site.capture(run)?;
    let start = Instant::now();
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let status = gateway.await_up(UP)?;
    ensure!(start.elapsed() <= UP, "up after {} ms", start.elapsed().as_millis());
    status_tells_what_was_negotiated(run, &status)?;
    for (index, endpoint) in aws.iter().enumerate() {
        endpoint.await_established(UP)?;
        expect_ping(&site.gateway, inside_of(index))?;
        for direction in [Direction::Up, Direction::Down] {
            stream(&site, index, direction).run(run)?;
        }
    }
    expect_ping(&site.lan, CLOUD_HOST)?;
    site.lan_stream(status.active()?, Direction::Up).run(run)?;
    counters_have_grown(&gateway.status()?)?;
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// A stream inside one tunnel, whichever the routes prefer.
fn stream(site: &Site, index: usize, direction: Direction) -> Stream<'_> {
    Stream {
        client: &site.gateway,
        from: if index == 0 { [169, 254, 10, 2].into() } else { [169, 254, 11, 2].into() },
        server: &site.endpoints[index],
        to: inside_of(index),
        direction,
        seconds: 1,
        cap_mbit: Some(50),
    }
}

fn status_tells_what_was_negotiated(run: &Run, status: &Status) -> Result<()> {
    ensure!(status.connections.iter().all(|connection| connection.state == "up"), "{status:?}");
    ensure!(status.tunnels().count() == 2);
    for tunnel in status.tunnels() {
        let Tunnel { ike, esp, .. } = tunnel;
        ensure!(ike.suite.as_deref() == Some(run.suite.ike()), "{ike:?}");
        ensure!(esp.suite.as_deref().is_some_and(|suite| suite.starts_with(run.suite.esp_name())), "{esp:?}");
        ensure!(esp.encapsulation.as_deref() == Some("udp"), "{esp:?}");
        ensure!(esp.mtu == Some(run.suite.inner_mtu_in_udp()), "{esp:?}");
        ensure!(esp.mss.map(usize::from) == Some(run.suite.inner_mtu_in_udp() - 40), "{esp:?}");
        ensure!(tunnel.broken.is_none(), "{}", tunnel.trouble());
    }
    Ok(())
}

fn counters_have_grown(status: &Status) -> Result<()> {
    for Tunnel { esp, .. } in status.tunnels() {
        ensure!(esp.tx_packets > 1000 && esp.rx_packets > 1000, "{esp:?}");
        ensure!(esp.drops.icv == 0 && esp.drops.replay == 0, "{esp:?}");
    }
    Ok(())
}

const UP: Duration = Duration::from_secs(5);

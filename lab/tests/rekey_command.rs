//! `gotthard rekey`, and rekeys by what an SA has carried: the tunnel has new keys, and no packet is lost for them.

use core::time::Duration;

use anyhow::{Context, Result, ensure};
use gotthard_lab::flow::Flow;
use gotthard_lab::gotthard::CONNECTION;
use gotthard_lab::pair::{End, Pair, Plan};
use gotthard_lab::run::say;
use gotthard_lab::status::Tunnel;
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(
    a_command_rekeys_either_sa_and_no_packet_is_lost,
    a_child_that_has_carried_its_octets_is_rekeyed_and_no_packet_is_lost
);

fn a_command_rekeys_either_sa_and_no_packet_is_lost(run: &Run) -> Result<()> {
    let pair = Pair::new(run, "command", [End::Gotthard(None), End::Strongswan])?;
    let gateway = pair.gateways().next().context("our end")?;
    let target = format!("{CONNECTION}/1");
    let flows = pair.flows(RATE)?;
    for count in 1..=20 {
        let said = gateway.ask(&["rekey", &target])?;
        let spi_in = tunnel(gateway)?.esp.spi_in.context("our SPI")?;
        ensure!(said.contains(&spi_in) && said.contains(&format!("rekeys {count}")), "{said}");
    }
    for count in 1..=5 {
        let before = tunnel(gateway)?.ike.spi_i;
        let said = gateway.ask(&["rekey", &target, "--ike"])?;
        let spi_i = tunnel(gateway)?.ike.spi_i.context("the initiator's SPI")?;
        ensure!(said.contains(&spi_i) && said.contains(&format!("rekeys {count}")), "{said}");
        ensure!(Some(spi_i) != before && tunnel(gateway)?.is_up());
    }

    expect_whole(run, "by command", flows)?;
    gateway.ask(&["down", &target])?;
    let refused = gateway.ask(&["rekey", &target]).expect_err("nothing to rekey").to_string();
    ensure!(refused.contains("exit status: 1") && refused.contains("not up"), "{refused}");
    Ok(())
}

fn a_child_that_has_carried_its_octets_is_rekeyed_and_no_packet_is_lost(run: &Run) -> Result<()> {
    // Three quarters are 1 s of the stream.
    let plan = Plan::new("octets", [End::Gotthard(None); 2]).ours("child_bytes = 8_000_000");
    let pair = plan.start(run)?;
    let flows = pair.flows(RATE)?;
    pair.stream(run, 5, Some(48))?;
    expect_whole(run, "by octets", flows)?;
    for gateway in pair.gateways() {
        let tunnel = tunnel(gateway)?;
        ensure!(tunnel.is_up() && tunnel.esp.rekeys >= 3, "{:?}", tunnel.esp);
    }
    pair.await_agreed(SOON)?;
    Ok(())
}

fn expect_whole(run: &Run, what: &str, flows: [Flow; 2]) -> Result<()> {
    for (flow, direction) in flows.into_iter().zip(["to the right", "to the left"]) {
        let report = flow.finish()?;
        let (sent, lost) = (report.sent, report.lost.len());
        say(&format!("lab: rekeys {what}, {}: {sent} packets {direction}, {lost} lost", run.suite.word()));
        report.expect_whole(direction)?;
    }
    Ok(())
}

fn tunnel(gateway: &Gotthard) -> Result<Tunnel> {
    Ok(gateway.status()?.tunnel(0)?.clone())
}

/// Packets a second each way.
const RATE: u32 = 500;
const SOON: Duration = Duration::from_secs(20);

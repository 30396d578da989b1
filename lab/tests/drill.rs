//! `gotthard drill` on two tunnels to strongSwan, with traffic of the LAN's own beside its echoes: nothing is lost.

use core::time::Duration;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use gotthard_lab::flow::Flow;
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, Site};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, run, scenarios};
use serde_json::Value;

scenarios!(a_drill_moves_the_traffic_away_and_back_and_nothing_is_lost);

fn a_drill_moves_the_traffic_away_and_back_and_nothing_is_lost(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let capture = site.capture(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let before = gateway.await_up(UP)?.active()?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    let flow = Flow::at(
        RATE,
        &site.lan,
        SocketAddr::new(LAN_HOST, PORT),
        &[&site.endpoints[0], &site.endpoints[1]],
        SocketAddr::new(CLOUD_HOST, PORT),
    )?;
    let target = CLOUD_HOST.to_string();
    let text =
        gateway.ask(&["drill", CONNECTION, "--target", &target, "--source", GATEWAY, "--output", "json"])?;
    flow.finish()?.expect_whole("the LAN's own packets")?;
    let report: Value = serde_json::from_str(&text)?;
    for step in report["moves"].as_array().into_iter().flatten() {
        run::say(&format!(
            "drill: {} -> {}: moved in {} ms, gap {} ms, {} of {} echoes lost",
            step["from"], step["to"], step["took_ms"], step["gap_ms"], step["lost"], step["sent"]
        ));
    }
    ensure!(report["passed"] == true && report["lost"] == 0, "{text}");
    ensure!(gateway.status()?.active()? == before, "the traffic did not come back");
    capture.expect_no_inner_packet()?;
    Ok(())
}

const UP: Duration = Duration::from_secs(20);
/// The gateway's address in the LAN.
const GATEWAY: &str = "10.10.0.1";
/// Packets a second.
const RATE: u32 = 1000;
const PORT: u16 = 4000;

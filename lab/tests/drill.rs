//! `gotthard drill` on two tunnels, with static routes and with BGP, and with traffic of others beside its echoes: nothing is
//! lost.

use core::time::Duration;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use gotthard_lab::cloud::Aws;
use gotthard_lab::cloud::aws::{CUSTOMER, VPC_HOST};
use gotthard_lab::flow::Flow;
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, Site};
use gotthard_lab::status::Tunnel;
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, Suite, run, scenarios};
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
    expect_passed(&text)?;
    ensure!(gateway.status()?.active()? == before, "the traffic did not come back");
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// The cloud's traffic moves by MED, and ours by the routes; a tunnel without its session is no place to move to.
#[test]
fn with_bgp_a_drill_loses_nothing_either_way_and_is_refused_while_the_other_session_is_down() -> run::Outcome
{
    run::scenario("drill_bgp", Suite::Gcm, |run| {
        let site = Site::new()?;
        let aws = Aws::start(run, &site)?;
        let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws_bgp(run.suite))?;
        gateway.await_up(UP)?;
        aws.await_prefixes(UP)?;
        let (lan, vpc) = (SocketAddr::new(LAN_HOST, PORT), SocketAddr::new(VPC_HOST.parse()?, PORT));
        let from = |to: SocketAddr| SocketAddr::new(to.ip(), 0);
        let up = Flow::at(RATE, &site.lan, from(lan), &[&aws.vpc], vpc)?;
        let down = Flow::at(RATE, &aws.vpc, from(vpc), &[&site.lan], lan)?;
        expect_passed(&gateway.ask(&["drill", CONNECTION, "--output", "json"])?)?;
        up.finish()?.expect_whole("from the LAN to the cloud")?;
        down.finish()?.expect_whole("from the cloud to the LAN")?;
        let text = gateway.ask(&["drill", CONNECTION])?;
        ensure!(text.contains(&format!("{CONNECTION}  PASSED")) && text.contains(" 0 of "), "{text}");

        aws.birds[1].ask(&format!("disable {CUSTOMER}"))?;
        gateway.await_status(UP, "a session to be down", |status| {
            status.tunnels().nth(1).is_some_and(|tunnel| !tunnel.is_up())
        })?;
        let refused = gateway.ask(&["drill", CONNECTION]).expect_err("a drill without relief").to_string();
        ensure!(refused.contains("its tunnel 2 is not healthy"), "{refused}");
        ensure!(
            gateway.status()?.tunnels().next().is_some_and(Tunnel::is_up),
            "the other tunnel was touched"
        );
        Ok(())
    })
}

/// The verdict in JSON, and the report of each move.
fn expect_passed(text: &str) -> Result<()> {
    let report: Value = serde_json::from_str(text)?;
    for step in report["moves"].as_array().into_iter().flatten() {
        run::say(&format!(
            "drill: {} -> {}: moved in {} ms, gap {} ms, {} of {} echoes lost",
            step["from"], step["to"], step["took_ms"], step["gap_ms"], step["lost"], step["sent"]
        ));
    }
    ensure!(report["passed"] == true && report["lost"] == 0, "{text}");
    ensure!(report["moves"].as_array().is_some_and(|moves| moves.len() == 2), "{text}");
    Ok(())
}

const UP: Duration = Duration::from_secs(20);
/// The gateway's address in the LAN.
const GATEWAY: &str = "10.10.0.1";
/// Packets a second.
const RATE: u32 = 1000;
const PORT: u16 = 4000;

//! The demonstration's course: tunnels up, a stream through one, a failover to the other, the end.

use core::time::Duration;
use std::net::IpAddr;

use anyhow::{Context, ensure};

use super::host::Host;
use super::network::{CLOUD_HOST, GATEWAY_HOST, Network, WIRES};
use super::probes::{self, Probes};
use super::report::{self, Figures, Steps};
use super::settings::CONNECTION;
use super::stage::Stage;
use super::stream::{self, Rate};
use crate::api::messages::Target;
use crate::api::status::{Status, TunnelState, TunnelStatus};

/// Plays it from beginning to end, and tells what was measured.
pub(super) async fn play(stage: &mut Stage, steps: Steps) -> anyhow::Result<()> {
    report::introduce(&WIRES)?;
    let network = stage.connect().await.context("connecting the two sides")?;
    steps.tell("gateway and cloud have their network namespaces, with two links between them")?;
    stage.start_daemons().await?;
    steps.tell("both sides run: the gateway calls, the cloud answers")?;

    let status = bring_up(stage).await?;
    for tunnel in tunnels(&status) {
        steps.tell(&format!("tunnel {} is up to {}", tunnel.name, tunnel.peer))?;
    }
    let seconds = stream::DURATION.as_secs();
    steps.tell(&format!("one TCP stream through tunnel {FIRST}, measured for {seconds} s ..."))?;
    let rate = stream_through_first(stage, &status).await?;

    steps.tell(&format!(
        "1000 UDP probes a second through tunnel {FIRST}; its link is cut, and nobody is told ..."
    ))?;
    let probes = fail_over(stage, &network).await?;
    steps.tell(&format!("the probes are answered again, through tunnel {SECOND}"))?;

    network.mend(&WIRES[0]).await.context("mending the link")?;
    let (gateway, _) = stage.daemons()?;
    gateway.until("tunnel 1 is up again", RECOVERY_TIME, all_up).await?;
    steps.tell(&format!("the link is mended, and tunnel {FIRST} is up again by itself"))?;

    stage.end_daemons().await?;
    steps.tell("SIGTERM: the SAs are deleted, no device and no route is left")?;
    let figures = Figures { rate, probes };
    Ok(report::conclude(tunnels(&status), &figures)?)
}

/// Waits for both tunnels, with the traffic of both directions in the first.
async fn bring_up(stage: &mut Stage) -> anyhow::Result<Status> {
    let (gateway, cloud) = stage.daemons()?;
    let ours = gateway.until("both tunnels up", SETUP_TIME, all_up).await?;
    let theirs = cloud.until("both tunnels up", SETUP_TIME, all_up).await?;
    if carries(&ours, FIRST) && carries(&theirs, FIRST) {
        return Ok(ours);
    }
    // The first tunnel that is up takes the traffic, and either may be: both sides go to the one when the other leaves.
    gateway.down(second()).await?;
    gateway.until("the traffic in tunnel 1", SETUP_TIME, |status| carries(status, FIRST)).await?;
    cloud.until("the traffic in tunnel 1", SETUP_TIME, |status| carries(status, FIRST)).await?;
    gateway.up(second()).await?;
    cloud.until("both tunnels up", SETUP_TIME, all_up).await?;
    gateway.until("both tunnels up", SETUP_TIME, all_up).await
}

/// Sends one stream, and sees in the counters that it went through the first tunnel.
async fn stream_through_first(stage: &mut Stage, before: &Status) -> anyhow::Result<Rate> {
    let (from, to) = ends(stage);
    let rate = stream::measure(from, to).await?;
    let sent = |status: &Status| tunnel(status, FIRST).map_or(0, |tunnel| tunnel.esp.tx_bytes);
    let wanted = sent(before).saturating_add(rate.octets);
    let (gateway, _) = stage.daemons()?;
    gateway.until("the stream in the counters of tunnel 1", COUNT_TIME, |now| sent(now) >= wanted).await?;
    Ok(rate)
}

/// Cuts the first tunnel under the probes, and waits until the second carries them.
async fn fail_over(stage: &mut Stage, network: &Network) -> anyhow::Result<probes::Outcome> {
    let (from, to) = ends(stage);
    let mut probes = Probes::start(from, to).await?;
    probes.next_answer(ANSWER_TIME).await.context("before the cut")?;
    // Undisturbed answers before and after, from which the gap stands out.
    tokio::time::sleep(BASELINE).await;
    let cut = probes.elapsed();
    network.cut(&WIRES[0]).await.context("cutting the link")?;
    let (gateway, _) = stage.daemons()?;
    gateway.until("the traffic in tunnel 2", FAILOVER_TIME, |status| carries(status, SECOND)).await?;
    probes.next_answer(FAILOVER_TIME).await.context("after the cut")?;
    tokio::time::sleep(BASELINE).await;
    let outcome = probes.finish(cut).await?;
    ensure!(outcome.lost > 0, "no probe was lost, so the link was not cut");
    Ok(outcome)
}

/// Where traffic starts and where it goes.
fn ends(stage: &Stage) -> ((&Host, IpAddr), (&Host, IpAddr)) {
    ((&stage.gateway, GATEWAY_HOST.into()), (&stage.cloud, CLOUD_HOST.into()))
}

fn second() -> Target {
    Target { connection: CONNECTION.to_owned(), tunnel: Some(SECOND.to_owned()) }
}

fn tunnels(status: &Status) -> &[TunnelStatus] {
    status.connections.first().map(|connection| connection.tunnels.as_slice()).unwrap_or_default()
}

fn tunnel<'s>(status: &'s Status, name: &str) -> Option<&'s TunnelStatus> {
    tunnels(status).iter().find(|tunnel| tunnel.name == name)
}

fn all_up(status: &Status) -> bool {
    !tunnels(status).is_empty() && tunnels(status).iter().all(|tunnel| tunnel.state == TunnelState::Up)
}

fn carries(status: &Status, name: &str) -> bool {
    tunnel(status, name).is_some_and(|tunnel| tunnel.active && tunnel.state == TunnelState::Up)
}

const FIRST: &str = WIRES[0].tunnel;
const SECOND: &str = WIRES[1].tunnel;

const SETUP_TIME: Duration = Duration::from_secs(10);
const COUNT_TIME: Duration = Duration::from_secs(5);
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Ten times what the probe needs.
const FAILOVER_TIME: Duration = Duration::from_secs(10);
const RECOVERY_TIME: Duration = Duration::from_secs(10);
const BASELINE: Duration = Duration::from_millis(500);

//! Our gateway with BGP over two tunnels to AWS's posture: how soon it routes, and how soon traffic leaves a tunnel that
//! ends. The bounds are those of a busy machine; `gotthard-benches failover` measures.

use core::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gotthard_lab::cloud::aws::{CUSTOMER, VPC_HOST};
use gotthard_lab::failover::{Bed, Event, Gaps, Gateway, Ways};
use gotthard_lab::gotthard::Config;
use gotthard_lab::outage::Vanishes;
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, Suite, run, wait};
use serde_json::Value;

#[test]
fn both_sessions_are_established_and_prefixes_routed_within_five_seconds() -> run::Outcome {
    scenario("bgp_startup", |_, bed| {
        run::say(&format!("lab: both sessions and the prefix after {} ms", bed.startup.as_millis()));
        ensure!(bed.startup <= Duration::from_secs(5), "{:?}", bed.startup);
        expect_ping(&bed.site.lan, CLOUD_HOST)?;
        expect_ping(&bed.site.lan, VPC_HOST.parse()?)?;
        for bird in &bed.aws.birds {
            ensure!(bird.prefixes(CUSTOMER)? == ["10.10.0.0/16"], "{}", bird.routes(CUSTOMER)?);
        }
        Ok(())
    })
}

#[test]
fn traffic_leaves_a_silent_tunnel_long_before_its_hold_time_in_both_directions() -> run::Outcome {
    scenario("bgp_black_hole", |run, bed| {
        for number in 0..run::number("GOTTHARD_FAILOVERS", 2)? {
            bed.renew(|site| ours(run, site))?;
            let gaps = bed.measure(Event::BlackHole(Vanishes::All), Ways::Both)?;
            expect_gap(&format!("black hole {number}"), &gaps, SILENCE)?;
            let ingress = gaps.ingress.gap();
            run::say(&format!("lab: the cloud's traffic moved after {} ms", ingress.as_millis()));
            ensure!(ingress <= SILENCE, "the cloud's traffic moved after {ingress:?}");
        }
        Ok(())
    })
}

#[test]
fn traffic_leaves_at_a_signal_at_once() -> run::Outcome {
    scenario("bgp_signals", |run, bed| {
        for event in [Event::Delete, Event::Cease, Event::LinkDown] {
            bed.renew(|site| ours(run, site))?;
            let gaps = bed.measure(event, Ways::Egress)?;
            expect_gap(&format!("{event:?}"), &gaps, SIGNAL)?;
        }
        Ok(())
    })
}

#[test]
fn a_drained_tunnel_and_its_return_lose_nothing() -> run::Outcome {
    scenario("bgp_drain", |_, bed| {
        let gaps = bed.measure(Event::Drain, Ways::Both)?;
        gaps.egress.expect_whole("from the LAN to the cloud")?;
        gaps.ingress.expect_whole("from the cloud to the LAN")
    })
}

#[test]
fn maintenance_moves_the_traffic_at_once_and_both_tunnels_carry_again_within_15_s() -> run::Outcome {
    scenario("bgp_maintenance", |_, bed| {
        let carrying = bed.carries()?.context("nothing carries")?;
        await_told(bed)?;
        let gaps = bed.measure(Event::Maintenance, Ways::Both)?;
        expect_gap("maintenance", &gaps, SIGNAL)?;
        ensure!(gaps.ingress.gap() <= SIGNAL, "ingress {:?}", gaps.ingress.gap());
        let back = gaps.back.unwrap_or(Duration::MAX);
        run::say(&format!("lab: both carry again after {:.1} s", back.as_secs_f64()));
        ensure!(back <= Duration::from_secs(15), "both carry again after {back:?}");
        // By MED, while every tunnel lived: the decision had no reason to move it.
        let (other, moves) = ((2 - carrying).to_string(), moves(bed)?);
        let by_med = moves.iter().find(|fields| fields["to"] == other.as_str());
        let by_med = by_med.with_context(|| format!("no move to {other}: {moves:?}"))?;
        ensure!(by_med["gap_ms"].is_null(), "{by_med}");
        await_told(bed)
    })
}

/// Waits until the latest move that was told names the tunnels that the kernel's routes lead into.
fn await_told(bed: &Bed) -> Result<()> {
    let mut last = String::new();
    wait::until_true(SOON, "the moves to be told that the routes have made", || {
        let route = bed.site.gateway.ip_output("route show 10.200.0.0/16")?;
        let used: Vec<_> = (0..2).filter(|n| route.contains(&format!("dev gth{n} "))).collect();
        let names: Vec<String> = used.into_iter().map(|index| (index + 1).to_string()).collect();
        let moves = moves(bed)?;
        last = format!("{route}\ntold {moves:?}");
        let told = moves.last().and_then(|fields| fields["to"].as_str());
        Ok(told == Some(names.join("+").as_str()))
    })
    .with_context(|| last)
}

/// What was told of each move.
fn moves(bed: &Bed) -> Result<Vec<Value>> {
    let Gateway::Gotthard(gateway) = &bed.gateway else { bail!("another gateway") };
    let page: Value = serde_json::from_str(&gateway.ask(&["events", "--output", "json"])?)?;
    let events = page["events"].as_array().context("events")?;
    Ok(events
        .iter()
        .filter(|event| event["name"] == "failover")
        .map(|event| event["fields"].clone())
        .collect())
}

fn scenario(name: &str, body: impl FnOnce(&Run, &mut Bed) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, |run| body(run, &mut Bed::start(run, |site| ours(run, site))?))
}

fn ours(run: &Run, site: &Site) -> Result<Gateway> {
    let config = Config::aws_bgp(run.suite);
    Ok(Gateway::Gotthard(Box::new(Gotthard::start(run, &site.gateway, "gotthard", &config)?)))
}

fn expect_gap(what: &str, gaps: &Gaps, most: Duration) -> Result<()> {
    let gap = gaps.egress.gap();
    run::say(&format!("lab: {what}: a gap of {} ms", gap.as_millis()));
    ensure!(gap <= most, "{what}: a gap of {gap:?}, at most {most:?}");
    Ok(())
}

/// Three probes of 300 ms are missed, on a machine that is not quiet.
const SILENCE: Duration = Duration::from_secs(4);
const SOON: Duration = Duration::from_secs(10);
/// A tenth of a second where nothing else runs.
const SIGNAL: Duration = Duration::from_secs(1);

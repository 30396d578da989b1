//! Another routing daemon beside us: what `gotthard export` prints, loaded into the daemon itself with the operator's policy,
//! and how soon it moves the traffic when a tunnel loses its carrier.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use gotthard_lab::bird::{self, Bird};
use gotthard_lab::cloud::Aws;
use gotthard_lab::cloud::aws::Announced;
use gotthard_lab::frr::Frr;
use gotthard_lab::gotthard::Config;
use gotthard_lab::outage::{self, Vanishes};
use gotthard_lab::process::Signal;
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::{await_ping, expect_ping};
use gotthard_lab::{Gotthard, Netns, Run, Suite, run, wait};
use serde_json::Value;

/// The suite of the tunnels is nothing to a routing daemon.
fn scenario(name: &str, body: impl FnOnce(&Run) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, body)
}

#[test]
fn bird_learns_over_two_tunnels_and_leaves_a_silent_one_by_its_carrier() -> run::Outcome {
    scenario("external_bird", |run| {
        let site = Site::new()?;
        let aws = cloud(run, &site)?;
        let gateway = start(run, &site)?;
        let conf = bird::preamble(posture::CUSTOMER_GATEWAY) + &export(run, &gateway, "bird")?;
        let bird = Bird::start(run, &site.gateway, "beside", &conf)?;
        aws.await_established(UP)?;
        expect_policy(&site.gateway, "bird")?;
        let session = bird.details("'gotthard_aws-prod.1'")?;
        ensure!(session.contains("Import limit:   50"), "{session}");
        let route = bird.ask("show route all for 10.200.0.0/16")?;
        ensure!(route.contains("BGP.local_pref: 150"), "{route}");
        moves_and_returns(&site, &aws, &gateway, "bird")?;
        drop(bird);
        end(&site, gateway)
    })
}

#[test]
fn frr_learns_over_two_tunnels_and_leaves_a_silent_one_by_its_carrier() -> run::Outcome {
    scenario("external_frr", |run| {
        let site = Site::new()?;
        let aws = cloud(run, &site)?;
        let gateway = start(run, &site)?;
        let frr = Frr::start(run, &site.gateway, "beside", &export(run, &gateway, "frr")?)?;
        aws.await_established(UP)?;
        expect_policy(&site.gateway, "bgp")?;
        let session = &frr.neighbour("169.254.10.1")?["addressFamilyInfo"]["ipv4Unicast"];
        ensure!(session["prefixAllowedMax"] == 50, "{session}");
        let route: Value = serde_json::from_str(&frr.ask(&["show bgp ipv4 unicast 10.200.0.0/16 json"])?)?;
        ensure!(route["paths"][0]["locPrf"] == 150, "{route}");
        let lists = frr.ask(&["show bgp community-list"])?;
        ensure!(lists.contains("GOTTHARD-aws-prod-1-IN-1") && lists.contains("64512:666"), "{lists}");
        moves_and_returns(&site, &aws, &gateway, "bgp")?;
        drop(frr);
        end(&site, gateway)
    })
}

/// A silent black hole on the tunnel that carries: the route moves by the carrier, not by the hold time of 30 s.
fn moves_and_returns(site: &Site, aws: &Aws, gateway: &Gotthard, daemon: &str) -> Result<()> {
    aws.await_prefixes(UP)?;
    let first = await_route(&site.gateway, daemon, |_| true)?;
    await_ping(&site.lan, CLOUD_HOST, UP)?;
    wait::until_true(UP, format!("the status to name tunnel {first}"), || {
        let status: Value = serde_json::from_str(&gateway.ask(&["status", "--output", "json"])?)?;
        let tunnel = &status["connections"][0]["tunnels"][first];
        Ok(tunnel["routes"]["by"][daemon] == TAKEN.len() && tunnel["active"] == true)
    })?;

    outage::silence(&site.wan, posture::ENDPOINTS[first], Vanishes::All)?;
    let start = Instant::now();
    let second = await_route(&site.gateway, daemon, |index| index != first)?;
    let moved = start.elapsed();
    run::say(&format!("{daemon}: the route left the silent tunnel after {:.2} s", moved.as_secs_f64()));
    ensure!(moved < SOON, "the route moved after {moved:?}");
    ensure!(second == 1 - first, "{second}");
    expect_ping(&site.lan, CLOUD_HOST)?;

    outage::mend(&site.wan)?;
    gateway.await_up(RETURN)?;
    // The cloud may hold the session of before to be up still: it answers by the new one when it has our prefix from it.
    aws.await_prefixes(RETURN)?;
    await_ping(&site.lan, CLOUD_HOST, RETURN)?;
    expect_ping(&site.lan, CLOUD_HOST)
}

/// Both endpoints announce what the policy lets in and what it does not, in one message.
fn cloud(run: &Run, site: &Site) -> Result<Aws> {
    let mut aws = Aws::start(run, site)?;
    for endpoint in 0..2 {
        let prefixes = [TAKEN, DENIED].concat().into_iter().map(str::to_owned).collect();
        aws.announce(endpoint, Announced { prefixes, ..Announced::usual() })?;
    }
    Ok(aws)
}

fn expect_policy(host: &Netns, daemon: &str) -> Result<()> {
    let routes = || host.ip_output(&format!("route show proto {daemon}"));
    wait::until_true(UP, format!("all routes of {daemon}"), || {
        let routes = routes()?;
        Ok(TAKEN.iter().all(|prefix| routes.contains(prefix)))
    })
    .with_context(|| routes().unwrap_or_default())?;
    let routes = routes()?;
    ensure!(!DENIED.iter().any(|prefix| routes.contains(prefix)), "{routes}");
    Ok(())
}

/// Two tunnels of a gateway that leaves the routes to another daemon, and has a policy for it.
fn start(run: &Run, site: &Site) -> Result<Gotthard> {
    let config = Config { routing: "external", ..Config::aws_bgp(Suite::Gcm) };
    let config = POLICY.into_iter().fold(config, Config::with);
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    gateway.await_up(UP)?;
    Ok(gateway)
}

fn export(run: &Run, gateway: &Gotthard, daemon: &str) -> Result<String> {
    let file = run.dir().join("gotthard/gotthard.toml");
    gateway.ask(&["export", daemon, "--config", file.to_str().context("a name in UTF-8")?])
}

/// The tunnel that the daemon's route to the cloud leads into, once it leads into one that is looked for.
fn await_route(host: &Netns, daemon: &str, wanted: impl Fn(usize) -> bool) -> Result<usize> {
    wait::until(UP, format!("a route of {daemon}"), || {
        let route = host.ip_output(&format!("route show 10.200.0.0/16 proto {daemon}"))?;
        let index = (0..2).find(|index| route.contains(&format!("dev gth{index}")));
        Ok(index.filter(|index| !route.contains("linkdown") && wanted(*index)))
    })
}

/// Nothing of ours is left, whatever carriers the devices had.
fn end(site: &Site, mut gateway: Gotthard) -> Result<()> {
    gateway.process.signal(Signal::TERM)?;
    gateway.process.success(UP)?;
    let left = site.gateway.configuration()?;
    ensure!(!["gth0", "gth1", "proto 71"].iter().any(|ours| left.contains(ours)), "{left}");
    Ok(())
}

const POLICY: [&str; 4] = [
    "import = [\"deny 10.200.9.0/24\", \"10.200.0.0/16 le 24\"]",
    "max_prefixes = 50",
    "local_pref = 150",
    "communities = [{ match = \"64512:666\", refuse = true }, { match = \"64512:1:*\", local_pref = 50 }]",
];
const TAKEN: &[&str] = &["10.200.0.0/16", "10.200.10.0/24"];
const DENIED: &[&str] = &["10.200.9.0/24", "10.201.0.0/16"];
const UP: Duration = Duration::from_secs(20);
/// The probe's 0.9 s, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(3);
/// A tunnel that was silent is tried after at most 30 s.
const RETURN: Duration = Duration::from_mins(1);

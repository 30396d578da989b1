//! Our gateway and the BGP daemons that are not BIRD, each behind a tunnel: Azure's FRR, GoBGP, ExaBGP.

use core::time::Duration;

use anyhow::{Context, Result, ensure};
use gotthard_lab::cloud::{self, Azure, azure};
use gotthard_lab::gotthard::Config;
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::strongswan::{Charon, posture};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Exabgp, Gobgp, Gotthard, Netns, Run, Suite, exabgp, gobgp, run, wait};
use serde_json::Value;

#[test]
fn azures_peer_is_not_on_the_link_waits_and_may_restart() -> run::Outcome {
    run::scenario("bgp_azure", Suite::Gcm, |run| {
        let site = Site::new()?;
        let gateway = Gotthard::start(run, &site.gateway, "gotthard", &azure::config(run.suite))?;
        gateway.await_running(SOON)?;
        // It initiates.
        let mut azure = Azure::start(run, &site)?;
        for _ in 0..2 {
            azure.await_established(SOON)?;
            await_route(&site.gateway, azure::PREFIX, true)?;
            wait::until_true(SOON, "FRR to hear of the LAN", || {
                Ok(azure.frr.prefixes("ipv4")? == ["10.10.0.0/16", azure::PREFIX])
            })?;
            expect_ping(&site.lan, CLOUD_HOST)?;
            azure.frr.restart_after_kill(&site.endpoints[0])?;
        }
        Ok(())
    })
}

#[test]
fn gobgp_brings_both_families_over_one_session_and_its_routes_outlive_its_restart() -> run::Outcome {
    behind_a_tunnel("bgp_gobgp", |run, site, gateway| {
        let host = &site.endpoints[0];
        let mut gobgp = Gobgp::start(run, host, "gobgp", &gobgp_session())?;
        let prefixes = ["10.200.0.0/16", "2001:db8:200::/48"];
        gobgp.announce(host, prefixes[0], "med 100")?;
        gobgp.announce(host, prefixes[1], "nexthop 2001:db8:169::1")?;
        gobgp.await_established(host, OURS, SOON)?;
        for prefix in prefixes {
            await_route(&site.gateway, prefix, true)?;
        }
        expect_ping(&site.lan, CLOUD_HOST)?;
        // It forwards on while its daemon is away; what it does not announce anew goes when it has told so.
        gobgp.kill()?;
        wait::until_true(SOON, "the session to end", || {
            let status: Value = serde_json::from_str(&gateway.ask(&["status", "--output", "json"])?)?;
            Ok(status["connections"][0]["tunnels"][0]["bgp"]["state"] != "established")
        })?;
        for prefix in prefixes {
            ensure!(leads_into_the_tunnel(&site.gateway, prefix)?, "{prefix} went with the daemon");
        }
        gobgp.return_gracefully(host)?;
        gobgp.announce(host, prefixes[0], "")?;
        gobgp.await_established(host, OURS, SOON)?;
        await_route(&site.gateway, prefixes[1], false)?;
        await_route(&site.gateway, prefixes[0], true)
    })
}

#[test]
fn exabgp_announces_and_withdraws_and_a_malformed_attribute_withdraws_too() -> run::Outcome {
    behind_a_tunnel("bgp_exabgp", |run, site, _| {
        let session = exabgp::Session {
            local: (PEER.to_owned(), cloud::aws::AS),
            peer: (OURS.to_owned(), cloud::aws::CUSTOMER_AS),
            hold_time: 30,
            options: Vec::new(),
        };
        let mut exabgp = Exabgp::start(run, &site.endpoints[0], "exabgp", &session)?;
        exabgp.await_connections(1, SOON)?;
        exabgp.announce("10.200.0.0/16", "med 100")?;
        exabgp.announce("10.201.0.0/16", "")?;
        await_route(&site.gateway, "10.200.0.0/16", true)?;
        await_route(&site.gateway, "10.201.0.0/16", true)?;
        exabgp.withdraw("10.200.0.0/16")?;
        await_route(&site.gateway, "10.200.0.0/16", false)?;
        // ORIGIN of value 5: the route counts as withdrawn, and the session stays (RFC 7606 §7.1).
        exabgp.announce("10.201.0.0/16", "attribute [ 0x01 0x40 0x05 ]")?;
        await_route(&site.gateway, "10.201.0.0/16", false)?;
        exabgp.announce("10.202.0.0/16", "")?;
        await_route(&site.gateway, "10.202.0.0/16", true)?;
        ensure!(!exabgp.log().contains("notification"), "{}", exabgp.log());
        Ok(())
    })
}

/// One tunnel to an endpoint of AWS's, with no BGP daemon at it yet.
fn behind_a_tunnel(name: &str, body: impl FnOnce(&Run, &Site, &Gotthard) -> Result<()>) -> run::Outcome {
    run::scenario(name, Suite::Gcm, |run| {
        let site = Site::new()?;
        let _charon: Charon = cloud::endpoint(run, &site.endpoints[0], 0, "endpoint1", &posture::aws()?)?;
        site.endpoints[0].address(&format!("{PEER}/30"), cloud::DEVICE)?;
        // What would give the kernel routes in the cloud is no part of these.
        site.endpoints[0].route(&format!("10.10.0.0/16 via {OURS}"))?;
        let mut config = Config::aws_bgp(run.suite);
        config.tunnels.truncate(1);
        let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
        gateway.await_running(SOON)?;
        body(run, &site, &gateway).with_context(|| gateway.ask(&["status"]).unwrap_or_default())
    })
}

fn leads_into_the_tunnel(gateway: &Netns, prefix: &str) -> Result<bool> {
    let family = if prefix.contains(':') { "-6 " } else { "" };
    Ok(gateway.ip_output(&format!("{family}route show {prefix}"))?.contains("dev gth0"))
}

fn await_route(gateway: &Netns, prefix: &str, there: bool) -> Result<()> {
    let what = if there { "to lead into the tunnel" } else { "to lead nowhere" };
    wait::until_true(
        SOON,
        format!("{prefix} {what}"),
        || Ok(leads_into_the_tunnel(gateway, prefix)? == there),
    )
}

fn gobgp_session() -> gobgp::Session {
    gobgp::Session {
        local: (PEER.to_owned(), cloud::aws::AS),
        peer: (OURS.to_owned(), cloud::aws::CUSTOMER_AS),
        timers: (10, 30),
        password: String::new(),
        passive: false,
        restart_time: 60,
    }
}

const PEER: &str = "169.254.10.1";
const OURS: &str = "169.254.10.2";
const SOON: Duration = Duration::from_secs(30);

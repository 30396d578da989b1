//! Our gateway and the BGP daemons that are not BIRD, each behind a tunnel: Azure's FRR, GoBGP, ExaBGP.

use anyhow::ensure;
use gotthard_lab::cloud::one_tunnel::{self, OURS, PEER, SOON};
use gotthard_lab::cloud::{self, Azure, azure};
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Exabgp, Gobgp, Gotthard, Suite, exabgp, gobgp, run, wait};

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
            wait::until_true(SOON, "the prefix to lead into the tunnel", || {
                Ok(site.gateway.ip_output(&format!("route show {}", azure::PREFIX))?.contains("dev gth0"))
            })?;
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
    one_tunnel::scenario("bgp_gobgp", &[], |run, tunnel| {
        let host = tunnel.host();
        let mut gobgp = Gobgp::start(run, host, "gobgp", &gobgp_session())?;
        let prefixes = ["10.200.0.0/16", "2001:db8:200::/48"];
        gobgp.announce(host, prefixes[0], "med 100")?;
        gobgp.announce(host, prefixes[1], "nexthop 2001:db8:169::1")?;
        gobgp.await_established(host, OURS, SOON)?;
        for prefix in prefixes {
            tunnel.await_route(prefix, true)?;
        }
        expect_ping(&tunnel.site.lan, CLOUD_HOST)?;
        // It forwards on while its daemon is away; what it does not announce anew goes when it has told so.
        gobgp.kill()?;
        tunnel.await_session(false)?;
        for prefix in prefixes {
            ensure!(tunnel.carries(prefix)?, "{prefix} went with the daemon");
        }
        gobgp.return_gracefully(host)?;
        gobgp.announce(host, prefixes[0], "")?;
        gobgp.await_established(host, OURS, SOON)?;
        tunnel.await_route(prefixes[1], false)?;
        tunnel.await_route(prefixes[0], true)
    })
}

#[test]
fn exabgp_announces_and_withdraws_and_a_malformed_attribute_withdraws_too() -> run::Outcome {
    one_tunnel::scenario("bgp_exabgp", &[], |run, tunnel| {
        let session = exabgp::Session {
            local: (PEER.to_owned(), cloud::aws::AS),
            peer: (OURS.to_owned(), cloud::aws::CUSTOMER_AS),
            hold_time: 30,
            options: Vec::new(),
        };
        let mut exabgp = Exabgp::start(run, tunnel.host(), "exabgp", &session)?;
        exabgp.await_connections(1, SOON)?;
        exabgp.announce("10.200.0.0/16", "med 100")?;
        exabgp.announce("10.201.0.0/16", "")?;
        tunnel.await_route("10.200.0.0/16", true)?;
        tunnel.await_route("10.201.0.0/16", true)?;
        exabgp.withdraw("10.200.0.0/16")?;
        tunnel.await_route("10.200.0.0/16", false)?;
        // ORIGIN of value 5: the route counts as withdrawn, and the session stays (RFC 7606 §7.1).
        exabgp.announce("10.201.0.0/16", "attribute [ 0x01 0x40 0x05 ]")?;
        tunnel.await_route("10.201.0.0/16", false)?;
        exabgp.announce("10.202.0.0/16", "")?;
        tunnel.await_route("10.202.0.0/16", true)?;
        ensure!(!exabgp.log().contains("notification"), "{}", exabgp.log());
        Ok(())
    })
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

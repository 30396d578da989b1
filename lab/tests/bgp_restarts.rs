//! Graceful restart over a real tunnel (RFC 4724): BIRD is killed and comes back, or does not; our gateway is killed and comes
//! back; FRR resets the session (RFC 8538).

use std::path::PathBuf;

use anyhow::{Result, ensure};
use gotthard_lab::cloud::aws::{AS, CUSTOMER, CUSTOMER_AS};
use gotthard_lab::cloud::one_tunnel::{self, OURS, PEER, SOON, bird_conf};
use gotthard_lab::site::CLOUD_HOST;
use gotthard_lab::traffic::{expect_ping, ping};
use gotthard_lab::{Frr, Gotthard, Netns, Process, Run, run, wait};

#[test]
fn routes_of_a_peer_that_restarts_stay_until_it_has_told_them_again() -> run::Outcome {
    one_tunnel::scenario("bgp_peer_restarts", &[], |run, tunnel| {
        let restarts = ["graceful restart on;", "graceful restart time 60;"];
        let mut bird = tunnel.bird(run, &bird_conf(&restarts, &[TOLD_AGAIN, NOT_TOLD_AGAIN]))?;
        bird.await_established(CUSTOMER, SOON)?;
        for prefix in [TOLD_AGAIN, NOT_TOLD_AGAIN] {
            tunnel.await_route(prefix, true)?;
        }
        let watch = Watch::start(run, &tunnel.site.gateway)?;
        bird.kill(tunnel.host())?;
        tunnel.await_session(false)?;
        for prefix in [TOLD_AGAIN, NOT_TOLD_AGAIN] {
            ensure!(tunnel.carries(prefix)?, "{prefix} went with the daemon");
        }
        ensure!(tunnel.status()?.bgp.is_some_and(|bgp| bgp.received == 2), "what is kept is not counted");
        expect_ping(&tunnel.site.lan, CLOUD_HOST)?;

        bird.return_gracefully(tunnel.host(), &bird_conf(&restarts, &[TOLD_AGAIN]))?;
        bird.await_established(CUSTOMER, SOON)?;
        tunnel.await_route(NOT_TOLD_AGAIN, false)?;
        ensure!(tunnel.carries(TOLD_AGAIN)?);
        watch.await_deletion(NOT_TOLD_AGAIN)?;
        watch.expect_no_deletion(TOLD_AGAIN)
    })
}

#[test]
fn routes_of_a_peer_that_does_not_return_in_time_go() -> run::Outcome {
    one_tunnel::scenario("bgp_peer_does_not_return", &[], |run, tunnel| {
        let restarts = ["graceful restart on;", "graceful restart time 10;"];
        let mut bird = tunnel.bird(run, &bird_conf(&restarts, &[TOLD_AGAIN]))?;
        tunnel.await_route(TOLD_AGAIN, true)?;
        bird.kill(tunnel.host())?;
        tunnel.await_session(false)?;
        ensure!(tunnel.carries(TOLD_AGAIN)?, "it went with the daemon");
        ensure!(tunnel.status()?.broken.is_none(), "the tunnel carries while the peer restarts");
        tunnel.await_route(TOLD_AGAIN, false)?;
        tunnel.await_trouble("GTH-BGP-01")?;
        ensure!(tunnel.status()?.bgp.is_some_and(|bgp| bgp.received == 0), "what is gone is counted");
        Ok(())
    })
}

/// Our devices go with the daemon: nothing is forwarded over its restart, and nothing leaves in clear.
#[test]
fn our_own_restart_keeps_our_prefix_at_the_peer_and_the_clouds_from_leaving_in_clear() -> run::Outcome {
    one_tunnel::scenario("bgp_we_restart", &[], |run, tunnel| {
        let bird = tunnel.bird(run, &bird_conf(&[], &[TOLD_AGAIN, NOT_TOLD_AGAIN]))?;
        bird.await_established(CUSTOMER, SOON)?;
        for prefix in [TOLD_AGAIN, NOT_TOLD_AGAIN] {
            tunnel.await_route(prefix, true)?;
        }
        let capture = tunnel.site.capture(run)?;
        tunnel.gateway.process.kill()?;
        expect_nothing(&tunnel.site.lan)?;
        ensure!(bird.prefixes(CUSTOMER)? == [LAN], "our prefix went with our daemon");
        // What the peer knows by now is not what it knew.
        bird.configure(&bird_conf(&[], &[TOLD_AGAIN, NEW]))?;

        let config = one_tunnel::config(run.suite, &[]);
        tunnel.gateway = Gotthard::start(run, &tunnel.site.gateway, "gotthard", &config)?;
        tunnel.gateway.await_running(SOON)?;
        ensure!(bird.prefixes(CUSTOMER)?.len() <= 1);
        for prefix in [TOLD_AGAIN, NEW] {
            tunnel.await_route(prefix, true)?;
        }
        ensure!(!tunnel.carries(NOT_TOLD_AGAIN)?);
        wait::until_true(SOON, "our prefix at the peer", || Ok(bird.prefixes(CUSTOMER)? == [LAN]))?;
        expect_ping(&tunnel.site.lan, CLOUD_HOST)?;
        capture.expect_no_inner_packet().map(drop)
    })
}

/// RFC 8538: what a NOTIFICATION ends comes again and is kept, what a Hard Reset ends is gone; `gotthard down` is the latter.
#[test]
fn a_reset_keeps_the_routes_and_a_hard_one_ends_them_at_either_end() -> run::Outcome {
    one_tunnel::scenario("bgp_hard_reset", &[], |run, tunnel| {
        let frr = Frr::start(run, tunnel.host(), "frr", &frr_conf())?;
        frr.await_established(OURS, SOON)?;
        tunnel.await_route(TOLD_AGAIN, true)?;
        let watch = Watch::start(run, &tunnel.site.gateway)?;
        frr.ask(&[&format!("clear bgp {OURS}")])?;
        tunnel.await_log("Administrative Reset code=\"GTH-BGP-09\" routes_kept=true")?;
        tunnel.await_session(true)?;
        watch.expect_no_deletion(TOLD_AGAIN)?;

        let hard = ["configure terminal", &format!("router bgp {AS}"), "bgp hard-administrative-reset"];
        frr.ask(&hard)?;
        frr.ask(&[&format!("clear bgp {OURS}")])?;
        tunnel.await_log("Administrative Reset code=\"GTH-BGP-09\" routes_kept=false")?;
        watch.await_deletion(TOLD_AGAIN)?;
        frr.await_established(OURS, SOON)?;
        wait::until_true(SOON, "our prefix at FRR", || Ok(frr.prefixes("ipv4")? == [LAN, TOLD_AGAIN]))?;
        tunnel.gateway.ask(&["down", "aws-prod/1"])?;
        wait::until_true(SOON, "FRR to forget our prefix", || Ok(frr.prefixes("ipv4")? == [TOLD_AGAIN]))
    })
}

/// Every change of a host's routes from some moment on, as `ip monitor` tells it.
struct Watch {
    _process: Process,
    told: PathBuf,
}

impl Watch {
    /// Returns when it hears.
    fn start(run: &Run, host: &Netns) -> Result<Self> {
        let mut command = host.command("ip");
        command.args(["-o", "monitor", "route"]);
        let (process, told) = Process::spawn_with_output(&mut command, "routes", run.dir())?;
        let watch = Self { _process: process, told };
        let heard = || {
            host.route(&format!("unreachable {MARK}"))?;
            host.ip(&format!("route del unreachable {MARK}"))?;
            watch.has_gone(MARK)
        };
        wait::until_true(SOON, "ip monitor", heard)?;
        Ok(watch)
    }

    fn await_deletion(&self, prefix: &str) -> Result<()> {
        wait::until_true(SOON, format!("the end of {prefix}"), || self.has_gone(prefix))
    }

    fn expect_no_deletion(&self, prefix: &str) -> Result<()> {
        ensure!(!self.has_gone(prefix)?, "{prefix} went meanwhile: {}", std::fs::read_to_string(&self.told)?);
        Ok(())
    }

    fn has_gone(&self, prefix: &str) -> Result<bool> {
        let told = std::fs::read_to_string(&self.told)?;
        Ok(told.lines().any(|line| line.starts_with("Deleted") && line.contains(prefix)))
    }
}

/// It keeps our routes for two minutes after a NOTIFICATION, and would ask as much of us.
fn frr_conf() -> String {
    format!(
        "router bgp {AS}\n bgp router-id {PEER}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         no bgp hard-administrative-reset\n bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n \
         bgp graceful-restart restart-time 120\n neighbor {OURS} remote-as {CUSTOMER_AS}\n \
         neighbor {OURS} timers connect 1\n address-family ipv4 unicast\n  network {TOLD_AGAIN}\n exit-address-family\n"
    )
}

fn expect_nothing(from: &Netns) -> Result<()> {
    let (seen, text) = ping(from, CLOUD_HOST, 3, None)?;
    ensure!(seen.received == 0, "an answer without a tunnel: {text}");
    Ok(())
}

const LAN: &str = "10.10.0.0/16";
const TOLD_AGAIN: &str = "10.200.0.0/16";
const NOT_TOLD_AGAIN: &str = "10.201.0.0/16";
const NEW: &str = "10.202.0.0/16";
/// No prefix of anybody's.
const MARK: &str = "192.0.2.0/24";

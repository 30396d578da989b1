//! The lab's BGP daemons with each other, on a plain link: each does what the scenarios count on.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::bird::{self, Session};
use gotthard_lab::{Bird, Exabgp, Frr, Gobgp, Netns, Run, Suite, exabgp, gobgp, run, wait};

#[test]
fn exabgp_announces_what_it_is_told_malformed_attributes_too() -> run::Outcome {
    with_bird("exabgp", &[], |run, peer, bird| {
        let session = exabgp::Session {
            local: (PEER.to_owned(), PEER_AS),
            peer: (OURS.to_owned(), AS),
            hold_time: 30,
            options: Vec::new(),
        };
        let mut exabgp = Exabgp::start(run, peer, "exabgp", &session)?;
        bird.await_established("peer", UP)?;
        exabgp.announce("10.200.0.0/16", "med 100")?;
        exabgp.announce("10.201.0.0/16", "attribute [ 0x63 0xc0 0x0102 ]")?;
        await_prefixes(bird, &["10.200.0.0/16", "10.201.0.0/16"])?;
        let unknown = bird.routes("peer")?;
        ensure!(unknown.contains("BGP.63 [t]: 01 02") && unknown.contains("BGP.med: 100"), "{unknown}");
        // ORIGIN of value 5: the route counts as withdrawn (RFC 7606 §7.1).
        exabgp.announce("10.201.0.0/16", "attribute [ 0x01 0x40 0x05 ]")?;
        exabgp.withdraw("10.200.0.0/16")?;
        await_prefixes(bird, &[])?;
        ensure!(bird.state("peer")? == "Established");
        Ok(())
    })
}

#[test]
fn gobgp_announces_both_families_over_one_session_with_a_password() -> run::Outcome {
    let password = format!("password \"{PASSWORD}\";");
    with_bird("gobgp", &[&password], |run, peer, bird| {
        let gobgp = Gobgp::start(run, peer, "gobgp", &gobgp_session())?;
        gobgp.announce(peer, "10.200.0.0/16", "med 100")?;
        gobgp.announce(peer, "2001:db8:200::/48", "nexthop 2001:db8:169::1")?;
        bird.await_established("peer", UP)?;
        await_prefixes(bird, &["10.200.0.0/16", "2001:db8:200::/48"])?;
        wait::until_true(UP, "GoBGP to hear of the LAN", || {
            Ok(gobgp.received(peer, OURS, "ipv4")? == ["10.10.0.0/16"])
        })?;
        gobgp.withdraw(peer, "10.200.0.0/16")?;
        await_prefixes(bird, &["2001:db8:200::/48"])
    })
}

#[test]
fn gobgp_restarts_gracefully_and_its_routes_stay() -> run::Outcome {
    with_bird("gobgp_graceful", &["graceful restart on;"], |run, peer, bird| {
        let session = gobgp::Session { restart_time: 60, password: String::new(), ..gobgp_session() };
        let mut gobgp = Gobgp::start(run, peer, "gobgp", &session)?;
        gobgp.announce(peer, "10.200.0.0/16", "")?;
        await_prefixes(bird, &["10.200.0.0/16"])?;
        gobgp.kill()?;
        wait::until_true(UP, "BIRD to miss it", || Ok(bird.state("peer")? != "Established"))?;
        ensure!(bird.prefixes("peer")? == ["10.200.0.0/16"], "the routes went with the daemon");
        gobgp.return_gracefully(peer)?;
        gobgp.await_established(peer, OURS, UP)?;
        await_prefixes(bird, &[])
    })
}

#[test]
fn frr_waits_to_be_connected_to_and_gives_its_kernel_the_routes() -> run::Outcome {
    with_bird("frr", &[], |run, peer, bird| {
        let mut frr = Frr::start(run, peer, "frr", &frr_conf())?;
        for _ in 0..2 {
            bird.await_established("peer", UP)?;
            frr.await_established(OURS, UP)?;
            await_prefixes(bird, &["10.200.0.0/16"])?;
            wait::until_true(UP, "zebra to have the route", || {
                Ok(peer.ip_output("route show 10.10.0.0/16")?.contains("proto bgp"))
            })?;
            ensure!(frr.prefixes("ipv4")? == ["10.10.0.0/16", "10.200.0.0/16"]);
            frr.restart_after_kill(peer)?;
        }
        Ok(())
    })
}

/// BIRD on one host of a link, and the other host for its peer.
fn with_bird(
    name: &str,
    options: &[&str],
    body: impl FnOnce(&Run, &Netns, &Bird) -> Result<()>,
) -> run::Outcome {
    run::scenario(name, Suite::Gcm, |run| {
        let [ours, peer] = [Netns::new("ours")?, Netns::new("peer")?];
        ours.link("wire", &peer, "wire")?;
        for (host, address, longer) in [(&ours, OURS, "2001:db8:169::2"), (&peer, PEER, "2001:db8:169::1")] {
            host.address(&format!("{address}/30"), "wire")?;
            host.address(&format!("{longer}/64"), "wire")?;
        }
        let bird = Bird::start(run, &ours, "bird", &bird_conf(options))?;
        body(run, &peer, &bird)
    })
}

fn await_prefixes(bird: &Bird, expected: &[&str]) -> Result<()> {
    wait::until_true(UP, format!("BIRD to have {expected:?}"), || Ok(bird.prefixes("peer")? == expected))
}

fn bird_conf(options: &[&str]) -> String {
    let quick = ["connect delay time 1;", "connect retry time 1;", "error wait time 1, 1;"];
    let session = Session {
        name: "peer".to_owned(),
        local: (OURS.to_owned(), AS),
        peer: (PEER.to_owned(), PEER_AS),
        timers: (10, 30),
        options: quick.iter().chain(options).map(|option| (*option).to_owned()).collect(),
        channels: ["ipv4", "ipv6"]
            .map(|family| format!("{family} {{ import all; export where source = RTS_STATIC; }};"))
            .to_vec(),
    };
    format!("{}{}{session}", bird::preamble(OURS), bird::originated(&["10.10.0.0/16".to_owned()]))
}

fn gobgp_session() -> gobgp::Session {
    gobgp::Session {
        local: (PEER.to_owned(), PEER_AS),
        peer: (OURS.to_owned(), AS),
        timers: (10, 30),
        password: PASSWORD.to_owned(),
        passive: false,
        restart_time: 0,
    }
}

fn frr_conf() -> String {
    format!(
        "router bgp {PEER_AS}\n bgp router-id {PEER}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         neighbor {OURS} remote-as {AS}\n neighbor {OURS} passive\n neighbor {OURS} timers 60 180\n \
         address-family ipv4 unicast\n  network 10.200.0.0/16\n exit-address-family\n"
    )
}

const OURS: &str = "169.254.10.2";
const PEER: &str = "169.254.10.1";
const AS: u32 = 65010;
const PEER_AS: u32 = 64512;
const PASSWORD: &str = "examplePassword";
const UP: Duration = Duration::from_secs(30);

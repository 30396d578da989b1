//! Whom a session hears and who opens it: password, hop count, passive ends, and both ends at once, with BIRD and over a
//! real tunnel.

use core::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use gotthard_lab::cloud::OneTunnel;
use gotthard_lab::cloud::aws::{AS, CUSTOMER};
use gotthard_lab::cloud::one_tunnel::{self, OURS, OURS_V6, PEER, SOON, bird_conf, bird_conf_v6};
use gotthard_lab::gotthard::write_secret;
use gotthard_lab::hostile::bgp::{KEEPALIVE, OPEN, Open, Port, Speaker, message};
use gotthard_lab::{run, wait};

#[test]
fn a_password_makes_the_session_and_a_wrong_one_is_hinted_at_and_shown_nowhere() -> run::Outcome {
    one_tunnel::scenario("bgp_password", &[], |run, tunnel| {
        // A reload may name files in the folders that the daemon knows.
        let file = run.dir().join("gotthard/bgp-password");
        let config = one_tunnel::config(run.suite, &[&format!("bgp_password_file = {file:?}")]);
        write_secret(&file, WRONG)?;
        tunnel.gateway.reload(&config)?;
        let signed = format!("password \"{PASSWORD}\";");
        let bird = tunnel.bird(run, &bird_conf(&[&signed], &[PREFIX]))?;
        // Each end has tried, and the other's kernel has dropped it.
        for host in [&tunnel.site.gateway, tunnel.host()] {
            await_drops(host, "TCPMD5Failure")?;
        }
        let trouble = tunnel.await_trouble("GTH-BGP-18")?;
        ensure!(trouble.contains("bgp_password"), "{trouble}");
        ensure!(tunnel.gateway.ask(&["status"])?.contains("bgp_password"));
        ensure!(!tunnel.carries(PREFIX)?);

        write_secret(&file, PASSWORD)?;
        tunnel.gateway.reload(&config)?;
        bird.await_established(CUSTOMER, SOON)?;
        tunnel.await_route(PREFIX, true)?;
        // The peer's password goes: nobody without one is heard.
        bird.configure(&bird_conf(&[], &[PREFIX]))?;
        await_drops(&tunnel.site.gateway, "TCPMD5NotFound")?;
        tunnel.await_session(false)?;
        expect_unseen(tunnel, &[WRONG, PASSWORD])
    })
}

/// A neighbour sends with a hop count of 1 or, over several hops, with 64; one that has GTSM too with 255. It is the one that
/// connects, so that its first segment is dropped.
#[test]
fn ttl_security_hears_nobody_who_could_be_far_away() -> run::Outcome {
    one_tunnel::scenario("bgp_gtsm", &["ttl_security = true", "passive = true"], |run, tunnel| {
        let bird = tunnel.bird(run, &bird_conf(&[], &[PREFIX]))?;
        for far in [None, Some("multihop 64;")] {
            let dropped = tunnel.site.gateway.counter("TcpExt", DROPPED_FAR)?;
            bird.configure(&bird_conf(far.as_slice(), &[PREFIX]))?;
            bird.ask(&format!("restart {CUSTOMER}"))?;
            wait::until_true(SOON, "a segment from afar", || {
                Ok(tunnel.site.gateway.counter("TcpExt", DROPPED_FAR)? > dropped)
            })?;
            let trouble = tunnel.await_trouble("GTH-BGP-19")?;
            ensure!(trouble.contains("ttl_security"), "{trouble}");
        }
        bird.configure(&bird_conf(&["ttl security on;"], &[PREFIX]))?;
        bird.await_established(CUSTOMER, SOON)?;
        tunnel.await_route(PREFIX, true)
    })
}

/// A link of IPv6 has socket options of its own for both.
#[test]
fn over_a_link_of_ipv6_password_and_hop_count_hold_too() -> run::Outcome {
    let keys = ["ttl_security = true", &format!("bgp_password = \"{PASSWORD}\"")];
    one_tunnel::scenario("bgp_ipv6_link", &keys, |run, tunnel| {
        let mut config = one_tunnel::config(run.suite, &keys);
        config.tunnels[0].inside = format!("{OURS_V6}/126");
        config.tunnels[0].options.retain(|key| !key.starts_with("inside6"));
        config.gateway.retain(|key| !key.starts_with("advertise"));
        config.gateway.push(format!("advertise = [{LAN_V6:?}]"));
        tunnel.gateway.reload(&config)?;

        let signed = format!("password \"{PASSWORD}\";");
        let bird = tunnel.bird(run, &bird_conf_v6(&[&signed], PREFIX_V6))?;
        await_drops(&tunnel.site.gateway, DROPPED_FAR)?;
        bird.configure(&bird_conf_v6(&["ttl security on;"], PREFIX_V6))?;
        await_drops(&tunnel.site.gateway, "TCPMD5NotFound")?;
        ensure!(!tunnel.carries(PREFIX_V6)?);

        bird.configure(&bird_conf_v6(&[&signed, "ttl security on;"], PREFIX_V6))?;
        bird.await_established(CUSTOMER, SOON)?;
        tunnel.await_route(PREFIX_V6, true)?;
        wait::until_true(SOON, "BIRD to hear of the LAN", || Ok(bird.prefixes(CUSTOMER)? == [LAN_V6]))
    })
}

#[test]
fn one_end_may_be_passive_and_two_say_what_is_missing() -> run::Outcome {
    one_tunnel::scenario("bgp_passive", &["passive = true"], |run, tunnel| {
        let waits = bird_conf(&["passive on;"], &[PREFIX]);
        let connects = bird_conf(&[], &[PREFIX]);
        let bird = tunnel.bird(run, &waits)?;
        let trouble = tunnel.await_trouble("GTH-BGP-19")?;
        ensure!(trouble.contains("passive"), "{trouble}");

        bird.configure(&connects)?;
        bird.await_established(CUSTOMER, SOON)?;
        tunnel.await_route(PREFIX, true)?;
        ensure!(
            connections_to(tunnel, OURS)? == 1 && connections_to(tunnel, PEER)? == 0,
            "we have connected"
        );

        bird.configure(&waits)?;
        tunnel.await_session(false)?;
        tunnel.gateway.reload(&one_tunnel::config(run.suite, &[]))?;
        bird.await_established(CUSTOMER, SOON)?;
        tunnel.await_route(PREFIX, true)?;
        ensure!(
            connections_to(tunnel, PEER)? == 1 && connections_to(tunnel, OURS)? == 0,
            "BIRD has connected"
        );
        Ok(())
    })
}

/// RFC 4271 §6.8: of two connections that have had their OPENs, the one stays that the end with the higher identifier opened,
/// whichever OPEN came last.
#[test]
fn of_two_connections_the_one_of_the_higher_identifier_stays() -> run::Outcome {
    one_tunnel::scenario("bgp_collision", &[], |_, tunnel| {
        let port = Port::open(tunnel.host(), PEER.parse()?)?;
        for (identifier, peers_stays) in
            [(Ipv4Addr::new(1, 1, 1, 1), false), (Ipv4Addr::new(223, 255, 255, 1), true)]
        {
            for peers_first in [false, true] {
                let what = format!("identifier {identifier}, the peer's connection first: {peers_first}");
                let ours = port.accept(SOON)?;
                let theirs = Speaker::connect(tunnel.host(), PEER.parse()?, OURS.parse()?)?;
                let [mut first, mut last] = if peers_first { [theirs, ours] } else { [ours, theirs] };
                let open = Open { identifier, ..Open::good(u16::try_from(AS)?, PEER.parse()?) };
                first.expect(OPEN).with_context(|| what.clone())?;
                last.expect(OPEN).with_context(|| what.clone())?;
                first.send(&open.emit())?;
                first.expect(KEEPALIVE).with_context(|| what.clone())?;
                last.send(&open.emit())?;
                let [mut stays, mut goes] =
                    if peers_first == peers_stays { [first, last] } else { [last, first] };
                ensure!(goes.notification(SOON)? == COLLISION, "{what}");
                stays.send(&message(KEEPALIVE, &[]))?;
                tunnel.await_session(true)?;
                stays.expect_alive()?;
                drop(stays);
                tunnel.await_session(false)?;
            }
        }
        Ok(())
    })
}

#[test]
fn with_both_ends_connecting_each_restart_ends_in_one_session_that_lasts() -> run::Outcome {
    one_tunnel::scenario("bgp_both_connect", &[], |run, tunnel| {
        let bird = tunnel.bird(run, &bird_conf(&[], &[PREFIX]))?;
        bird.await_established(CUSTOMER, SOON)?;
        for _ in 0..3 {
            let before = established(tunnel);
            bird.ask(&format!("restart {CUSTOMER}"))?;
            wait::until_true(SOON, "a new session", || Ok(established(tunnel) > before))?;
            bird.await_established(CUSTOMER, SOON)?;
            // A whole exchange. Before it BIRD may have closed what we held to be established: its OPEN on the other
            // connection and our KEEPALIVE on this one were under way at the same time.
            bird.configure(&bird_conf(&[], &[PREFIX, "10.201.0.0/16"]))?;
            tunnel.await_route("10.201.0.0/16", true)?;
            let (theirs, ours) = (bird.established(CUSTOMER)?, established(tunnel));
            bird.configure(&bird_conf(&[], &[PREFIX]))?;
            tunnel.await_route("10.201.0.0/16", false)?;
            ensure!(bird.established(CUSTOMER)? == theirs, "BIRD has lost a session");
            ensure!(established(tunnel) == ours, "we have lost a session");
            ensure!(connections_to(tunnel, OURS)? + connections_to(tunnel, PEER)? == 1, "two connections");
        }
        Ok(())
    })
}

fn await_drops(host: &gotthard_lab::Netns, counter: &str) -> Result<()> {
    wait::until_true(SOON, format!("{counter} of {}", host.name()), || {
        Ok(host.counter("TcpExt", counter)? > 0)
    })
}

/// Neither the log nor anything that can be asked shows one of these.
fn expect_unseen(tunnel: &OneTunnel, secrets: &[&str]) -> Result<()> {
    let mut shown = vec![tunnel.gateway.process.log()];
    for command in ["status", "routes"] {
        shown.push(tunnel.gateway.ask(&[command])?);
        shown.push(tunnel.gateway.ask(&[command, "--output", "json"])?);
    }
    for text in shown {
        ensure!(!text.is_empty() && !secrets.iter().any(|secret| text.contains(secret)), "{text}");
    }
    Ok(())
}

/// Established TCP connections to port 179 of an address, as the gateway sees them.
fn connections_to(tunnel: &OneTunnel, address: &str) -> Result<usize> {
    let listed = tunnel.site.gateway.output("ss", &["-Htn", "state", "established"])?;
    // ADDRESS:179, or ADDRESS%DEVICE:179 of a socket that is bound to a device.
    let is_it = |word: &&str| word.starts_with(address) && word.ends_with(":179");
    Ok(listed.split_whitespace().filter(is_it).count())
}

/// How many sessions there have been.
fn established(tunnel: &OneTunnel) -> usize {
    tunnel.gateway.process.log().matches("the BGP session is established").count()
}

const PREFIX: &str = "10.200.0.0/16";
const PREFIX_V6: &str = "2001:db8:200::/48";
const LAN_V6: &str = "2001:db8:10::/64";
const PASSWORD: &str = "exampleOfAPassword";
const WRONG: &str = "exampleOfAnotherOne";
/// What the kernel drops for its hop count.
const DROPPED_FAR: &str = "TCPMinTTLDrop";
/// Cease: Connection Collision Resolution.
const COLLISION: (u8, u8) = (6, 7);

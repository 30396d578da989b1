//! What both ends say to each other in a session, over a real tunnel: route refresh, words of the operators, too many
//! prefixes, and OPENs that are slow or never come.

use core::time::Duration;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gotthard_lab::cloud::aws::{AS, CUSTOMER};
use gotthard_lab::cloud::one_tunnel::{self, OURS, PEER, SOON, bird_conf};
use gotthard_lab::hostile::bgp::{KEEPALIVE, NOTIFICATION, OPEN, Open, Port, Speaker, message};
use gotthard_lab::process::Signal;
use gotthard_lab::{Bird, run, wait};

#[test]
fn each_end_asks_the_other_for_its_routes_when_its_policy_widens() -> run::Outcome {
    one_tunnel::scenario("bgp_refresh", &[], |run, tunnel| {
        let open = bird_conf(&[], &PREFIXES[..2]);
        let closed = open.replace("import all", "import none");
        let bird = tunnel.bird(run, &open)?;
        await_prefixes(&bird, &[LAN])?;
        let established = bird.established(CUSTOMER)?;
        // BIRD keeps nothing of what it does not take: it comes again because it is asked for.
        bird.configure(&closed)?;
        await_prefixes(&bird, &[])?;
        bird.configure(&open)?;
        await_prefixes(&bird, &[LAN])?;
        // Nor do we.
        tunnel.await_route(PREFIXES[0], true)?;
        let narrow = one_tunnel::config(run.suite, &[&format!("import = [{:?}]", PREFIXES[1])]);
        tunnel.gateway.reload(&narrow)?;
        tunnel.await_route(PREFIXES[0], false)?;
        ensure!(tunnel.carries(PREFIXES[1])?);
        tunnel.gateway.reload(&one_tunnel::config(run.suite, &[]))?;
        tunnel.await_route(PREFIXES[0], true)?;
        ensure!(bird.established(CUSTOMER)? == established, "a session was lost");
        Ok(())
    })
}

/// RFC 9003, and what hooks are told of it.
#[test]
fn words_of_either_operator_arrive_at_the_other() -> run::Outcome {
    one_tunnel::scenario("bgp_shutdown", &[], |run, tunnel| {
        // A daemon that began without hooks lets them run where its configuration is, and write where its state is.
        let folder = run.dir().join("gotthard");
        let (hooks, told) = (folder.join("hooks"), folder.join("state/told"));
        install_hook(&hooks, &told)?;
        let mut config = one_tunnel::config(run.suite, &[]);
        config.gateway.push(format!("hooks = {hooks:?}"));
        tunnel.gateway.reload(&config)?;

        let bird = tunnel.bird(run, &bird_conf(&[], &[PREFIXES[0]]))?;
        bird.await_established(CUSTOMER, SOON)?;
        await_hook(&told, &["bgp-up", "gth0", "64512", PEER])?;
        bird.ask(&format!("disable {CUSTOMER} \"{WORD}\""))?;
        let trouble = tunnel.await_trouble("GTH-BGP-09")?;
        ensure!(trouble.contains(WORD), "{trouble}");
        ensure!(tunnel.gateway.process.log().contains(WORD));
        tunnel.await_route(PREFIXES[0], false)?;
        await_hook(&told, &["bgp-down", "gth0", "64512", PEER, "GTH-BGP-09", WORD])?;

        bird.ask(&format!("enable {CUSTOMER}"))?;
        bird.await_established(CUSTOMER, SOON)?;
        tunnel.gateway.ask(&["down", "aws-prod/1"])?;
        await_log(&bird, "the tunnel is taken down")?;
        tunnel.gateway.ask(&["up", "aws-prod/1"])?;
        bird.await_established(CUSTOMER, SOON)?;
        let heard = bird.log().matches("the tunnel is taken down").count();
        tunnel.gateway.process.signal(Signal::TERM)?;
        wait::until_true(SOON, "the daemon's last word", || {
            Ok(bird.log().matches("the tunnel is taken down").count() > heard)
        })
    })
}

#[test]
fn a_word_that_would_write_to_the_operators_terminal_is_shown_escaped() -> run::Outcome {
    one_tunnel::scenario("bgp_shutdown_escaped", &[], |_, tunnel| {
        let mut peer = Port::open(tunnel.host(), PEER.parse()?)?.establish(&good_open()?, SOON)?;
        let text = b"\x1b[31m\nup\x07";
        peer.send(&message(NOTIFICATION, &[&[6, 2, u8::try_from(text.len())?], &text[..]].concat()))?;
        let trouble = tunnel.await_trouble("GTH-BGP-09")?;
        ensure!(trouble.contains("[31m\\nup"), "{trouble}");
        let shown = [tunnel.gateway.ask(&["status"])?, tunnel.gateway.process.log(), trouble];
        for text in &shown {
            ensure!(!text.contains("\x1b[31m") && !text.contains('\x07'), "{text:?}");
        }
        Ok(())
    })
}

#[test]
fn above_the_limit_prefixes_are_left_or_the_session_rests_until_the_limit_is_raised() -> run::Outcome {
    let limit = "max_prefixes = 2";
    one_tunnel::scenario("bgp_limit", &[limit], |run, tunnel| {
        let bird = tunnel.bird(run, &bird_conf(&[], &PREFIXES[..2]))?;
        for prefix in &PREFIXES[..2] {
            tunnel.await_route(prefix, true)?;
        }
        let established = bird.established(CUSTOMER)?;
        bird.configure(&bird_conf(&[], &PREFIXES))?;
        wait::until_true(SOON, "the refusal to be told", || {
            Ok(tunnel.gateway.ask(&["routes"])?.contains("GTH-RTE-14"))
        })?;
        ensure!(!tunnel.carries(PREFIXES[2])?);
        // Where there is room again, what was left is asked for.
        bird.configure(&bird_conf(&[], &PREFIXES[1..]))?;
        tunnel.await_route(PREFIXES[2], true)?;
        ensure!(bird.established(CUSTOMER)? == established, "a session was lost");

        let ends = [limit, "max_prefixes_action = \"tear-down\""];
        tunnel.gateway.reload(&one_tunnel::config(run.suite, &ends))?;
        bird.configure(&bird_conf(&[], &PREFIXES))?;
        tunnel.await_trouble("GTH-BGP-17")?;
        await_log(&bird, "Maximum number of prefixes reached")?;
        for prefix in &PREFIXES {
            tunnel.await_route(prefix, false)?;
        }
        tunnel.gateway.reload(&one_tunnel::config(run.suite, &["max_prefixes = 3", ends[1]]))?;
        for prefix in &PREFIXES {
            tunnel.await_route(prefix, true)?;
        }
        Ok(())
    })
}

#[test]
fn an_open_may_come_slowly_and_one_that_never_comes_keeps_nobody_else_waiting() -> run::Outcome {
    one_tunnel::scenario("bgp_slow_open", &[], |_, tunnel| {
        let port = Port::open(tunnel.host(), PEER.parse()?)?;
        let mut mute = port.accept(SOON)?;
        let mut slow = Speaker::connect(tunnel.host(), PEER.parse()?, OURS.parse()?)?;
        for octet in good_open()?.emit().iter().chain(&message(KEEPALIVE, &[])) {
            slow.send(&[*octet])?;
        }
        [OPEN, KEEPALIVE].into_iter().try_for_each(|kind| slow.expect(kind))?;
        tunnel.await_session(true)?;
        slow.expect_alive()?;
        drop(slow);
        tunnel.await_session(false)?;

        ensure!(mute.notification(OPEN_HOLD)? == (4, 0), "hold timer expired");
        tunnel.await_trouble("GTH-BGP-20")?;
        drop(mute);
        port.establish(&good_open()?, SOON)?.expect_alive()
    })
}

fn await_prefixes(bird: &Bird, expected: &[&str]) -> Result<()> {
    wait::until_true(SOON, format!("BIRD to have {expected:?}"), || Ok(bird.prefixes(CUSTOMER)? == expected))
}

fn await_log(bird: &Bird, words: &str) -> Result<()> {
    wait::until_true(SOON, format!("BIRD to log {words:?}"), || Ok(bird.log().contains(words)))
        .with_context(|| bird.log())
}

/// A hook that writes a line of its variables for each event of a session. Returns the file.
fn install_hook(folder: &Path, told: &Path) -> Result<()> {
    std::fs::create_dir(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    let hook = folder.join("10-tell");
    let variables = ["EVENT", "INTERFACE", "PEER_ASN", "PEER_INSIDE", "REASON", "MESSAGE"];
    let words: Vec<_> = variables.iter().map(|name| format!("$GOTTHARD_{name}")).collect();
    let script = format!(
        "#!/bin/sh\ncase $GOTTHARD_EVENT in bgp-*) echo \"{}\" >> {} ;; esac\n",
        words.join(" "),
        told.display()
    );
    std::fs::write(&hook, script)?;
    std::fs::set_permissions(&hook, Permissions::from_mode(0o700))?;
    std::fs::write(told, "")?;
    Ok(())
}

/// Waits for a line with all these words.
fn await_hook(told: &Path, words: &[&str]) -> Result<()> {
    wait::until_true(SOON, format!("a hook to be told {words:?}"), || {
        let told = std::fs::read_to_string(told)?;
        Ok(told.lines().any(|line| words.iter().all(|word| line.contains(word))))
    })
}

fn good_open() -> Result<Open> {
    Ok(Open::good(u16::try_from(AS)?, PEER.parse()?))
}

const LAN: &str = "10.10.0.0/16";
const PREFIXES: [&str; 3] = ["10.200.0.0/16", "10.201.0.0/16", "10.202.0.0/16"];
const WORD: &str = "new line cards, back at four";
/// An OPEN is waited for a minute.
const OPEN_HOLD: Duration = Duration::from_mins(2);

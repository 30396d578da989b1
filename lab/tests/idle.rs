//! What a gateway costs that does nothing: 100 tunnels between two of ours are up, no traffic crosses them, and each is probed
//! three times a second.
//!
//! Short unless asked otherwise: `GOTTHARD_IDLE_SECONDS=30`.

use core::time::Duration;
use std::thread;

use anyhow::{Result, ensure};
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::run::{number, say};
use gotthard_lab::site::OUTSIDE;
use gotthard_lab::{Gotthard, Netns, Run, Suite, run};

#[test]
fn a_hundred_idle_tunnels_cost_a_small_share_of_a_core() -> run::Outcome {
    run::scenario("idle", Suite::Gcm, |run| {
        let hosts = [Netns::new("left")?, Netns::new("right")?];
        hosts[0].link(OUTSIDE, &hosts[1], OUTSIDE)?;
        for (side, host) in hosts.iter().enumerate() {
            address(host, side)?;
        }
        let right = Gotthard::start(run, &hosts[1], "right", &config(run, 1))?;
        right.await_running(UP)?;
        let left = Gotthard::start(run, &hosts[0], "left", &config(run, 0))?;
        left.await_up(UP)?;
        right.await_up(UP)?;
        let before = left.process.cpu_time()?;
        let time = Duration::from_secs(number("GOTTHARD_IDLE_SECONDS", 10)?.into());
        thread::sleep(time);
        let used = left.process.cpu_time()?.saturating_sub(before);
        let share = used.as_secs_f64() / time.as_secs_f64();
        say(&format!("lab: {TUNNELS} idle tunnels for {time:?}: {:.1} % of a core", share * 100.0));
        ensure!(left.status()?.tunnels().all(gotthard_lab::status::Tunnel::is_up), "a tunnel has fallen");
        ensure!(share <= MOST, "{used:?} of {time:?}");
        Ok(())
    })
}

/// An address for each tunnel, and with it the way to the peer's: a peer is known by its outer address.
fn address(host: &Netns, side: usize) -> Result<()> {
    for tunnel in 0..TUNNELS {
        host.address(&format!("{}/32", outer(side, tunnel)), OUTSIDE)?;
        let (ours, theirs) = (outer(side, tunnel), outer(1 - side, tunnel));
        host.route(&format!("{theirs}/32 dev {OUTSIDE} src {ours}"))?;
    }
    Ok(())
}

fn config(run: &Run, side: usize) -> Config {
    let tunnel = |number: usize| Tunnel {
        peer: outer(1 - side, number),
        inside: format!("169.254.{}.{}/30", 20 + number / 60, number % 60 * 4 + 1 + side),
        psk: "hundred.idle.tunnels".to_owned(),
        options: Vec::new(),
    };
    let mode = if side == 0 { "initiator" } else { "responder" };
    Config {
        local: "auto".to_owned(),
        cloud: "generic".to_owned(),
        remote: vec![format!("10.{side}.0.0/16")],
        options: vec![format!("mode = \"{mode}\"")],
        tunnels: (0..TUNNELS).map(tunnel).collect(),
        log: "info",
        ..Config::aws(run.suite)
    }
}

fn outer(side: usize, tunnel: usize) -> String {
    format!("198.18.{side}.{}", tunnel + 1)
}

const TUNNELS: usize = 100;
const UP: Duration = Duration::from_mins(1);
/// Of a core, on a machine whose caches others use too.
const MOST: f64 = 0.2;

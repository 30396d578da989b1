//! One TCP stream through our tunnel beside the same stream between two strongSwan ends, in interleaved rounds.
//!
//! Four programs share the machine's cores here, so whatever else runs weighs on the ratio. The scenario fails below a
//! factor that a busy machine reaches too; `GOTTHARD_SPEED_FACTOR=3` asks for the one that an idle machine must reach.

use anyhow::{Context, Result, ensure};
use gotthard_lab::capture::Capture;
use gotthard_lab::pair::{End, OUTSIDE, Pair};
use gotthard_lab::run::say;
use gotthard_lab::{Run, scenarios};

scenarios!(one_tcp_stream_is_faster_than_between_two_strongswan_ends);

fn one_tcp_stream_is_faster_than_between_two_strongswan_ends(run: &Run) -> Result<()> {
    let pairs = [
        Pair::new(run, "gotthard-gotthard", [OURS, OURS])?,
        Pair::new(run, "gotthard-strongswan", [OURS, End::Strongswan])?,
        Pair::new(run, "strongswan-strongswan", [End::Strongswan, End::Strongswan])?,
    ];
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (pair, rates) in pairs.iter().zip(&mut rates) {
            rates.push(pair.stream(run, SECONDS, None)?);
        }
    }
    let medians = rates.each_ref().map(|rates| median(rates));
    let [ours, mixed, theirs] = medians;
    say(&format!("lab: one TCP stream, {}, medians of {ROUNDS} rounds of {SECONDS} s", run.suite.esp_name()));
    for ((pair, rates), median) in pairs.iter().zip(&rates).zip(medians) {
        let rounds: Vec<_> = rates.iter().map(|rate| format!("{:.2}", rate / GIGA)).collect();
        let ratio = median / theirs;
        say(&format!(
            "lab:   {:<22} {:>6.2} Gbit/s  {ratio:>5.1} x   ({})",
            pair.name,
            median / GIGA,
            rounds.join(" ")
        ));
    }
    // Of a stream that is measured no capture is taken: it would cost each packet the same and hide the difference.
    for pair in &pairs {
        let capture = Capture::start(run, &pair.hosts[0], OUTSIDE, &format!("{}-outside", pair.name))?;
        pair.stream(run, 1, Some(50))?;
        capture.expect_no_inner_packet()?;
    }
    let factor = factor()?;
    ensure!(ours >= factor * theirs, "{:.2} is not {factor} x {:.2} Gbit/s", ours / GIGA, theirs / GIGA);
    ensure!(mixed > 0.0);
    Ok(())
}

/// How many times as fast as two strongSwan ends we must be.
fn factor() -> Result<f64> {
    match std::env::var("GOTTHARD_SPEED_FACTOR") {
        Ok(factor) => factor.parse().with_context(|| format!("GOTTHARD_SPEED_FACTOR={factor}")),
        Err(_) => Ok(BUSY_FACTOR),
    }
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A gateway of ours as it runs where nothing is configured.
const OURS: End = End::Gotthard(None);
/// Measured with both cores compiling: 2.1 to 2.3 for AES-GCM, 2.7 to 3.3 for AES-CBC.
const BUSY_FACTOR: f64 = 1.5;
const ROUNDS: usize = 5;
const SECONDS: u32 = 2;
const GIGA: f64 = 1e9;

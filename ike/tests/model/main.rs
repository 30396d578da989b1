//! Two endpoints that do whatever they may, at any time, over a link that does its worst: the model test of the state
//! machine (RFC 7296 §2.8, §2.25).
//!
//! A seed is one run. Every seed that fails is printed; one is run again, and its story told, by
//! `GOTTHARD_MODEL_SEED=n cargo test -p gotthard-ike --test model -- --nocapture`. `GOTTHARD_MODEL_SEEDS` says how many are run.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a failed test is what a panic is for"
)]

#[path = "../support/mod.rs"]
mod support;

mod run;
mod witness;

use core::ops::AddAssign;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::{env, panic, thread};

use run::run;

/// What happened in the runs: a model in which nothing happens proves nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    handshakes: usize,
    child_rekeys: usize,
    ike_rekeys: usize,
    downs: usize,
    restarts: usize,
    messages: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.handshakes += other.handshakes;
        self.child_rekeys += other.child_rekeys;
        self.ike_rekeys += other.ike_rekeys;
        self.downs += other.downs;
        self.restarts += other.restarts;
        self.messages += other.messages;
    }
}

#[test]
fn whatever_happened_one_tunnel_is_left_and_both_ends_agree_on_it() {
    if let Some(seed) = number("GOTTHARD_MODEL_SEED") {
        println!("seed {seed}: {:?}", run(seed, true));
        return;
    }
    let seeds = number("GOTTHARD_MODEL_SEEDS").unwrap_or(SEEDS);
    let (next, tally, failed) = (AtomicU64::new(0), Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || failed.lock().unwrap().len() >= ENOUGH {
                return;
            }
            match panic::catch_unwind(|| run(seed, false)) {
                Ok(of_run) => *tally.lock().unwrap() += of_run,
                Err(_) => failed.lock().unwrap().push(seed),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (tally, mut failed) = (*tally.lock().unwrap(), failed.into_inner().unwrap());
    failed.sort_unstable();
    println!("{seeds} seeds: {tally:?}");
    assert!(failed.is_empty(), "replay by GOTTHARD_MODEL_SEED: {failed:?}");
    let runs = usize::try_from(seeds).unwrap();
    assert!(tally.child_rekeys > runs && tally.ike_rekeys > runs, "the model does something");
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect(variable))
}

/// What a plain `cargo test` runs.
const SEEDS: u64 = 1_000;

/// Failed seeds after which no more are looked for.
const ENOUGH: usize = 8;

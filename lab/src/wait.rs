//! Waiting for a condition that another process brings about, with a deadline.
//!
//! What is awaited (a peer's SA, a status) can only be asked for, so it is asked again and again; no scenario waits a
//! fixed time for something to have happened.

use core::fmt::Display;
use core::time::Duration;
use std::time::Instant;

use anyhow::{Result, bail};

/// Asks until there is an answer. `what` completes the sentence "waited N s for …".
pub fn until<T>(
    deadline: Duration,
    what: impl Display,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = SHORTEST;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() >= deadline {
            bail!("waited {} s for {what}", deadline.as_secs_f32());
        }
        std::thread::sleep(pause);
        pause = (pause + pause / 2).min(LONGEST);
    }
}

/// Asks until the condition holds.
pub fn until_true(
    deadline: Duration,
    what: impl Display,
    mut ask: impl FnMut() -> Result<bool>,
) -> Result<()> {
    until(deadline, what, || Ok(ask()?.then_some(())))
}

/// An answer costs a process or two: what is not there soon is asked for less and less often.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(100);

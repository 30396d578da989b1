//! UDP at the highest rate of which at most 1 % is lost.
//!
//! The generator first sends as fast as it can; then each step halves the interval between the highest rate that
//! passed and the lowest that did not. A step's rate counts what arrived over the time until the last arrival: what a
//! queue holds back does not pass for throughput.

use anyhow::{Context, Result};

use super::bed::Bed;
use super::generator::{Generator, Load, Step};
use crate::interrupt;

/// The best step of a search, and what its watcher said before and after it.
pub(super) struct Best<T> {
    pub(super) step: Step,
    pub(super) before: T,
    pub(super) after: T,
    /// Packets that came after a later one, in all steps.
    pub(super) reordered: Option<u64>,
}

/// Searches the highest rate from left to right; `watch` is asked before and after each step.
pub(super) fn search<T>(bed: &Bed, load: &Load, mut watch: impl FnMut() -> Result<T>) -> Result<Best<T>> {
    let mut generator = Generator::new(bed, load)?;
    let mut best: Option<Best<T>> = None;
    let (mut passed, mut failed) = (0.0, f64::INFINITY);
    let mut asked = f64::INFINITY;
    for _ in 0..STEPS {
        interrupt::check()?;
        let before = watch()?;
        let step = generator.step(asked)?;
        let after = watch()?;
        if step.loss() <= TOLERATED {
            passed = step.offered().max(passed);
            if best.as_ref().is_none_or(|best| step.packets() > best.step.packets()) {
                best = Some(Best { step, before, after, reordered: None });
            }
            if step.offered() < asked * REACHED {
                break;
            }
        } else {
            failed = step.offered().min(failed);
        }
        // What arrives under overload is a first guess; a path that collapses under it may carry less still.
        asked =
            if passed > 0.0 { f64::midpoint(passed, failed) } else { step.packets().min(failed * BACK_OFF) };
    }
    let best = best.with_context(|| format!("more than {} % lost at every rate", TOLERATED * 100.0))?;
    Ok(Best { reordered: generator.reordered(), ..best })
}

const STEPS: usize = 6;
/// Loss at which a rate has passed.
const TOLERATED: f64 = 0.01;
/// A generator that reaches less of what it is asked for is itself the limit.
const REACHED: f64 = 0.97;
const BACK_OFF: f64 = 0.7;

//! What the counters of the last minute show: ceilings that are near, and packets that are dropped.

use core::time::Duration;

use super::finding::{Direction, Finding, Unit};
use super::window::{Change, Window};
use crate::config::ceilings::{Ceiling, Ceilings};

/// What they show, the ceilings first.
pub(super) fn findings(ceilings: &Ceilings, window: &Window) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(lately) = window.over(LATELY) {
        let bits = |octets: u64| lately.rate(octets).saturating_mul(8);
        let (tx, rx) = (bits(lately.by.tx_bytes), bits(lately.by.rx_bytes));
        found.extend(near(&ceilings.bandwidth, Unit::Bits, tx, rx));
        let (tx, rx) = (lately.rate(lately.by.tx_packets), lately.rate(lately.by.rx_packets));
        found.extend(near(&ceilings.packets, Unit::Packets, tx, rx));
    }
    if let Some(change) = window.over(LONG) {
        found.extend(dropped(&change));
    }
    found
}

/// The ceiling that the busier direction is near to. A tunnel that is well above one is of a wider kind.
fn near(ceilings: &[Ceiling], unit: Unit, tx: u64, rx: u64) -> Option<Finding> {
    let (rate, direction) = if tx >= rx { (tx, Direction::Sends) } else { (rx, Direction::Receives) };
    let percent = |ceiling: &Ceiling| rate.saturating_mul(100) / ceiling.limit.max(1);
    let is_near = |ceiling: &&Ceiling| {
        let percent = percent(ceiling);
        percent >= NEAR && (ceiling.widest || percent <= ABOVE)
    };
    let ceiling = ceilings.iter().find(is_near)?;
    Some(Finding::Ceiling { unit, direction, rate, percent: percent(ceiling), ceiling: *ceiling })
}

fn dropped(change: &Change) -> Vec<Finding> {
    let arrived = change.by.rx_packets.saturating_add(change.by.replayed);
    let many = |dropped: u64| dropped >= LEAST && dropped.saturating_mul(1000) / arrived.max(1) >= PER_MILLE;
    let mut found = Vec::new();
    if many(change.by.replayed) {
        found.push(Finding::Replayed { packets: change.by.replayed, of: arrived });
    }
    if change.by.damaged >= LEAST {
        found.push(Finding::Damaged { packets: change.by.damaged });
    }
    found
}

/// Percent of a ceiling that are near it.
const NEAR: u64 = 90;
/// Percent of a ceiling that counters and clocks may err by.
const ABOVE: u64 = 105;
/// Dropped packets of a minute that are no accident.
const LEAST: u64 = 20;
/// Of those that arrived.
const PER_MILLE: u64 = 5;
/// What a rate is taken over.
const LATELY: Duration = Duration::from_secs(10);
/// What drops are counted over.
const LONG: Duration = Duration::from_mins(1);

//! Whether what we send into a tunnel is lost while packets of the peer arrive, of a peer that has answered echoes (GTH-ESP-04):
//! what is said of it, and what failover goes by.
//!
//! Echoes in vain alone may be a peer that answers none any more. What TCP shows beside them is asked too, counted over all
//! tunnels of the connection, since a cloud answers through whichever it likes:
//!
//! 1. `PATIENCE` without an answer to an echo, while packets arrive, is said in the status. Where segments with data go all the
//!    while and answers to fewer than half of what is sent come, it is evidence enough to move the traffic.
//! 2. Where TCP is answered and this tunnel alone sends, the peer only answers no echoes: nothing is said, nothing moves.
//! 3. Where TCP says neither, the traffic moves after `ALONE`.
//!
//! It ends with the next echo that is answered. Each time it is found within `CALM` takes twice as long, so that two peers
//! that answer echoes only while they are idle do not hand the traffic to and fro. Pure.

use core::time::Duration;

use gotthard_ike::Time;

use super::finding::Finding;
use super::silence::{Echoes, Wire};
use super::window::Sample;

/// The evidence against one tunnel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unheard {
    /// When the counter of received packets was last taken, and as it was; `None`: not yet.
    last: Option<(Time, u64)>,
    /// The last that came came after this moment; `None`: nothing has.
    came: Option<Time>,
    row: Option<Row>,
    /// Echoes in vain as they were last told.
    echoes: u64,
    /// It is said in the status.
    found: bool,
    /// Failover goes by it.
    lost: bool,
    /// How often it did, and when it began to last.
    times: u32,
    latest: Option<Time>,
}

/// What TCP of all the tunnels of a connection has sent and received since they were configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Segments sent that must be answered, those that open a connection too.
    pub asked: u64,
    /// Segments received that answer and do nothing else.
    pub answered: u64,
}

impl Spoken {
    /// The sum of two tunnels.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            asked: self.asked.wrapping_add(other.asked),
            answered: self.answered.wrapping_add(other.answered),
        }
    }
}

/// Echoes in vain, one after the other.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// When the first was sent.
    since: Time,
    /// From when on they are evidence: since then, or since TCP was last answered.
    from: Time,
    tcp: Option<Tcp>,
}

/// TCP beside the echoes of a row. What was sent before it may be answered in its first moments, and is not counted.
#[derive(Clone, Copy, Debug)]
struct Tcp {
    sample: Sample,
    whole: Spoken,
    /// Segments with data at the last look, and how many looks found further ones.
    segments: u64,
    times: u64,
}

/// What TCP says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It is answered, in this tunnel's place too.
    Answered,
    /// It is not.
    Vain,
    /// Nothing.
    None,
}

impl Unheard {
    /// Takes the tunnel's counters and what became of its echoes, about once a second. `whole`: the TCP of its connection.
    pub(super) fn take(&mut self, now: Time, sample: &Sample, echoes: Echoes, whole: Spoken) {
        let before = self.last.replace((now, sample.rx_packets));
        if let Some((at, _)) = before.filter(|(_, rx)| *rx != sample.rx_packets) {
            self.came = Some(at);
        }
        self.echoes = echoes.unanswered;
        let Some(since) = echoes.in_vain_since.filter(|_| echoes.answered) else { return self.clear() };
        let row = match self.row {
            Some(row) if row.since == since => row,
            Some(_) | None => {
                self.clear();
                Row { since, from: since, tcp: None }
            }
        };
        self.row = Some(self.weigh(now, row, sample, whole));
    }

    /// What is found; what we are told of the echoes is as new as the last look.
    pub(super) fn finding(&self, wire: Wire) -> Option<Finding> {
        self.found.then_some(Finding::Unheard { echoes: self.echoes, wire })
    }

    /// While failover is to go by it: when the first echo in vain was sent.
    pub(super) fn lost_since(&self) -> Option<Time> {
        self.row.filter(|_| self.lost).map(|row| row.since)
    }

    /// An echo was answered.
    const fn clear(&mut self) {
        (self.row, self.found, self.lost) = (None, false, false);
    }

    fn weigh(&mut self, now: Time, mut row: Row, sample: &Sample, whole: Spoken) -> Row {
        if now < row.since + UNDER_WAY {
            return row;
        }
        let Some(tcp) = &mut row.tcp else {
            return Row { tcp: Some(Tcp::new(sample, whole)), ..row };
        };
        let word = tcp.word(sample, whole);
        if word == Word::Answered {
            (self.found, self.lost) = (false, false);
            return Row { from: now, tcp: Some(Tcp::new(sample, whole)), ..row };
        }
        // What was under way when a path broke both ways arrives after the first echo that is lost; and where nothing comes any
        // more either, the probe says so.
        let arrives = self
            .came
            .is_some_and(|came| came >= row.since + UNDER_WAY && now.saturating_since(came) <= PATIENCE);
        if arrives && self.echoes >= ENOUGH_ECHOES {
            let lasted = now.saturating_since(row.from);
            self.found |= lasted >= PATIENCE;
            let needed = if word == Word::Vain { PATIENCE } else { ALONE };
            if !self.lost && lasted >= needed.saturating_mul(1 << self.doublings(now)) {
                self.times = self.doublings(now).saturating_add(1);
                (self.found, self.lost, self.latest) = (true, true, Some(now));
            }
        }
        row
    }

    /// How often it was found, calm forgetting all of it.
    fn doublings(&self, now: Time) -> u32 {
        let lately = self.latest.is_some_and(|at| now.saturating_since(at) < CALM);
        if lately { self.times.min(MOST_DOUBLINGS) } else { 0 }
    }
}

impl Tcp {
    const fn new(sample: &Sample, whole: Spoken) -> Self {
        Self { sample: *sample, whole, segments: sample.tx_segments, times: 0 }
    }

    fn word(&mut self, sample: &Sample, whole: Spoken) -> Word {
        let more = core::mem::replace(&mut self.segments, sample.tx_segments) != sample.tx_segments;
        self.times = self.times.saturating_add(u64::from(more));
        let openings = sample.tx_openings.saturating_sub(self.sample.tx_openings);
        let segments = sample.tx_segments.saturating_sub(self.sample.tx_segments);
        let asked = segments.saturating_add(openings);
        let all = whole.asked.saturating_sub(self.whole.asked).max(asked);
        let answered = whole.answered.saturating_sub(self.whole.answered);
        if answered.saturating_mul(2) < all {
            return if self.times >= AGAIN { Word::Vain } else { Word::None };
        }
        // Else the answers may be those to what the other tunnels send.
        let alone = all.saturating_sub(asked).saturating_mul(4) <= asked;
        if asked >= ENOUGH && alone { Word::Answered } else { Word::None }
    }
}

/// Without an answer to any echo: no path and no host takes so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where nothing else is known: some ninety echoes. A peer under load would have answered one of them.
const ALONE: Duration = Duration::from_secs(30);
/// Echoes in vain that are no accident, however long the interval between them.
const ENOUGH_ECHOES: u64 = 4;
/// Packets and replies are under way no longer than this.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// What is sent until its being answered says something.
const ENOUGH: u64 = 5;
/// What a lone connection repeats in the time, that was cut some seconds before the first echo (RFC 6298: at 6 s and 13 s, with Linux's
/// shortest timer).
const AGAIN: u64 = 2;
/// After so long without it, it is as if it had never been found.
const CALM: Duration = Duration::from_hours(1);
/// 160 s of TCP in vain, or 8 min of echoes.
const MOST_DOUBLINGS: u32 = 4;

#[cfg(test)]
mod tests;

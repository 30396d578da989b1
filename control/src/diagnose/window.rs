//! The counters of a tunnel over the last minute, sampled every few seconds.

use core::time::Duration;
use std::collections::VecDeque;

use gotthard_ike::Time;

/// What a tunnel has counted since it was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Packets received and delivered.
    pub rx_packets: u64,
    /// Their octets.
    pub rx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Their octets.
    pub tx_bytes: u64,
    /// TCP segments sent that open a connection.
    pub tx_openings: u64,
    /// TCP segments sent that the other end must acknowledge, those apart.
    pub tx_segments: u64,
    /// TCP segments received that acknowledge and do nothing else, or that answer one that opens a connection.
    pub rx_answers: u64,
    /// Packets dropped as seen before, or as older than the replay window.
    pub replayed: u64,
    /// Packets dropped for a wrong ICV.
    pub damaged: u64,
}

/// The samples of the last minute.
#[derive(Clone, Debug, Default)]
pub struct Window {
    samples: VecDeque<(Time, Sample)>,
}

/// How far the counters have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// In this time.
    pub elapsed: Duration,
    /// By so much.
    pub by: Sample,
}

impl Window {
    /// Takes a sample, and is true if it was time for one.
    pub fn take(&mut self, now: Time, sample: &Sample) -> bool {
        if self.samples.back().is_some_and(|(at, _)| now.saturating_since(*at) < PACE) {
            return false;
        }
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now, *sample));
        true
    }

    /// What changed up to the latest sample, over the longest time that is no longer than `span`; `None`: too few samples.
    pub fn over(&self, span: Duration) -> Option<Change> {
        let (now, latest) = self.samples.back()?;
        let (then, earlier) = self.samples.iter().find(|(at, _)| now.saturating_since(*at) <= span)?;
        let elapsed = now.saturating_since(*then);
        let since = |counter: fn(&Sample) -> u64| counter(latest).saturating_sub(counter(earlier));
        let by = Sample {
            rx_packets: since(|sample| sample.rx_packets),
            rx_bytes: since(|sample| sample.rx_bytes),
            tx_packets: since(|sample| sample.tx_packets),
            tx_bytes: since(|sample| sample.tx_bytes),
            tx_openings: since(|sample| sample.tx_openings),
            tx_segments: since(|sample| sample.tx_segments),
            rx_answers: since(|sample| sample.rx_answers),
            replayed: since(|sample| sample.replayed),
            damaged: since(|sample| sample.damaged),
        };
        (elapsed > Duration::ZERO).then_some(Change { elapsed, by })
    }
}

impl Change {
    /// So much a second.
    pub fn rate(&self, count: u64) -> u64 {
        let millis = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        count.saturating_mul(1000) / millis
    }

    /// True if large packets were sent, and so few that those who send them may wait for answers that do not come: a sender
    /// of TCP whose segments vanish sends a handful and then one every few seconds.
    pub fn stalls(&self, mtu: u16) -> bool {
        // What small packets would come to is nothing that a large one could hide in.
        let beyond = self.by.tx_bytes.saturating_sub(self.by.tx_packets.saturating_mul(SMALL));
        let large = beyond / u64::from(mtu.max(1));
        large >= FEW && self.rate(large) < BULK
    }
}

/// Octets of a packet that carries no bulk.
const SMALL: u64 = 128;
/// Large packets that are enough for a suspicion.
const FEW: u64 = 3;
/// Large packets a second of a transfer that moves.
const BULK: u64 = 20;
/// Between two samples.
pub const PACE: Duration = Duration::from_secs(5);
/// A minute and both its ends.
const SAMPLES: usize = 13;

//! Counters: plain integers of one worker, and their sum over workers for one tunnel.

use std::time::{Duration, Instant};

use crate::demand::{Demands, acknowledges};
use crate::drop_reason::DropReason;
use crate::io::Sent;

/// What one worker counted for one tunnel. Only its worker writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Inner packets received and admitted.
    pub rx_packets: u64,
    /// Their octets.
    pub rx_bytes: u64,
    /// Inner packets sealed and sent.
    pub tx_packets: u64,
    /// Their octets.
    pub tx_bytes: u64,
    /// Those that must be answered.
    pub demands: Demands,
    /// Of the received ones those that answer and do nothing else ([`crate::demand::acknowledges`]).
    pub answers: u64,
    /// When the last packet with a good ICV arrived; the worker reads the clock once a batch.
    pub last_rx: Option<Instant>,
    /// Dropped packets by reason.
    pub drops: Drops,
}

impl Counters {
    /// Counts an inner packet as received.
    #[inline]
    pub fn received(&mut self, packet: &[u8]) {
        self.rx_packets = self.rx_packets.wrapping_add(1);
        self.rx_bytes = self.rx_bytes.wrapping_add(packet.len() as u64);
        self.answers = self.answers.wrapping_add(u64::from(acknowledges(packet)));
    }

    /// Counts what became of a batch.
    pub fn sent(&mut self, sent: &Sent) {
        self.tx_packets = self.tx_packets.wrapping_add(sent.packets);
        self.tx_bytes = self.tx_bytes.wrapping_add(sent.octets);
        self.drops.add(DropReason::SendFull, sent.full);
        self.drops.add(DropReason::SendFailed, sent.failed);
    }

    /// Counts a dropped packet.
    pub fn dropped(&mut self, reason: DropReason) {
        self.drops.add(reason, 1);
    }
}

/// Dropped packets by reason.
#[derive(Clone, PartialEq, Eq)]
pub struct Drops([u64; DropReason::COUNT]);

impl Drops {
    /// Adds `n` packets.
    pub fn add(&mut self, reason: DropReason, n: u64) {
        if let Some(counter) = self.0.get_mut(reason.index()) {
            *counter = counter.wrapping_add(n);
        }
    }

    /// Packets dropped for this reason.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0.get(reason.index()).copied().unwrap_or(0)
    }

    /// Every reason with its count, zeros too.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().copied().zip(self.0.iter().copied())
    }

    /// Packets dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    fn merge(&mut self, other: &Self) {
        for (reason, n) in other.iter() {
            self.add(reason, n);
        }
    }
}

impl Default for Drops {
    fn default() -> Self {
        Self([0; DropReason::COUNT])
    }
}

impl core::fmt::Debug for Drops {
    /// Shows the reasons that occurred.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.iter().filter(|(_, n)| *n > 0).map(|(r, n)| (r.name(), n))).finish()
    }
}

/// What a tunnel counted, over all workers and over every SA it has had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelStats {
    /// Inner packets received and admitted.
    pub rx_packets: u64,
    /// Their octets.
    pub rx_bytes: u64,
    /// Inner packets sealed and sent.
    pub tx_packets: u64,
    /// Their octets.
    pub tx_bytes: u64,
    /// Those that must be answered.
    pub demands: Demands,
    /// Of the received ones those that answer and do nothing else.
    pub answers: u64,
    /// Dropped packets by reason.
    pub drops: Drops,
    /// How long ago the last packet with a good ICV arrived; `None`: never.
    pub last_rx_age: Option<Duration>,
}

impl TunnelStats {
    /// Adds what one worker counted.
    pub fn merge(&mut self, counters: &Counters, now: Instant) {
        self.rx_packets = self.rx_packets.wrapping_add(counters.rx_packets);
        self.rx_bytes = self.rx_bytes.wrapping_add(counters.rx_bytes);
        self.tx_packets = self.tx_packets.wrapping_add(counters.tx_packets);
        self.tx_bytes = self.tx_bytes.wrapping_add(counters.tx_bytes);
        self.demands = self.demands.plus(counters.demands);
        self.answers = self.answers.wrapping_add(counters.answers);
        self.drops.merge(&counters.drops);
        let age = counters.last_rx.map(|at| now.saturating_duration_since(at));
        self.last_rx_age = match (self.last_rx_age, age) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_sum_workers_and_take_the_latest_arrival() {
        let now = Instant::now();
        let mut one = Counters { last_rx: Some(now), ..Counters::default() };
        one.received(&[0; 100]);
        one.dropped(DropReason::Replay);
        let mut two = Counters::default();
        two.sent(&Sent { packets: 1, octets: 40, ..Sent::default() });
        two.dropped(DropReason::Replay);

        let mut stats = TunnelStats::default();
        stats.merge(&two, now + Duration::from_secs(3));
        assert_eq!(stats.last_rx_age, None);
        stats.merge(&one, now + Duration::from_secs(3));

        assert_eq!((stats.rx_packets, stats.rx_bytes, stats.tx_packets, stats.tx_bytes), (1, 100, 1, 40));
        assert_eq!(stats.drops.of(DropReason::Replay), 2);
        assert_eq!(stats.drops.total(), 2);
        assert_eq!(stats.last_rx_age, Some(Duration::from_secs(3)));
        assert_eq!(format!("{:?}", stats.drops), r#"{"replay": 2}"#);
    }
}

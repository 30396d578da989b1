//! How much an outbound SA may carry (RFC 4301 §4.4.2.1): packets bound its sequence, octets are counted here.

use core::sync::atomic::{AtomicU64, Ordering};

/// Limits of an outbound SA, as the control plane sets them; three quarters of one are its soft limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Packets, where fewer than there are sequence numbers.
    pub packets: u64,
    /// Octets of inner packets.
    pub octets: u64,
}

impl Default for Lifetime {
    /// No limit but the sequence's own.
    fn default() -> Self {
        Self { packets: u64::MAX, octets: u64::MAX }
    }
}

/// How far an SA is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitState {
    /// Nothing to be done.
    Fresh,
    /// Three quarters of what is permitted, or what the cipher should protect under one key, are used: replace it.
    Soft,
    /// Nothing is left: nothing more is sent.
    Hard,
}

/// The octets of one SA. Workers that pass the limit together exceed it by at most a batch each.
#[derive(Debug)]
pub struct Octets {
    used: AtomicU64,
    limit: u64,
}

impl Octets {
    /// None used.
    pub const fn new(limit: u64) -> Self {
        Self { used: AtomicU64::new(0), limit }
    }

    /// Counts a batch of `octets()`; false if the SA has carried all it may. What has no limit is not counted.
    #[inline]
    pub fn charge(&self, octets: impl FnOnce() -> u64) -> bool {
        if self.limit == u64::MAX {
            return true;
        }
        // Once the limit is passed the counter rests, so that it cannot come round to 0.
        self.used.load(Ordering::Relaxed) < self.limit
            && self.used.fetch_add(octets(), Ordering::Relaxed) < self.limit
    }

    /// How far they are used up.
    #[inline]
    pub fn limit_state(&self) -> LimitState {
        let used = self.used.load(Ordering::Relaxed);
        if used >= self.limit {
            LimitState::Hard
        } else if used >= soft(self.limit) {
            LimitState::Soft
        } else {
            LimitState::Fresh
        }
    }
}

/// The soft limit that belongs to a hard one.
pub const fn soft(limit: u64) -> u64 {
    limit / 4 * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_soft_from_three_quarters_and_end_at_the_limit() {
        let octets = Octets::new(4000);
        assert!(octets.charge(|| 2999));
        assert_eq!(octets.limit_state(), LimitState::Fresh);
        assert!(octets.charge(|| 1));
        assert_eq!(octets.limit_state(), LimitState::Soft);
        assert!(octets.charge(|| 1500), "the batch that passes the limit is the last");
        assert_eq!(octets.limit_state(), LimitState::Hard);
        assert!(!octets.charge(|| 1));
        assert_eq!(octets.used.into_inner(), 4500, "the counter rests");
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let octets = Octets::new(Lifetime::default().octets);
        assert!(octets.charge(|| unreachable!("not asked for")));
        assert_eq!(octets.limit_state(), LimitState::Fresh);
    }
}

//! How long to wait: jitter (RFC 4271 §10), and a back-off for a peer whose sessions do not last (RFC 4271 §8.1.1,
//! DampPeerOscillations).

use std::time::Duration;

/// The waits of one peer.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    failures: u32,
    /// Sessions in a row that did not last.
    brief: u32,
    seed: u64,
}

impl Waits {
    /// `seed` moves the peers of a gateway apart.
    pub(super) const fn new(seed: u64) -> Self {
        // xorshift stands still at zero.
        Self { failures: 0, brief: 0, seed: seed | 1 }
    }

    /// Time before a peer that failed is tried again; doubles with every call.
    pub(super) fn step(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.jittered(full)
    }

    /// A session has lasted: the next failure is the first.
    pub(super) const fn reset(&mut self) {
        (self.failures, self.brief) = (0, 0);
    }

    /// A session has not lasted.
    pub(super) const fn count_brief(&mut self) {
        self.brief = self.brief.saturating_add(1);
    }

    /// Whether sessions come and go so that the peer's connections have to wait too.
    pub(super) const fn oscillates(&self) -> bool {
        self.brief > MOST_BRIEF
    }

    /// Between three quarters of `full` and `full`.
    pub(super) fn jittered(&mut self, full: Duration) -> Duration {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let part = u32::try_from(self.seed % 256).unwrap_or(0);
        full.saturating_sub(full / 4 * part / 256)
    }
}

/// The first wait. Short: the other tunnel carries, but alone.
const FIRST: Duration = Duration::from_secs(1);
/// Sessions that may end early before the next has to wait: a cloud's end that is being replaced has a few.
const MOST_BRIEF: u32 = 3;
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(1);
/// Enough to pass `LONGEST`, few enough not to overflow.
const MAX_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_jitter_takes_at_most_a_quarter() {
        let mut waits = Waits::new(7);
        let mut full = FIRST;
        for _ in 0..100 {
            let wait = waits.step();
            assert!(wait <= full && wait >= full / 4 * 3, "{wait:?} of {full:?}");
            full = (full * 2).min(LONGEST);
        }
        waits.reset();
        assert!(waits.step() <= FIRST);
    }
}

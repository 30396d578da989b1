//! How long to wait before the next attempt: capped exponential back-off with jitter.

use core::time::Duration;

/// The waits of one tunnel, or of one peer.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    seed: u64,
}

impl Backoff {
    /// A fresh back-off from `first` up to `longest`; `seed` moves those of a gateway apart.
    pub const fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        // xorshift stands still at zero.
        Self { first, longest, failures: 0, seed: seed | 1 }
    }

    /// Time to wait before the next attempt. Doubles with every call, up to the longest.
    pub fn step(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.jittered(full)
    }

    /// The shortest wait, without growing.
    pub fn shortest(&mut self) -> Duration {
        self.jittered(self.first)
    }

    /// Starts from the shortest wait again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Between three quarters of `full` and `full`, so that those that fell together do not rise together.
    pub fn jittered(&mut self, full: Duration) -> Duration {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let part = u32::try_from(self.seed % 256).unwrap_or(0);
        full.saturating_sub(full / 4 * part / 256)
    }
}

/// Enough to pass any `longest` here, few enough not to overflow.
const MAX_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(15);

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_takes_at_most_a_quarter() {
        let mut backoff = Backoff::new(FIRST, LONGEST, 7);
        let mut full = FIRST;
        for _ in 0..1000 {
            let wait = backoff.step();
            assert!(wait <= full && wait >= full / 4 * 3, "{wait:?} of {full:?}");
            full = (full * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.step() <= FIRST);
    }

    #[test]
    fn two_seeds_wait_differently() {
        let waits = |seed| (0..8).map(|_| Backoff::new(FIRST, LONGEST, seed).step()).collect::<Vec<_>>();
        assert_ne!(waits(3), waits(1 << 40));
    }
}

//! How long to wait before the next attempt: capped exponential back-off with jitter.

use core::time::Duration;

/// Back-off of one tunnel.
#[derive(Clone, Debug)]
pub struct Backoff {
    failures: u32,
    seed: u64,
}

impl Backoff {
    /// A fresh back-off; `seed` moves the tunnels of a gateway apart.
    pub const fn new(seed: u64) -> Self {
        // xorshift stands still at zero.
        Self { failures: 0, seed: seed | 1 }
    }

    /// Time to wait before the next attempt. Doubles with every call, up to 15 s.
    pub fn step(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.jittered(full)
    }

    /// The shortest wait, without growing.
    pub fn shortest(&mut self) -> Duration {
        self.jittered(FIRST)
    }

    /// Starts from the shortest wait again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Between three quarters of `full` and `full`, so that tunnels that fell together do not rise together.
    fn jittered(&mut self, full: Duration) -> Duration {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let part = u32::try_from(self.seed % 256).unwrap_or(0);
        full.saturating_sub(full / 4 * part / 256)
    }
}

/// The first wait.
pub(super) const FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
pub(super) const LONGEST: Duration = Duration::from_secs(15);
/// Enough to pass `LONGEST`, few enough not to overflow.
const MAX_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_takes_at_most_a_quarter() {
        let mut backoff = Backoff::new(7);
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
        let waits = |seed| (0..8).map(|_| Backoff::new(seed).step()).collect::<Vec<_>>();
        assert_ne!(waits(3), waits(1 << 40));
    }
}

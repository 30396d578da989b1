//! How long to wait: jitter (RFC 4271 §10), and a back-off for a peer whose sessions do not last (RFC 4271 §8.1.1,
//! DampPeerOscillations).

use std::time::Duration;

use crate::backoff::Backoff;

/// The waits of one peer.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    backoff: Backoff,
    /// Sessions in a row that did not last.
    brief: u32,
}

impl Waits {
    /// `seed` moves the peers of a gateway apart.
    pub(super) const fn new(seed: u64) -> Self {
        Self { backoff: Backoff::new(FIRST, LONGEST, seed), brief: 0 }
    }

    /// Time before a peer that failed is tried again; doubles with every call.
    pub(super) fn step(&mut self) -> Duration {
        self.backoff.step()
    }

    /// A session has lasted: the next failure is the first.
    pub(super) const fn reset(&mut self) {
        self.backoff.reset();
        self.brief = 0;
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
        self.backoff.jittered(full)
    }
}

/// The first wait. Short: the other tunnel carries, but alone.
const FIRST: Duration = Duration::from_secs(1);
/// Sessions that may end early before the next has to wait: a cloud's end that is being replaced has a few.
const MOST_BRIEF: u32 = 3;
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(1);

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

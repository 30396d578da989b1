//! A token bucket: how often something that anybody can provoke is done.

use std::time::{Duration, Instant};

/// Permits a burst, then a steady rate.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    interval: Duration,
    burst: u32,
    tokens: u32,
    filled: Instant,
}

impl TokenBucket {
    /// Full, with room for `burst`; one more every `interval`.
    pub(crate) fn new(burst: u32, interval: Duration, now: Instant) -> Self {
        Self { interval, burst, tokens: burst, filled: now }
    }

    /// Takes one; whether there was one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_nanos();
        let earned = elapsed.checked_div(self.interval.as_nanos()).unwrap_or(0);
        let missing = self.burst.saturating_sub(self.tokens);
        match u32::try_from(earned) {
            Ok(earned) if earned < missing => {
                self.tokens = self.tokens.saturating_add(earned);
                self.filled += self.interval.saturating_mul(earned);
            }
            _ => (self.tokens, self.filled) = (self.burst, now),
        }
        let taken = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_and_idle_time_is_not_hoarded() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(3, Duration::from_millis(10), start);
        let count = |bucket: &mut TokenBucket, at: u64| {
            (0..10).filter(|_| bucket.take(start + Duration::from_millis(at))).count()
        };
        assert_eq!(count(&mut bucket, 0), 3);
        assert_eq!(count(&mut bucket, 9), 0);
        assert_eq!(count(&mut bucket, 25), 2);
        assert_eq!(count(&mut bucket, 30), 1);
        assert_eq!(count(&mut bucket, 1_000_000), 3);
    }
}

//! A token bucket: how often something may be done that anybody can cause.

use core::time::Duration;

use crate::Time;

/// Tokens that come back with time, up to a bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    capacity: u32,
    interval: Duration,
    left: u32,
    /// When the last token came back.
    counted: Time,
}

impl Bucket {
    /// A full bucket; a token comes back every `interval`.
    pub(super) const fn new(capacity: u32, interval: Duration) -> Self {
        Self { capacity, interval, left: capacity, counted: Time::ZERO }
    }

    /// Takes a token, if more than `reserve` are left.
    pub(super) fn take(&mut self, now: Time, reserve: u32) -> bool {
        let taken = self.holds(now, reserve);
        if taken {
            self.left = self.left.saturating_sub(1);
        }
        taken
    }

    /// Whether more than `reserve` tokens are left.
    pub(super) fn holds(&mut self, now: Time, reserve: u32) -> bool {
        let since = now - self.counted;
        let back = u32::try_from(since.as_nanos() / self.interval.as_nanos().max(1)).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(back);
        if self.left < self.capacity {
            // What is over the last whole interval counts for the next token.
            self.counted = self.counted + self.interval * back;
        } else {
            self.left = self.capacity;
            self.counted = now;
        }
        self.left > reserve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn tokens_come_back_one_an_interval_up_to_the_capacity() {
        let mut bucket = Bucket::new(3, Duration::from_millis(10));
        assert_eq!((0..9).filter(|_| bucket.take(at(0), 0)).count(), 3);
        assert!(!bucket.take(at(9), 0));
        assert!(bucket.take(at(15), 0));
        assert!(!bucket.take(at(19), 0));
        assert!(bucket.take(at(20), 0), "half an interval was left over");
        assert_eq!((0..9).filter(|_| bucket.take(at(100_000), 0)).count(), 3);
    }

    #[test]
    fn a_reserve_is_left_to_who_may_have_it() {
        let mut bucket = Bucket::new(4, Duration::from_secs(1));
        assert_eq!((0..9).filter(|_| bucket.take(at(0), 2)).count(), 2);
        assert_eq!((0..9).filter(|_| bucket.take(at(0), 0)).count(), 2);
    }

    #[test]
    fn a_rest_of_years_is_no_overflow() {
        let mut bucket = Bucket::new(1, Duration::from_nanos(1));
        assert!(bucket.take(Time::from_epoch(Duration::from_hours(24 * 365 * 500)), 0));
        assert!(!bucket.take(Time::from_epoch(Duration::from_hours(24 * 365 * 500)), 0));
    }
}

//! How long an SA lives (RFC 7296 §2.8): a soft end, at which it is rekeyed, before the hard one, at which it is gone.

use core::time::Duration;

use crate::Time;
use crate::config::PeerConfig;
use crate::crypto::Random;

/// How long before its hard end an SA is rekeyed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Margin {
    time: Duration,
    /// By how many percent it is lengthened at most.
    fuzz: u32,
}

impl Margin {
    pub(crate) const fn of(config: &PeerConfig) -> Self {
        Self { time: config.rekey_margin, fuzz: config.rekey_fuzz }
    }

    fn draw(self, random: &mut dyn Random) -> Duration {
        let mut octets = [0; 2];
        random.fill(&mut octets);
        let part = u128::from(u16::from_be_bytes(octets));
        let most = self.time.as_millis().saturating_mul(u128::from(self.fuzz)) / 100;
        let longer = most.saturating_mul(part) / u128::from(u16::MAX);
        self.time.saturating_add(Duration::from_millis(u64::try_from(longer).unwrap_or(u64::MAX)))
    }
}

/// The two ends of one SA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// `None` while a rekey is under way, or not wanted.
    soft: Option<Time>,
    hard: Time,
}

impl Lifetime {
    /// Of an SA that is made now and lives for `length`. The soft end lies before the hard one by the margin, which fuzz
    /// lengthens, but never in the first half: a short life leaves time to use the SA.
    pub(crate) fn start(length: Duration, margin: Margin, now: Time, random: &mut dyn Random) -> Self {
        let margin = margin.draw(random).min(length / 2);
        Self { soft: Some(now + length.saturating_sub(margin)), hard: now + length }
    }

    /// Whether the time for a rekey has come; true once.
    pub(crate) fn take_soft(&mut self, now: Time) -> bool {
        self.soft.take_if(|at| *at <= now).is_some()
    }

    /// A rekey is under way, or the SA has a successor.
    pub(crate) const fn stop_rekeying(&mut self) {
        self.soft = None;
    }

    /// A rekey has failed: the next is due then.
    pub(crate) const fn retry_at(&mut self, at: Time) {
        self.soft = Some(at);
    }

    /// The hard end.
    pub(crate) const fn hard(&self) -> Time {
        self.hard
    }

    /// What comes next.
    pub(crate) fn deadline(&self) -> Time {
        self.soft.map_or(self.hard, |soft| soft.min(self.hard))
    }

    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.hard <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Octet(u8);

    impl Random for Octet {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    /// Seconds to the soft end.
    fn soft(length: u64, octet: u8) -> u64 {
        let aws = Margin { time: Duration::from_secs(270), fuzz: 100 };
        let mut lifetime = Lifetime::start(Duration::from_secs(length), aws, Time::ZERO, &mut Octet(octet));
        let at = lifetime.deadline();
        assert!(lifetime.take_soft(at) && !lifetime.take_soft(at));
        assert_eq!(lifetime.deadline(), Time::from_epoch(Duration::from_secs(length)));
        at.since_epoch().as_secs()
    }

    #[test]
    fn aws_rekeys_an_hour_between_3060_and_3330_seconds() {
        assert_eq!(soft(3600, 0), 3330);
        assert_eq!(soft(3600, 255), 3060);
    }

    #[test]
    fn a_short_life_is_used_for_half_of_it() {
        assert_eq!(soft(10, 0), 5);
        assert_eq!(soft(10, 255), 5);
    }

    #[test]
    fn no_margin_is_too_long() {
        let margin = Margin { time: Duration::MAX, fuzz: u32::MAX };
        let lifetime = Lifetime::start(Duration::from_secs(8), margin, Time::ZERO, &mut Octet(255));
        assert_eq!(lifetime.deadline(), Time::from_epoch(Duration::from_secs(4)));
    }
}

//! IKE messages that were refused, told in sum: each alone would let anybody fill the log. Pure.

use core::time::Duration;

use gotthard_ike::error::Refusal;
use gotthard_ike::{Counters, Time};

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    told: [u64; TOLD.len()],
    at: Option<Time>,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// How many were refused since the last time.
    pub(super) count: u64,
    /// Why most of them.
    pub(super) reason: &'static str,
}

impl Refusals {
    /// What has been refused since the last time that something was told, at most once in [`PACE`].
    pub(super) fn look(&mut self, now: Time, counters: &Counters) -> Option<News> {
        if self.at.is_some_and(|at| now.saturating_since(at) < PACE) {
            return None;
        }
        let counted = TOLD
            .map(|told| counters.iter().find(|(refusal, _)| *refusal == told).map_or(0, |(_, count)| count));
        self.tell(now, counted)
    }

    fn tell(&mut self, now: Time, counted: [u64; TOLD.len()]) -> Option<News> {
        let grown = counted.iter().zip(self.told).map(|(count, told)| count.saturating_sub(told));
        let grown = TOLD.iter().zip(grown).filter(|(_, grown)| *grown > 0);
        let count = grown.clone().map(|(_, grown)| grown).sum();
        let (reason, _) = grown.max_by_key(|(_, grown)| *grown)?;
        (self.told, self.at) = (counted, Some(now));
        Some(News { count, reason: reason.name() })
    }
}

/// The reasons that say something of who sends: a peer that is set otherwise, or somebody who tries. The others are the weather.
const TOLD: [Refusal; 4] =
    [Refusal::UnknownPeer, Refusal::Integrity, Refusal::Version, Refusal::HalfOpenFull];
/// Time between two lines.
const PACE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_told_once_with_its_sum_and_its_first_reason() {
        let mut refusals = Refusals::default();
        let at = |seconds| Time::from_epoch(Duration::from_secs(seconds));
        assert_eq!(refusals.tell(at(1), [0; 4]), None);
        assert_eq!(refusals.tell(at(2), [2, 3, 0, 0]), Some(News { count: 5, reason: "integrity" }));
        assert_eq!(refusals.tell(at(70), [2, 3, 0, 0]), None, "nothing is new");
        assert_eq!(refusals.tell(at(71), [9, 3, 0, 0]), Some(News { count: 7, reason: "unknown_peer" }));
        assert_eq!(refusals.look(at(130), &Counters::default()), None, "a minute has to pass");
    }
}

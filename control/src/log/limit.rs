//! The bound on what anybody outside can make us log: lines of the target [`OUTSIDE`] take tokens from one bucket, and those that
//! find none are counted. Messages of IKE and packets are not logged at all but counted, by reason.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The target of a line that somebody can cause who has proved nothing: `warn!(target: OUTSIDE, …)`.
pub const OUTSIDE: &str = "gotthard::outside";

/// Leaves lines out; a clone is another handle on the same bucket.
#[derive(Clone, Debug)]
pub struct Limit {
    started: Instant,
    bucket: Arc<Mutex<Bucket>>,
}

impl Default for Limit {
    fn default() -> Self {
        Self { started: Instant::now(), bucket: Arc::default() }
    }
}

impl Limit {
    /// How many lines were left out since this was asked last.
    pub fn left_out(&self) -> u64 {
        core::mem::take(&mut self.bucket().left_out)
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, line: &Event<'_>, _: Context<'_, S>) -> bool {
        line.metadata().target() != OUTSIDE || self.bucket().take(self.started.elapsed())
    }
}

/// Ten tokens, and another ten each second. Pure.
#[derive(Debug)]
struct Bucket {
    /// When there will be no token taken any more, counted as time: each takes [`EACH`].
    spent_until: Duration,
    left_out: u64,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { spent_until: Duration::ZERO, left_out: 0 }
    }
}

impl Bucket {
    /// Takes a token; false: there is none.
    fn take(&mut self, now: Duration) -> bool {
        let spent = self.spent_until.max(now).saturating_add(EACH);
        let is_there = spent <= now.saturating_add(BURST);
        if is_there {
            self.spent_until = spent;
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
        is_there
    }
}

/// Ten lines a second.
const EACH: Duration = Duration::from_millis(100);
/// What may come at once.
const BURST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing::warn;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry;

    use super::*;
    use crate::events::{Events, kind, layer};

    #[test]
    fn ten_lines_a_second_and_the_others_are_counted() {
        let mut bucket = Bucket::default();
        let mut logged = 0;
        for millis in 0..10_000 {
            logged += u64::from(bucket.take(Duration::from_millis(millis)));
        }
        assert!((100..=110).contains(&logged), "{logged} lines in 10 s");
        assert_eq!(bucket.left_out, 10_000 - logged);
    }

    #[test]
    fn a_quiet_hour_saves_no_more_than_one_second_of_lines() {
        let mut bucket = Bucket::default();
        let later = Duration::from_hours(1);
        assert_eq!((0..50).filter(|_| bucket.take(later)).count(), 10);
    }

    #[test]
    fn only_lines_from_outside_are_left_out() {
        let (events, limit) = (Events::default(), Limit::default());
        let event = kind::CLIENT_REFUSED;
        with_default(registry().with(layer::layer(events.clone())).with(limit.clone()), || {
            for _ in 0..100 {
                warn!(event, "ours");
                warn!(target: OUTSIDE, event, "of others");
            }
        });
        let told = events.since(0, usize::MAX).events;
        assert_eq!(told.iter().filter(|event| event.message == "ours").count(), 100);
        let logged = told.iter().filter(|event| event.message == "of others").count();
        assert!((10..100).contains(&logged), "{logged}");
        assert_eq!(limit.left_out(), 100 - logged as u64);
        assert_eq!(limit.left_out(), 0, "each is told once");
    }
}

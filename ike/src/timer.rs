//! Deadlines in order: one for each key, set, moved and taken away in logarithmic time.

use std::collections::{BTreeMap, BTreeSet};

use crate::Time;

/// The deadlines of many things, each named by a key.
#[derive(Debug, Default)]
pub struct Timers<K> {
    order: BTreeSet<(Time, K)>,
    at: BTreeMap<K, Time>,
}

impl<K: Copy + Ord> Timers<K> {
    /// No deadlines.
    pub const fn new() -> Self {
        Self { order: BTreeSet::new(), at: BTreeMap::new() }
    }

    /// Sets the key's only deadline; `None` takes it away.
    pub fn set(&mut self, key: K, at: Option<Time>) {
        let before = match at {
            Some(at) => self.at.insert(key, at),
            None => self.at.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, key));
        }
        if let Some(at) = at {
            self.order.insert((at, key));
        }
    }

    /// Takes a key whose deadline has come, the earliest first.
    pub fn take_due(&mut self, now: Time) -> Option<K> {
        let &(at, key) = self.order.first()?;
        if at > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Time> {
        self.order.first().map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn a_moved_deadline_is_due_once_at_its_new_time() {
        let mut timers = Timers::new();
        timers.set('a', Some(at(1)));
        timers.set('b', Some(at(2)));
        timers.set('a', Some(at(3)));
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.take_due(at(5)), Some('b'));
        assert_eq!(timers.take_due(at(5)), Some('a'));
        assert_eq!(timers.take_due(at(5)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_is_not_taken_before_its_time() {
        let mut timers = Timers::new();
        timers.set(1, Some(at(2)));
        assert_eq!(timers.take_due(at(1)), None);
        assert_eq!(timers.take_due(at(2)), Some(1));
    }
}

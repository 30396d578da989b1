//! The last events, numbered. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::event::Event;

/// The last [`KEPT`] events.
#[derive(Debug, Default)]
pub struct Ring {
    events: VecDeque<Event>,
    /// Number of the latest; 0: there was none.
    last: u64,
}

/// What came after some event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// How many came that are not kept any more.
    pub missed: u64,
    /// Number of the latest event: the next question asks for what came since.
    pub last: u64,
    /// The events, the oldest first.
    pub events: Vec<Event>,
}

impl Ring {
    /// Adds an event and gives it its number, which is returned.
    pub fn push(&mut self, event: Event) -> u64 {
        self.last = self.last.saturating_add(1);
        if self.events.len() >= KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Event { seq: self.last, ..event });
        self.last
    }

    /// At most `limit` of those with a higher number than `since`, the oldest first.
    ///
    /// A number that was not given yet is one of a daemon before this one: all events are new to who asks with it.
    pub fn since(&self, since: u64, limit: usize) -> Page {
        let since = if since > self.last { 0 } else { since };
        let first = self.events.front().map_or(self.last.saturating_add(1), |event| event.seq);
        let missed = first.saturating_sub(since.saturating_add(1));
        let known = self.events.iter().filter(|event| event.seq > since);
        let events: Vec<Event> = known.take(limit).cloned().collect();
        let last = events.last().map_or(self.last, |event| event.seq);
        Page { missed, last, events }
    }

    /// Number of the latest event.
    pub const fn last(&self) -> u64 {
        self.last
    }
}

/// Events that are kept: some hours of a gateway whose tunnels flap, under a megabyte.
pub const KEPT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(events: usize) -> Ring {
        let mut ring = Ring::default();
        for message in 1..=events {
            assert_eq!(ring.push(Event::saying(&message.to_string())), message as u64);
        }
        ring
    }

    #[test]
    fn what_came_since_is_told_in_order_and_once() {
        let ring = ring(5);
        let page = ring.since(2, KEPT);
        assert_eq!((page.missed, page.last), (0, 5));
        assert_eq!(page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(page.events[0].message, "3");
        assert_eq!(ring.since(5, KEPT), Page { missed: 0, last: 5, events: vec![] });
        assert_eq!(Ring::default().since(0, KEPT), Page::default());
    }

    #[test]
    fn the_ring_is_bounded_and_says_what_is_gone() {
        let ring = ring(KEPT + 7);
        let page = ring.since(0, usize::MAX);
        assert_eq!((page.missed, page.events.len()), (7, KEPT));
        assert_eq!(ring.since(3, 1).missed, 4);
        assert_eq!(ring.since(7, 1).missed, 0);
    }

    #[test]
    fn a_long_answer_is_told_in_parts_that_join() {
        let ring = ring(10);
        let first = ring.since(0, 4);
        let second = ring.since(first.last, 100);
        let told: Vec<u64> = first.events.iter().chain(&second.events).map(|event| event.seq).collect();
        assert_eq!(told, (1..=10).collect::<Vec<_>>());
    }

    #[test]
    fn the_number_of_an_earlier_daemon_is_answered_with_everything() {
        assert_eq!(ring(3).since(900, KEPT).events.len(), 3);
    }
}

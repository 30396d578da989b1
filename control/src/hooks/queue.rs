//! The events of one lane that wait for their hooks. Pure.
//!
//! A hook may take ten seconds, a tunnel may flap every second: what waits is bounded. An event is dropped only where a
//! later one of the same subject waits too, so that the last word on each is always told.

use std::collections::VecDeque;

use super::event::Event;

/// Events in order.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Event>,
    dropped: u64,
}

impl Queue {
    /// Adds an event; where there is no room, the oldest that a later one makes old is dropped.
    pub fn push(&mut self, event: Event) {
        self.waiting.push_back(event);
        if self.waiting.len() <= MAX_WAITING {
            return;
        }
        let old = |(at, event): &(usize, &Event)| {
            self.waiting.iter().skip(at + 1).any(|later| later.subject() == event.subject())
        };
        // There are more places than subjects: one of them is always there twice.
        let at = self.waiting.iter().enumerate().find(old).map_or(0, |(at, _)| at);
        self.waiting.remove(at);
        self.dropped = self.dropped.saturating_add(1);
    }

    /// Takes the first, and how many were dropped since the last was taken.
    pub fn pop(&mut self) -> Option<(Event, u64)> {
        let event = self.waiting.pop_front()?;
        Some((event, core::mem::take(&mut self.dropped)))
    }
}

/// Events that wait: more than an outage of both tunnels has, a few minutes of the slowest hook.
pub const MAX_WAITING: usize = 16;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::event::{Reason, What};
    use super::*;

    fn event(what: What) -> Event {
        Event { connection: "c".to_owned(), tunnel: None, what }
    }

    fn rest(queue: &mut Queue) -> Vec<&'static str> {
        core::iter::from_fn(|| queue.pop()).map(|(event, _)| event.name()).collect()
    }

    #[test]
    fn events_come_out_as_they_went_in() {
        let mut queue = Queue::default();
        queue.push(event(What::TunnelUp));
        queue.push(event(What::Rekey { sa: "ike", took: Duration::ZERO }));
        assert_eq!(queue.pop().map(|(_, dropped)| dropped), Some(0));
        assert_eq!(rest(&mut queue), ["rekey"]);
    }

    #[test]
    fn a_flood_leaves_the_last_word_on_each_subject_and_says_how_many_were_dropped() {
        let mut queue = Queue::default();
        queue.push(event(What::BgpUp));
        for _ in 0..500 {
            queue.push(event(What::TunnelUp));
            queue.push(event(What::TunnelDown(Reason::default())));
        }
        let (first, dropped) = queue.pop().expect("an event");
        assert_eq!((first.name(), dropped), ("bgp-up", 1001 - MAX_WAITING as u64));
        let rest = rest(&mut queue);
        assert_eq!((rest.len(), rest.last()), (MAX_WAITING - 1, Some(&"tunnel-down")));
    }
}

//! The events of a running daemon: told from anywhere, followed by anybody, and nobody waits for a follower.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::event::Event;
use super::ring::{Page, Ring};

/// The events; a clone is another handle on the same.
#[derive(Clone, Debug)]
pub struct Events {
    ring: Arc<Mutex<Ring>>,
    /// Number of the latest event.
    news: Arc<watch::Sender<u64>>,
}

/// Somebody who reads the events as they come. One that is slow loses the oldest and is told how many.
#[derive(Debug)]
pub struct Follower {
    events: Events,
    news: watch::Receiver<u64>,
    since: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self { ring: Arc::default(), news: Arc::new(watch::Sender::new(0)) }
    }
}

impl Events {
    /// Adds an event and wakes those who follow. Its number is given here.
    pub fn tell(&self, event: Event) {
        let last = self.ring().push(event);
        self.news.send_modify(|news| *news = (*news).max(last));
    }

    /// At most `limit` events with a higher number than `since`.
    pub fn since(&self, since: u64, limit: usize) -> Page {
        self.ring().since(since, limit)
    }

    /// Follows from behind the event `since`; `None`: from here on.
    pub fn follow(&self, since: Option<u64>) -> Follower {
        let since = since.unwrap_or_else(|| self.ring().last());
        Follower { events: self.clone(), news: self.news.subscribe(), since }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// Waits for events and returns those that came, a few at a time. `None`: the daemon ends.
    pub async fn next(&mut self) -> Option<Page> {
        loop {
            // What comes behind this line wakes the wait below.
            self.news.mark_unchanged();
            let page = self.events.since(self.since, BATCH);
            self.since = page.last;
            if !page.events.is_empty() || page.missed > 0 {
                return Some(page);
            }
            self.news.changed().await.ok()?;
        }
    }
}

/// Events that a follower is handed at once.
const BATCH: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::ring::KEPT;
    use super::*;

    fn tell(events: &Events, message: &str) {
        events.tell(Event::saying(message));
    }

    #[tokio::test]
    async fn who_follows_hears_what_comes_and_what_it_asked_to_hear_again() {
        let events = Events::default();
        tell(&events, "before");
        let (mut late, mut again) = (events.follow(None), events.follow(Some(0)));
        let waiting = tokio::spawn(async move { late.next().await });
        assert_eq!(again.next().await.unwrap().events[0].message, "before");
        tell(&events, "after");
        assert_eq!(again.next().await.unwrap().events[0].message, "after");
        assert_eq!(waiting.await.unwrap().unwrap().events[0].message, "after");
    }

    #[tokio::test]
    async fn who_is_slow_is_told_how_much_it_missed() {
        let events = Events::default();
        let mut slow = events.follow(None);
        for _ in 0..KEPT + 5 {
            tell(&events, "x");
        }
        let page = slow.next().await.unwrap();
        assert_eq!((page.missed, page.events.len(), page.events[0].seq), (5, BATCH, 6));
        assert_eq!(slow.next().await.unwrap().missed, 0);
    }
}

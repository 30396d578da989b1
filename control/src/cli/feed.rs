//! What a screen is fed with: the status every second and whenever something happens, and what happens.

use core::time::Duration;
use std::path::{Path, PathBuf};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::api::client::{AskError, ask};
use crate::api::follow::{Follow, News};
use crate::api::messages::{Request, Response};
use crate::events::Event;

/// Asks and follows one daemon.
pub(super) struct Feed {
    socket: PathBuf,
    connection: Option<String>,
    /// `None` where the daemon has no place for another follower: then the clock alone tells.
    events: Option<Follow>,
    ticks: Interval,
}

/// What is new.
pub(super) enum Change {
    /// The answer to a question for the status.
    Answer(Result<Response, AskError>),
    /// Something happened; a status follows.
    Event(Box<Event>),
}

impl Feed {
    /// The status of all connections or of one, and the events from behind the one with this number.
    pub(super) async fn open(socket: &Path, connection: Option<String>, since: u64) -> Self {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = Follow::open(socket, since).await.ok();
        Self { socket: socket.to_owned(), connection, events, ticks }
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Change {
        loop {
            tokio::select! {
                // What happened at once is one change of the status.
                biased;
                news = news(&mut self.events) => match news {
                    Some(News::Event(event)) => {
                        self.ticks.reset_immediately();
                        return Change::Event(event);
                    }
                    Some(News::Missed(_)) => {}
                    // The daemon has ended, as its next answer shows.
                    None => self.events = None,
                },
                _ = self.ticks.tick() => {
                    let request = Request::Status { connection: self.connection.clone() };
                    return Change::Answer(ask(&self.socket, &request).await);
                }
            }
        }
    }
}

async fn news(events: &mut Option<Follow>) -> Option<News> {
    match events {
        Some(events) => events.next().await.ok().flatten(),
        None => core::future::pending().await,
    }
}

const PERIOD: Duration = Duration::from_secs(1);

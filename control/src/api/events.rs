//! The events on the control socket: those that are kept, and those that come, as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use core::convert::Infallible;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use axum::Extension;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response as HttpResponse};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::messages::{RefusalKind, Response};
use super::server::reply;
use crate::events::ring::Page;
use crate::events::{Events, Follower};

/// What a client asks for.
#[derive(Debug, Deserialize)]
pub(super) struct Since {
    /// The number of the last event that it knows.
    pub(super) since: Option<u64>,
}

/// Those who follow; there are never more than [`MAX_FOLLOWERS`].
#[derive(Clone, Debug)]
pub(super) struct Followers {
    events: Events,
    seats: Arc<Semaphore>,
}

/// Whether a connection may last longer than others: it carries a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Lasting(Arc<AtomicBool>);

impl Followers {
    pub(super) fn of(events: Events) -> Self {
        Self { events, seats: Arc::new(Semaphore::new(MAX_FOLLOWERS)) }
    }
}

impl Lasting {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream of events from behind the one that the query names, or that the client has had last (`Last-Event-ID`).
pub(super) async fn follow(
    Extension(followers): Extension<Followers>,
    Extension(lasting): Extension<Lasting>,
    headers: HeaderMap,
    query: Result<Query<Since>, QueryRejection>,
) -> HttpResponse {
    let Ok(Query(Since { since })) = query else {
        return reply(Response::refused(RefusalKind::BadRequest, SINCE_REMEDY));
    };
    let Ok(seat) = Arc::clone(&followers.seats).try_acquire_owned() else {
        return reply(Response::refused(RefusalKind::Unavailable, "too many follow the events already"));
    };
    let had = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    lasting.0.store(true, Ordering::Relaxed);
    let messages = messages(followers.events.follow(had.or(since)));
    // The seat is given back with the stream.
    sse(messages.map(move |message| {
        let _seat = &seat;
        message
    }))
    .into_response()
}

/// An answer that goes on; a comment now and then shows a broken connection.
pub fn sse(messages: impl Stream<Item = Message> + Send + 'static) -> impl IntoResponse {
    Sse::new(messages.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::default())
}

/// What a follower is told, as messages: `event`, with its number as the message's id, and `missed`, with how many.
pub fn messages(follower: Follower) -> impl Stream<Item = Message> + Send + 'static {
    let pages = stream::unfold(follower, |mut follower| async move {
        let page = follower.next().await?;
        Some((page, follower))
    });
    pages.flat_map(|Page { missed, events, .. }| {
        let missed = (missed > 0).then(|| Message::default().event(MISSED).data(missed.to_string()));
        let events = events.into_iter().filter_map(|event| {
            Message::default().event(EVENT).id(event.seq.to_string()).json_data(&event).ok()
        });
        stream::iter(missed.into_iter().chain(events).collect::<Vec<_>>())
    })
}

/// Name of a message that carries an event.
pub(super) const EVENT: &str = "event";
/// Name of a message that carries how many events are missing before the next.
pub(super) const MISSED: &str = "missed";
pub(super) const SINCE_REMEDY: &str = "`since` is the number of an event, such as ?since=17";
/// A quarter of the connections that are served at once: those who follow do not keep those who ask away.
const MAX_FOLLOWERS: usize = 8;

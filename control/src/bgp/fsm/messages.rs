//! What each message of the peer does to the session (RFC 4271 §8.2.2, §6.8).

use std::time::Duration;

use gotthard_ike::Time;

use super::connection::{ConnectionId, Phase, Received};
use super::ending::Word;
use super::negotiate::{self, Negotiated};
use super::{OPEN_HOLD, Output, Peer, Timer};
use crate::bgp::codec::iana::{ErrorCode, cease};
use crate::bgp::codec::{Notification, Open, RouteRefresh, Update};
use crate::bgp::failure::Failure;

impl Peer {
    /// Takes a message that its connection was waiting for.
    pub(super) fn take(&mut self, now: Time, id: ConnectionId, received: Received) {
        match received {
            Received::Open(open) => self.on_open(now, id, &open),
            Received::Keepalive => self.on_keepalive(now, id),
            Received::Update(update) => self.on_update(now, id, update),
            Received::Notification(told) => self.on_notification(now, id, &told),
            Received::RouteRefresh(refresh) => self.on_refresh(refresh),
        }
    }

    /// Ends a connection for a message that cannot be accepted.
    pub(super) fn refuse_message(&mut self, now: Time, id: ConnectionId, told: &Notification) {
        let failure = match told.code {
            ErrorCode::OPEN => Failure::PeerOpen(told.clone()),
            _ => Failure::Malformed(told.clone()),
        };
        self.end(now, id, &failure, Word::Ours(told));
        self.wait(now);
    }

    fn on_open(&mut self, now: Time, id: ConnectionId, open: &Open) {
        let terms = match negotiate::negotiate(&self.config, open) {
            Ok(terms) => terms,
            Err((told, failure)) => {
                self.end(now, id, &failure, Word::Ours(&told));
                return self.wait(now);
            }
        };
        if !self.survives_collision(id, open) {
            return;
        }
        if let Some(connection) = self.connection(id) {
            connection.phase = Phase::OpenConfirm(terms);
        }
        self.keepalive(now, id);
        // Without a hold time too: a peer that goes no further would have the connection to itself for ever.
        let until = terms.hold_time.unwrap_or(OPEN_HOLD);
        self.timers.set(Timer::Hold(id), Some(now + until));
    }

    /// Of this connection and another one that has had its OPEN too, closes one (RFC 4271 §6.8). Returns whether this stays.
    fn survives_collision(&mut self, id: ConnectionId, open: &Open) -> bool {
        let lower = negotiate::loser(&self.config, open);
        let loser =
            self.connections.iter().filter(|other| other.id != id).find_map(|other| match other.phase {
                Phase::OpenSent => None,
                Phase::OpenConfirm(_) if other.direction == lower => Some(other.id),
                // An established session is not given up for a new connection.
                Phase::OpenConfirm(_) | Phase::Established(_) => Some(id),
            });
        let Some(loser) = loser else { return true };
        self.refuse(loser, cease::COLLISION);
        self.forget(loser);
        loser != id
    }

    fn on_keepalive(&mut self, now: Time, id: ConnectionId) {
        let Some(connection) = self.connection(id) else { return };
        match connection.phase {
            Phase::OpenSent => {}
            Phase::Established(terms) => self.heard(now, id, &terms),
            Phase::OpenConfirm(terms) => {
                connection.phase = Phase::Established(terms);
                self.heard(now, id, &terms);
                self.up(now, &terms);
            }
        }
    }

    fn up(&mut self, now: Time, terms: &Negotiated) {
        self.outputs.extend(self.attempt.take().map(Output::Close));
        self.since = now;
        self.failure = None;
        self.outputs.push_back(Output::Up(Box::new(*terms)));
        let gone = self.restart.regained(terms);
        self.outputs.extend(gone.iter().map(Output::Flush));
        self.timers.set(Timer::Restart, None);
        self.timers.set(Timer::EndOfRib, self.restart.is_waiting().then(|| now + STALE));
    }

    fn on_update(&mut self, now: Time, id: ConnectionId, update: Update) {
        if let Some(terms) = self.negotiated().copied() {
            self.heard(now, id, &terms);
        }
        let end = update.end_of_rib;
        self.outputs.push_back(Output::Routes(update));
        if let Some(family) = end.filter(|family| self.restart.told(*family)) {
            self.outputs.push_back(Output::Flush(family));
            if !self.restart.is_waiting() {
                self.timers.set(Timer::EndOfRib, None);
            }
        }
    }

    fn on_notification(&mut self, now: Time, id: ConnectionId, told: &Notification) {
        let collided = told.code == ErrorCode::CEASE && told.subcode == cease::COLLISION;
        if collided && self.connection(id).is_some_and(|connection| connection.established().is_none()) {
            // The other connection goes on, or the peer's next one does.
            self.outputs.push_back(Output::Close(id));
            self.forget(id);
            return self.retry(now);
        }
        let failure = Failure::told(told, self.config.local_asn);
        self.end(now, id, &failure, Word::Theirs(told));
        self.wait(now);
    }

    fn on_refresh(&mut self, refresh: Option<RouteRefresh>) {
        let agreed = |family| self.negotiated().is_some_and(|terms| terms.session.families.contains(family));
        if let Some(RouteRefresh { family }) = refresh.filter(|refresh| agreed(refresh.family)) {
            self.outputs.push_back(Output::Refresh(family));
        }
    }

    /// The peer lives: its hold time begins anew.
    fn heard(&mut self, now: Time, id: ConnectionId, terms: &Negotiated) {
        self.timers.set(Timer::Hold(id), terms.hold_time.map(|hold_time| now + hold_time));
    }
}

/// How long routes of before the peer's restart may wait to be told again. A few thousand routes take seconds.
const STALE: Duration = Duration::from_mins(2);

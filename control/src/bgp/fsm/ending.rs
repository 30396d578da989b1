//! How a connection or a session ends, what is kept of it, and what follows (RFC 4271 §8.2.2, RFC 4724 §4.2, RFC 8538 §4).

use std::time::Duration;

use gotthard_ike::Time;

use super::connection::ConnectionId;
use super::negotiate::Negotiated;
use super::{Mode, Output, Peer, Timer};
use crate::bgp::codec::{Families, Notification};
use crate::bgp::failure::Failure;

/// What is said when a connection ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word<'a> {
    None,
    Ours(&'a Notification),
    Theirs(&'a Notification),
}

impl Peer {
    /// Ends one connection, and with it the session if it was that one's.
    pub(super) fn end(&mut self, now: Time, id: ConnectionId, failure: &Failure, word: Word<'_>) {
        let Some(terms) = self.connection(id).map(|connection| connection.established().copied()) else {
            return;
        };
        let survivable = terms.is_some_and(|terms| word.is_survivable(failure, &terms));
        if let Word::Ours(told) = word {
            let hard = !survivable && terms.is_some_and(|terms| terms.hard_reset);
            let told = if hard { told.clone().hard() } else { told.clone() };
            self.outputs.push_back(Output::Send(id, told.emit()));
        }
        self.outputs.push_back(Output::Close(id));
        self.forget(id);
        match terms {
            Some(terms) => self.down(now, &terms, failure, survivable),
            None => self.fail(failure),
        }
    }

    /// Ends all connections and attempts.
    pub(super) fn end_all(&mut self, now: Time, failure: &Failure, told: &Notification) {
        self.timers.set(Timer::ConnectRetry, None);
        self.outputs.extend(self.attempt.take().map(Output::Close));
        while let Some(id) = self.connections.last().map(|connection| connection.id) {
            self.end(now, id, failure, Word::Ours(told));
        }
    }

    fn down(&mut self, now: Time, terms: &Negotiated, failure: &Failure, survivable: bool) {
        let kept = if survivable { terms.kept() } else { Families::NONE };
        if now - self.since >= SETTLED {
            self.waits.reset();
        } else {
            self.waits.count_brief();
        }
        // What an earlier restart left over does not survive another one (RFC 4724 §4.2).
        self.flush();
        self.failure = Some(failure.clone());
        self.outputs.push_back(Output::Down(failure.clone(), kept));
        self.restart.lost(kept);
        let time = terms.restart.map(|restart| Duration::from_secs(restart.time.into()));
        self.timers.set(Timer::Restart, time.filter(|_| !kept.is_empty()).map(|time| now + time));
    }

    /// An attempt came to nothing; beside an established session that is nobody's concern.
    ///
    /// A peer that has said why goes on to refuse connections without a word: what it said stays the reason.
    pub(super) fn fail(&mut self, failure: &Failure) {
        if self.established().is_some() {
            return;
        }
        let was_told = self.failure.as_ref().is_some_and(|earlier| !earlier.is_wordless());
        if !(was_told && failure.is_wordless()) {
            self.failure = Some(failure.clone());
        }
        self.outputs.push_back(Output::Failed(failure.clone()));
    }

    /// Forgets the routes that are stale.
    pub(super) fn flush(&mut self) {
        self.timers.set(Timer::Restart, None);
        self.timers.set(Timer::EndOfRib, None);
        let stale = self.restart.take_stale();
        self.outputs.extend(stale.iter().map(Output::Flush));
    }

    /// After a session that was lost: another one at once, but not where the last ones were brief. Otherwise a peer that
    /// connects and closes would have us change routes and write lines as fast as it can.
    pub(super) fn begin_anew(&mut self, now: Time) {
        if self.waits.oscillates() { self.wait(now) } else { self.retry(now) }
    }

    /// After a connection that failed: another attempt in a while, or the peer's.
    pub(super) fn retry(&mut self, now: Time) {
        if self.mode == Mode::Running && self.connections.is_empty() && !self.config.passive {
            let wait = self.waits.step().min(self.config.connect_retry);
            self.timers.set(Timer::ConnectRetry, Some(now + wait));
        }
    }

    /// After a NOTIFICATION, or too many sessions: nothing for a while, unless another connection is there.
    pub(super) fn wait(&mut self, now: Time) {
        if self.mode == Mode::Running && self.connections.is_empty() {
            self.outputs.extend(self.attempt.take().map(Output::Close));
            self.timers.set(Timer::ConnectRetry, None);
            self.mode = Mode::Waiting;
            let wait = self.waits.step();
            self.timers.set(Timer::Idle, Some(now + wait));
        }
    }

    /// Closes a connection that is in the way of another one; this is no failure.
    pub(super) fn refuse(&mut self, id: ConnectionId, subcode: u8) {
        self.outputs.push_back(Output::Send(id, Notification::cease(subcode).emit()));
        self.outputs.push_back(Output::Close(id));
    }

    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.connections.retain(|connection| connection.id != id);
        self.timers.set(Timer::Hold(id), None);
        self.timers.set(Timer::Keepalive(id), None);
    }
}

impl Word<'_> {
    /// Whether routes may outlive a session that ended so, by RFC 4724 §4.2 and RFC 8538 §4. What our operator or the tunnel
    /// ended has its routes elsewhere.
    fn is_survivable(self, failure: &Failure, terms: &Negotiated) -> bool {
        match self {
            Self::None => true,
            Self::Theirs(told) => terms.hard_reset && !told.is_hard_reset(),
            Self::Ours(_) => {
                let meant = matches!(failure, Failure::TunnelDown | Failure::Administrative | Failure::Limit);
                terms.hard_reset && !meant
            }
        }
    }
}

/// A session that has lasted as long is no oscillation.
const SETTLED: Duration = Duration::from_mins(1);

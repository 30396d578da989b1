//! The session with one peer (RFC 4271 §8), as helper and as restarter of graceful restarts too (RFC 4724, RFC 8538).
//!
//! Pure: the driver tells what happens to TCP connections and what time it is, and carries out the [`Output`]s in their
//! order. TCP-MD5, GTSM and the check of the peer's address are its own.
//!
//! Of the optional session attributes of RFC 4271 §8.1.1 there are PassiveTcpEstablishment, DampPeerOscillations and
//! CollisionDetect. A state Idle that an automatic start would leave at once is passed over: after a TCP connection that
//! failed, the session is Active and hears a peer that connects. Idle is for a session stopped, and for the wait after
//! NOTIFICATIONs and after sessions that come and go.

mod config;
mod connection;
mod ending;
mod messages;
mod negotiate;
mod output;
mod restart;
#[cfg(test)]
mod tests;
mod wait;

use std::collections::VecDeque;
use std::time::Duration;

use gotthard_ike::Time;
use gotthard_ike::timer::Timers;

pub use self::config::Config;
pub use self::connection::ConnectionId;
use self::connection::{Connection, Direction, Phase};
use self::ending::Word;
pub use self::negotiate::Negotiated;
pub use self::output::{Output, State, Stop};
use self::restart::Restart;
use self::wait::Waits;
use super::codec::iana::{ErrorCode, cease};
use super::codec::{Family, Notification, RouteRefresh, header};
use super::failure::Failure;

/// The session with one peer.
#[derive(Debug)]
pub struct Peer {
    config: Config,
    mode: Mode,
    /// The TCP connection that is being opened.
    attempt: Option<ConnectionId>,
    /// At most one of each direction.
    connections: Vec<Connection>,
    last_id: u64,
    timers: Timers<Timer>,
    waits: Waits,
    restart: Restart,
    since: Time,
    failure: Option<Failure>,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Until told to start.
    Stopped,
    /// Until [`Timer::Idle`] is due.
    Waiting,
    Running,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    ConnectRetry,
    Idle,
    Hold(ConnectionId),
    Keepalive(ConnectionId),
    /// The peer's restart takes too long (RFC 4724 §4.2).
    Restart,
    /// The peer's routes after its restart take too long.
    EndOfRib,
}

impl Peer {
    /// A session that is not started. `seed` makes its waits its own.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            mode: Mode::Stopped,
            attempt: None,
            connections: Vec::new(),
            last_id: 0,
            timers: Timers::new(),
            waits: Waits::new(seed),
            restart: Restart::new(config.preserved),
            since: Time::ZERO,
            failure: None,
            outputs: VecDeque::new(),
        }
    }

    /// Wants the session: ManualStart.
    pub fn start(&mut self, now: Time) {
        if self.mode == Mode::Stopped {
            self.failure = self.config.passive.then_some(Failure::Awaited);
            self.run(now);
        }
    }

    /// Ends it until it is started again: ManualStop. No route of the peer is kept.
    pub fn stop(&mut self, now: Time, why: &Stop) {
        self.mode = Mode::Stopped;
        self.timers.set(Timer::Idle, None);
        let (told, failure) = match why {
            Stop::Shutdown(text) => (Notification::with_text(cease::SHUTDOWN, text), Failure::Administrative),
            Stop::Deconfigured => (Notification::cease(cease::DECONFIGURED), Failure::Administrative),
            Stop::TunnelDown => {
                (Notification::with_text(cease::SHUTDOWN, "the tunnel is down"), Failure::TunnelDown)
            }
            Stop::Limit => (Notification::cease(cease::MAX_PREFIXES), Failure::Limit),
        };
        self.end_all(now, &failure, &told);
        self.flush();
        // What was ended here says nothing about the peer.
        self.waits.reset();
        self.failure = Some(failure);
    }

    /// Ends it and begins anew after a wait: an administrative reset, with a word for the peer's operator (RFC 9003).
    pub fn reset(&mut self, now: Time, text: &str) {
        if self.mode == Mode::Running {
            let told = Notification::with_text(cease::RESET, text);
            self.end_all(now, &Failure::Administrative, &told);
            self.wait(now);
        }
    }

    /// The TCP connection that was asked for is there: TcpConnectionConfirmed.
    pub fn connected(&mut self, now: Time, id: ConnectionId) {
        // The answer to a Close that crossed it.
        if self.attempt.take_if(|attempt| *attempt == id).is_some() {
            self.open(now, id, Direction::Outgoing);
        }
    }

    /// The peer has opened a TCP connection; whether it stays is told by the outputs.
    pub fn accepted(&mut self, now: Time) -> ConnectionId {
        let id = self.new_id();
        if self.mode != Mode::Running {
            self.outputs.push_back(Output::Close(id));
            return id;
        }
        if let Some((other, terms)) = self.established().map(|(connection, terms)| (connection.id, *terms)) {
            if terms.kept().is_empty() {
                // Never in place of an established session (RFC 4271 §6.8). If the peer has lost that one, its host
                // answers the KEEPALIVE with a reset, and the peer's next attempt finds us ready.
                self.refuse(id, cease::COLLISION);
                self.keepalive(now, other);
                return id;
            }
            // The peer has restarted, and its old connection is dead (RFC 4724 §4.2).
            self.end(now, other, &Failure::Closed, Word::None);
            if self.waits.oscillates() {
                self.outputs.push_back(Output::Close(id));
                self.wait(now);
                return id;
            }
        }
        if let Some(other) = self.connections.iter().find(|other| other.direction == Direction::Incoming) {
            let other = other.id;
            self.refuse(other, cease::REJECTED);
            self.forget(other);
        }
        self.open(now, id, Direction::Incoming);
        id
    }

    /// A connection, or an attempt at one, has failed or was closed by the peer: TcpConnectionFails.
    pub fn closed(&mut self, now: Time, id: ConnectionId) {
        if self.attempt.take_if(|attempt| *attempt == id).is_some() {
            self.fail(&Failure::Unreachable);
            self.retry(now);
        } else if let Some(lost) = self.connection(id).map(|connection| connection.established().is_some()) {
            self.end(now, id, &Failure::Closed, Word::None);
            if lost { self.begin_anew(now) } else { self.retry(now) }
        }
    }

    /// Octets have arrived.
    pub fn received(&mut self, now: Time, id: ConnectionId, octets: &[u8]) {
        if let Some(connection) = self.connection(id) {
            connection.feed(octets);
        }
        // A message can be the connection's last.
        while let Some(connection) = self.connection(id) {
            match connection.next() {
                Ok(None) => break,
                Ok(Some(received)) => self.take(now, id, received),
                Err(told) => self.refuse_message(now, id, &told),
            }
        }
    }

    /// Sends UPDATEs and ROUTE-REFRESHes; without a session they go nowhere.
    pub fn send(&mut self, now: Time, messages: impl IntoIterator<Item = Vec<u8>>) {
        let Some((connection, _)) = self.established() else { return };
        let id = connection.id;
        self.outputs.extend(messages.into_iter().map(|message| Output::Send(id, message)));
        self.schedule_keepalive(now, id);
    }

    /// Asks the peer for its routes once more (RFC 2918); does nothing where it cannot be asked.
    pub fn refresh(&mut self, now: Time, family: Family) {
        let can = |terms: &Negotiated| terms.route_refresh && terms.session.families.contains(family);
        if self.negotiated().is_some_and(can) {
            self.send(now, [RouteRefresh { family }.emit()]);
        }
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Time) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::ConnectRetry => self.connect(now),
                Timer::Idle => self.run(now),
                Timer::Hold(id) => self.silent(now, id),
                Timer::Keepalive(id) => self.keepalive(now, id),
                Timer::Restart | Timer::EndOfRib => self.flush(),
            }
        }
    }

    /// When [`Self::poll`] is due.
    pub fn next(&self) -> Option<Time> {
        self.timers.next()
    }

    /// What the driver is to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How far the session is: as far as its best connection.
    pub fn state(&self) -> State {
        let phases = self.connections.iter().map(|connection| match connection.phase {
            Phase::OpenSent => State::OpenSent,
            Phase::OpenConfirm(_) => State::OpenConfirm,
            Phase::Established(_) => State::Established,
        });
        phases.max().unwrap_or(match (self.mode, self.attempt) {
            (Mode::Stopped | Mode::Waiting, _) => State::Idle,
            (Mode::Running, Some(_)) => State::Connect,
            (Mode::Running, None) => State::Active,
        })
    }

    /// The terms of the session, while it is established.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.established().map(|(_, terms)| terms)
    }

    /// Whether routes of a session that is lost are kept, until the peer tells them again or its time is over (RFC 4724).
    pub const fn keeps_routes(&self) -> bool {
        self.restart.is_waiting()
    }

    /// Since when it is established, or was last.
    pub const fn since(&self) -> Time {
        self.since
    }

    /// Why it is not established; `None` while it is, or before the first attempt of ours has ended.
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn run(&mut self, now: Time) {
        self.mode = Mode::Running;
        self.connect(now);
    }

    /// Makes an attempt, in place of one that is under way; the timer is its limit.
    fn connect(&mut self, now: Time) {
        if let Some(attempt) = self.attempt.take() {
            self.outputs.push_back(Output::Close(attempt));
            self.fail(&Failure::Unanswered);
        }
        if self.config.passive || !self.connections.is_empty() {
            return;
        }
        let id = self.new_id();
        self.attempt = Some(id);
        self.outputs.push_back(Output::Connect(id));
        self.set(now, Timer::ConnectRetry, self.config.connect_retry);
    }

    /// Begins the exchange of OPENs on a new connection.
    fn open(&mut self, now: Time, id: ConnectionId, direction: Direction) {
        self.timers.set(Timer::ConnectRetry, None);
        self.connections.push(Connection::new(id, direction));
        let open = self.config.open(self.restart.restarting(), self.restart.preserved());
        self.outputs.push_back(Output::Send(id, open.emit()));
        self.timers.set(Timer::Hold(id), Some(now + OPEN_HOLD));
    }

    /// The hold time is over (RFC 4271 §6.5), or that for the peer's OPEN.
    fn silent(&mut self, now: Time, id: ConnectionId) {
        let Some(connection) = self.connection(id) else { return };
        let failure = match connection.phase {
            Phase::OpenSent => Failure::Mute(OPEN_HOLD),
            Phase::OpenConfirm(terms) | Phase::Established(terms) => {
                Failure::HoldTimer(terms.hold_time.unwrap_or(OPEN_HOLD))
            }
        };
        let told = Notification::new(ErrorCode::HOLD_TIMER, 0);
        self.end(now, id, &failure, Word::Ours(&told));
        self.retry(now);
    }

    fn keepalive(&mut self, now: Time, id: ConnectionId) {
        self.outputs.push_back(Output::Send(id, header::keepalive()));
        self.schedule_keepalive(now, id);
    }

    fn schedule_keepalive(&mut self, now: Time, id: ConnectionId) {
        let hold_time = self.connection(id).and_then(|connection| match connection.phase {
            Phase::OpenSent => None,
            Phase::OpenConfirm(terms) | Phase::Established(terms) => terms.hold_time,
        });
        // A third of the hold time (RFC 4271 §4.4).
        if let Some(hold_time) = hold_time {
            self.set(now, Timer::Keepalive(id), hold_time / 3);
        }
    }

    /// Sets a timer to `full` less its jitter (RFC 4271 §10).
    fn set(&mut self, now: Time, timer: Timer, full: Duration) {
        let wait = self.waits.jittered(full);
        self.timers.set(timer, Some(now + wait));
    }

    const fn new_id(&mut self) -> ConnectionId {
        self.last_id = self.last_id.wrapping_add(1);
        ConnectionId(self.last_id)
    }

    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }

    fn established(&self) -> Option<(&Connection, &Negotiated)> {
        self.connections.iter().find_map(|connection| Some((connection, connection.established()?)))
    }
}

/// How long a connection may wait for the peer's OPEN, and for its KEEPALIVE where no hold time was agreed on.
/// RFC 4271 §8.2.2 suggests four minutes; a cloud's end answers within a round trip, and one that was replaced meanwhile
/// is worth another attempt sooner.
const OPEN_HOLD: Duration = Duration::from_mins(1);

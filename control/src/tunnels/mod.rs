//! One tunnel as a desired state, reconciled for ever: what to ask of the IKE endpoint, and when.
//!
//! Pure: time and events come in, [`Action`]s go out. Who carries packets is decided in [`crate::failover`].

mod change;
mod sa;

use core::time::Duration;

use gotthard_ike::config::Mode;
use gotthard_ike::error::{Failure, Fault, Sa};
use gotthard_ike::{Event, Time};

pub use self::change::{Action, Change};
pub use self::sa::{ChildSa, IkeSa};
use crate::backoff::Backoff;

/// What the operator wants of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// To be up, always.
    Up,
    /// To be down until told otherwise.
    Down,
}

/// How far a tunnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Taken down by the operator.
    AdminDown,
    /// Between two attempts, or waiting for the peer to start.
    Waiting,
    /// An attempt is under way.
    Connecting,
    /// It has a child SA.
    Up,
}

/// What was asked of a peer that is silent inside the tunnel, and when the next step is due.
#[derive(Clone, Copy, Debug)]
enum Doubt {
    /// Whether it lives; it has not answered.
    Asked(Time),
    /// It answered under its IKE SA: that one is not dead.
    Answered(Time),
}

/// Rekeys of an SA, over all that took each other's place.
#[derive(Clone, Copy, Debug)]
struct Rekeys {
    count: u64,
    /// How long the last one took.
    took: Duration,
}

impl Rekeys {
    const NONE: Self = Self { count: 0, took: Duration::ZERO };

    const fn add(&mut self, took: Duration) {
        *self = Self { count: self.count.saturating_add(1), took };
    }
}

/// One tunnel.
#[derive(Clone, Debug)]
pub struct Tunnel {
    mode: Mode,
    phase: Phase,
    since: Time,
    /// When the next attempt is due; while connecting, when it is asked for again.
    next: Option<Time>,
    /// When a rekey of the child SA is asked for again; `None`: none is needed.
    rekey: Option<Time>,
    /// While nothing is heard of the peer inside the tunnel.
    doubt: Option<Doubt>,
    backoff: Backoff,
    ike: Option<IkeSa>,
    child: Option<ChildSa>,
    ike_rekeys: Rekeys,
    child_rekeys: Rekeys,
    failure: Option<Failure>,
    /// Why the child SA cannot be rekeyed, as the two ends are configured; until it is.
    rekey_refused: Option<Failure>,
}

impl Tunnel {
    /// A tunnel that is wanted up. `seed` makes its waits its own.
    pub const fn new(mode: Mode, now: Time, seed: u64) -> Self {
        Self {
            mode,
            phase: Phase::Waiting,
            since: now,
            next: match mode {
                Mode::Initiator => Some(now),
                Mode::Responder => None,
            },
            rekey: None,
            doubt: None,
            backoff: Backoff::new(SHORTEST_WAIT, LONGEST_WAIT, seed),
            ike: None,
            child: None,
            ike_rekeys: Rekeys::NONE,
            child_rekeys: Rekeys::NONE,
            failure: None,
            rekey_refused: None,
        }
    }

    /// Takes the operator's word; returns what to ask of the endpoint.
    pub fn set_admin(&mut self, now: Time, admin: Admin) -> Vec<Action> {
        match (admin, self.phase) {
            (Admin::Down, Phase::AdminDown) => Vec::new(),
            (Admin::Down, _) => {
                self.enter(now, Phase::AdminDown);
                self.next = None;
                self.failure = None;
                vec![Action::Terminate]
            }
            (Admin::Up, Phase::AdminDown) => {
                self.enter(now, Phase::Waiting);
                self.backoff.reset();
                self.next = matches!(self.mode, Mode::Initiator).then_some(now);
                self.poll(now)
            }
            (Admin::Up, _) => Vec::new(),
        }
    }

    /// Takes an event of this tunnel's SAs.
    pub fn on_event(&mut self, now: Time, event: &Event) -> Option<Change> {
        match event {
            Event::IkeUp { suite, spi_i, spi_r, nat, .. } => {
                self.ike = Some(IkeSa { suite: *suite, spi_i: *spi_i, spi_r: *spi_r, nat: *nat });
                self.answered(now);
                (self.phase == Phase::Up).then_some(Change::Replaced)
            }
            Event::IkeRekeyed { suite, spi_i, spi_r, took, .. } => {
                let nat = self.ike.map(|sa| sa.nat).unwrap_or_default();
                self.ike = Some(IkeSa { suite: *suite, spi_i: *spi_i, spi_r: *spi_r, nat });
                self.ike_rekeys.add(*took);
                Some(Change::IkeRekeyed)
            }
            Event::ChildUp { suite, spi_in, spi_out, esn, encapsulation, rekey, .. } => {
                let child = ChildSa {
                    suite: *suite,
                    spi_in: *spi_in,
                    spi_out: *spi_out,
                    esn: *esn,
                    encapsulation: *encapsulation,
                };
                self.on_child_up(now, child, *rekey)
            }
            Event::RekeyFailed { what, reason, .. } => {
                // What is refused for its configuration is refused the next time too, also by the SA that follows.
                if *what == Sa::Child && reason.fault() == Fault::Configuration {
                    self.rekey_refused = Some(reason.clone());
                }
                Some(Change::RekeyFailed(*what, reason.clone()))
            }
            // The newer IKE SA is up and has told so: nothing is down.
            Event::IkeDown { reason: Failure::Replaced, .. } => None,
            Event::IkeDown { reason, .. } => {
                self.ike = None;
                self.on_down(now, reason)
            }
            Event::ChildDown { reason, .. } => self.on_down(now, reason),
            Event::Alive { .. } => {
                self.answered(now);
                None
            }
            Event::Failed { reason, .. } => self.on_failed(now, reason),
        }
    }

    /// Nothing is heard of the peer inside the tunnel: asks it under its IKE SA at once. A peer that lost its state never
    /// answers there, so soon another SA is tried beside it; the one there is ends when its own time is over.
    pub fn doubt(&mut self, now: Time) -> Vec<Action> {
        if self.phase != Phase::Up || self.doubt.is_some() {
            return Vec::new();
        }
        self.doubt = Some(Doubt::Asked(now + UNANSWERED));
        vec![Action::CheckLiveness]
    }

    /// The peer is heard inside the tunnel again.
    pub const fn trust(&mut self) {
        self.doubt = None;
    }

    /// Does what is due at `now`; returns what to ask of the endpoint.
    pub fn poll(&mut self, now: Time) -> Vec<Action> {
        if self.rekey.take_if(|at| *at <= now).is_some() {
            return self.rekey_child(now);
        }
        if let Some(doubt) = self.doubt.filter(|doubt| doubt.due() <= now) {
            return vec![self.ask_in_doubt(now, doubt)];
        }
        if self.next.is_none_or(|at| at > now) {
            return Vec::new();
        }
        // The endpoint ends every attempt with an event; asking again now and then costs nothing and needs no faith.
        self.next = Some(now + ASK_AGAIN);
        if self.phase == Phase::Waiting {
            self.enter(now, Phase::Connecting);
        }
        // An IKE SA that has lost its child is in the way of a fresh one.
        if self.ike.take().is_some() {
            vec![Action::Terminate, Action::Initiate]
        } else {
            vec![Action::Initiate]
        }
    }

    /// The child SA nears its end: asks for a rekey, and again until there is one. Traffic goes on.
    pub fn rekey_child(&mut self, now: Time) -> Vec<Action> {
        if self.phase != Phase::Up || self.rekey.is_some() {
            return Vec::new();
        }
        self.rekey = Some(now + ASK_REKEY_AGAIN);
        vec![Action::RekeyChild]
    }

    /// Replaces a tunnel that must not go on with its keys: asks for new SAs at once.
    ///
    /// A responder deletes and waits for the peer, which is told by the Delete.
    pub fn renew(&mut self, now: Time) -> Vec<Action> {
        if self.phase != Phase::Up {
            return Vec::new();
        }
        self.child = None;
        self.ike = None;
        match self.mode {
            Mode::Initiator => {
                self.enter(now, Phase::Connecting);
                self.next = Some(now + ASK_AGAIN);
                vec![Action::Terminate, Action::Initiate]
            }
            Mode::Responder => {
                self.enter(now, Phase::Waiting);
                self.next = None;
                vec![Action::Terminate]
            }
        }
    }

    /// Takes the place of the tunnel that an earlier configuration described: counts on, and stays down if that was the
    /// operator's word.
    pub const fn continues(&mut self, earlier: &Self) {
        self.ike_rekeys = earlier.ike_rekeys;
        self.child_rekeys = earlier.child_rekeys;
        if matches!(earlier.phase, Phase::AdminDown) {
            self.phase = Phase::AdminDown;
            self.since = earlier.since;
            self.next = None;
        }
    }

    /// When [`Self::poll`] is due.
    pub fn next(&self) -> Option<Time> {
        self.next.into_iter().chain(self.rekey).chain(self.doubt.map(Doubt::due)).min()
    }

    /// How far it is.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Since when.
    pub const fn since(&self) -> Time {
        self.since
    }

    /// Its IKE SA.
    pub const fn ike(&self) -> Option<&IkeSa> {
        self.ike.as_ref()
    }

    /// Its child SA.
    pub const fn child(&self) -> Option<&ChildSa> {
        self.child.as_ref()
    }

    /// Rekeys of the IKE SA, over all of them.
    pub const fn ike_rekeys(&self) -> u64 {
        self.ike_rekeys.count
    }

    /// How long the last of them took.
    pub const fn ike_rekey_took(&self) -> Duration {
        self.ike_rekeys.took
    }

    /// Rekeys of the child SA, over all of them.
    pub const fn child_rekeys(&self) -> u64 {
        self.child_rekeys.count
    }

    /// How long the last of them took.
    pub const fn child_rekey_took(&self) -> Duration {
        self.child_rekeys.took
    }

    /// Why it is not up; `None` while it is, or before the first attempt has ended.
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Why its child SA cannot be rekeyed as the two ends are configured; `None`: it can, or nobody has tried.
    pub const fn rekey_refused(&self) -> Option<&Failure> {
        self.rekey_refused.as_ref()
    }

    /// The peer answers under its IKE SA, though it may still be silent inside the tunnel.
    fn answered(&mut self, now: Time) {
        self.doubt = self.doubt.map(|_| Doubt::Answered(now + DOUBT_AGAIN));
    }

    /// A responder cannot make another SA: it asks again until the one it has is dead.
    fn ask_in_doubt(&mut self, now: Time, doubt: Doubt) -> Action {
        match (doubt, self.mode) {
            (Doubt::Asked(_), Mode::Initiator) => {
                self.doubt = Some(Doubt::Asked(now + REPLACE_AGAIN));
                Action::Replace
            }
            (Doubt::Asked(_), Mode::Responder) | (Doubt::Answered(_), _) => {
                self.doubt = Some(Doubt::Asked(now + UNANSWERED));
                Action::CheckLiveness
            }
        }
    }

    fn on_child_up(&mut self, now: Time, child: ChildSa, rekey: Option<Duration>) -> Option<Change> {
        self.child = Some(child);
        self.rekey = None;
        if let Some(took) = rekey {
            self.rekey_refused = None;
            self.child_rekeys.add(took);
        }
        match self.phase {
            // A child that was under way when the operator said down; the Terminate is on its way to it.
            Phase::AdminDown => None,
            Phase::Up => rekey.map(|_| Change::ChildRekeyed),
            Phase::Waiting | Phase::Connecting => {
                self.enter(now, Phase::Up);
                self.next = None;
                self.failure = None;
                Some(Change::Up)
            }
        }
    }

    fn on_down(&mut self, now: Time, reason: &Failure) -> Option<Change> {
        self.child = None;
        let was_up = self.phase == Phase::Up;
        let lasted = now.saturating_since(self.since);
        if !was_up {
            // Our own Terminate, a second event of the same loss, or an IKE SA that never had a child.
            if self.phase == Phase::Connecting && *reason != Failure::Administrative {
                return self.on_failed(now, reason);
            }
            return None;
        }
        if lasted >= SETTLED {
            self.backoff.reset();
        }
        self.enter(now, Phase::Waiting);
        self.failure = Some(reason.clone());
        self.schedule(now, reason);
        Some(Change::Down(reason.clone()))
    }

    fn on_failed(&mut self, now: Time, reason: &Failure) -> Option<Change> {
        match self.phase {
            Phase::AdminDown => return None,
            // Somebody else's attempt on a tunnel that is up changes nothing for it.
            Phase::Up => return Some(Change::Failed(reason.clone())),
            Phase::Waiting | Phase::Connecting => {}
        }
        if self.phase == Phase::Connecting {
            self.enter(now, Phase::Waiting);
            self.schedule(now, reason);
        }
        let news = self.failure.as_ref() != Some(reason);
        self.failure = Some(reason.clone());
        news.then(|| Change::Failed(reason.clone()))
    }

    fn schedule(&mut self, now: Time, reason: &Failure) {
        self.next = match (self.mode, reason) {
            (Mode::Responder, _) => None,
            // The silence of that attempt was the back-off: a peer that comes back is not kept waiting.
            (Mode::Initiator, Failure::Timeout { .. }) => Some(now + self.backoff.shortest()),
            (Mode::Initiator, _) => Some(now + self.backoff.step()),
        };
    }

    fn enter(&mut self, now: Time, phase: Phase) {
        if phase != self.phase {
            self.phase = phase;
            self.since = now;
            self.rekey = None;
            self.doubt = None;
        }
    }
}

impl Doubt {
    const fn due(self) -> Time {
        match self {
            Self::Asked(at) | Self::Answered(at) => at,
        }
    }
}

/// The first wait between two attempts.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// A tunnel that was up for so long starts from the shortest wait when it falls.
const SETTLED: Duration = Duration::from_secs(15);
/// A rekey that did not come to pass is asked for again: the peer may have refused it for the moment.
const ASK_REKEY_AGAIN: Duration = Duration::from_secs(5);
/// A liveness check that is not answered for so long, and was sent three times, is not expected to be: time for another SA.
const UNANSWERED: Duration = Duration::from_secs(2);
/// An attempt has its own retransmissions; one that failed is made again.
const REPLACE_AGAIN: Duration = Duration::from_secs(3);
/// A peer that answers under its IKE SA and is silent inside the tunnel is asked again after this time.
const DOUBT_AGAIN: Duration = Duration::from_secs(5);
/// An attempt that has not ended is asked for again.
const ASK_AGAIN: Duration = Duration::from_mins(1);

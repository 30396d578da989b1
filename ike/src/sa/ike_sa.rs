//! An authenticated IKE SA: keys, one window each way, a queue of tasks, and its children.
//!
//! What the messages hold is the business of the exchanges; here is what lasts between them. A peer's request is
//! answerable at any time, also while ours is in flight: the two windows share nothing.

use core::mem;
use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::Channel;
use super::child_sa::{ChildSa, Terms};
use super::message_id::{InFlight, Requests, Responses};
use super::retransmit::{BackOff, Step};
use super::{Cx, Path, Peer};
use crate::Time;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::payload::Payload;
use crate::config::Encapsulation;
use crate::crypto::keymat::SkD;
use crate::error::{Failure, Sa, Stage};
use crate::event::{EspKeys, Event, Install, Nat};
use crate::limits;
use crate::suite::IkeSuite;

/// An IKE SA whose peer is authenticated.
pub(crate) struct IkeSa {
    pub(crate) peer: Arc<Peer>,
    pub(crate) suite: IkeSuite,
    pub(crate) sk_d: SkD,
    pub(crate) channel: Channel,
    pub(crate) path: Path,
    pub(crate) nat: Nat,
    pub(crate) requests: Requests<Task>,
    pub(crate) responses: Responses,
    pub(crate) children: Vec<ChildSa>,
    tasks: VecDeque<Task>,
    state: State,
    /// When the handshake started.
    born: Time,
    /// When it was authenticated.
    up: Time,
    /// The lower of the handshake's two nonces: it decides between two SAs made at once.
    lowest_nonce: Vec<u8>,
    /// Last authentic sign of life.
    heard: Time,
    hard: Time,
    childless_since: Option<Time>,
    hinted: Option<Time>,
}

/// A request that we want to send when the window is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Ask whether the peer lives (RFC 7296 §2.4).
    Liveness,
    /// Delete the child SA that we receive with this SPI.
    DeleteChild(u32),
    /// Delete the IKE SA, and say why where it is because the peer failed to authenticate (RFC 7296 §2.21.2).
    DeleteIke(Option<NotifyType>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The peer's tunnel.
    Up,
    /// Another SA carries the tunnel; the peer is to delete this one, or we do it at the end of that time.
    Redundant { until: Time },
    /// Our Delete waits or is in flight.
    Closing,
    /// Ended; the peer's last request is still answered when it is retransmitted.
    Lingering { until: Time },
    /// To be forgotten.
    Gone,
}

/// What a handshake hands over.
pub(crate) struct Seed {
    pub(crate) peer: Arc<Peer>,
    pub(crate) suite: IkeSuite,
    pub(crate) sk_d: SkD,
    pub(crate) channel: Channel,
    pub(crate) path: Path,
    pub(crate) nat: Nat,
    /// Message ids of our next request and of the peer's.
    pub(crate) next_ids: (u32, u32),
    pub(crate) born: Time,
    pub(crate) nonces: (Vec<u8>, Vec<u8>),
}

impl IkeSa {
    pub(crate) fn new(seed: Seed, now: Time) -> Self {
        let Seed { peer, suite, sk_d, channel, path, nat, next_ids: (ours, theirs), born, nonces } = seed;
        let hard = now + peer.config.ike_lifetime;
        Self {
            peer,
            suite,
            sk_d,
            channel,
            path,
            nat,
            requests: Requests::new(ours),
            responses: Responses::new(theirs),
            children: Vec::new(),
            tasks: VecDeque::new(),
            state: State::Up,
            born,
            up: now,
            lowest_nonce: nonces.0.min(nonces.1),
            heard: now,
            hard,
            childless_since: None,
            hinted: None,
        }
    }

    /// Adds a child: its inbound is installed, its outbound follows when the peer is ready for it.
    pub(crate) fn add_child(
        &mut self,
        terms: Terms,
        keys: (EspKeys, EspKeys),
        replaces_another: bool,
        cx: &mut Cx<'_>,
    ) {
        let outer = (self.path, self.encapsulation());
        self.children.push(ChildSa::install(terms, keys, outer, replaces_another, &self.peer, cx));
        self.childless_since = None;
    }

    /// Tells the operator that this SA carries the peer's tunnel, and sends with its child.
    pub(crate) fn announce(&mut self, cx: &mut Cx<'_>) {
        cx.event(Event::IkeUp {
            peer: self.peer.id,
            suite: self.suite,
            spi_i: self.channel.spi_i(),
            spi_r: self.channel.spi_r(),
            nat: self.nat,
        });
        self.switch_outbound(cx);
    }

    /// The peer is known to have all children that we told it of: sends with the newest.
    pub(crate) fn switch_outbound(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Up {
            for child in &mut self.children {
                child.switch(cx);
            }
        }
    }

    /// An answer that may tell of a new child leaves, for the first time or again.
    pub(crate) fn answer_leaves(&mut self, now: Time) {
        if self.state == State::Up {
            for child in &mut self.children {
                child.announce(now);
            }
        }
    }

    /// An authentic, fresh message came over `path`. Where the peer is behind a NAT and we are not, its address is what
    /// the message says (RFC 7296 §2.23).
    pub(crate) fn heard_over(&mut self, path: Path, cx: &mut Cx<'_>) {
        self.heard = cx.now;
        if self.path == path || !self.nat.remote || self.nat.local {
            return;
        }
        self.path = path;
        for child in &mut self.children {
            child.moved(path);
        }
        if self.state == State::Up && self.encapsulation() == Encapsulation::Udp {
            let Path { local, remote } = path;
            cx.install(Install::Path { peer: self.peer.id, local, remote });
        }
    }

    /// Authentic traffic of the peer was seen.
    pub(crate) fn traffic_seen(&mut self, now: Time) {
        self.heard = self.heard.max(now);
    }

    /// Somebody says in the clear that the SA is gone: asks the peer, at a bounded rate (RFC 7296 §2.4, §2.21.4).
    pub(crate) fn hint(&mut self, now: Time) {
        let rests = self.hinted.is_some_and(|at| now - at < limits::HINT_INTERVAL);
        if self.state == State::Up && !rests && self.is_quiet() {
            self.hinted = Some(now);
            self.push_task(Task::Liveness);
        }
    }

    /// Queues a request; one that waits already is not queued twice.
    pub(crate) fn push_task(&mut self, task: Task) {
        if self.tasks.len() < limits::TASKS && !self.tasks.contains(&task) {
            self.tasks.push_back(task);
        }
    }

    /// The task whose turn it is: the window is free and something waits.
    pub(crate) fn take_task(&mut self) -> Option<(u32, Task)> {
        if matches!(self.state, State::Lingering { .. } | State::Gone) {
            return None;
        }
        let id = self.requests.free()?;
        self.tasks.pop_front().map(|task| (id, task))
    }

    /// Sends a request; `id` is the one that [`Self::take_task`] gave.
    pub(crate) fn send_request(
        &mut self,
        id: u32,
        task: Task,
        exchange: ExchangeType,
        payloads: &[Payload<'_>],
        cx: &mut Cx<'_>,
    ) {
        let datagram = self.channel.seal_request(exchange, id, payloads, cx);
        let back_off = BackOff::start(self.peer.config.retransmit, cx.now, cx.random);
        cx.transmit(self.path, datagram.clone());
        self.requests.sent(InFlight { id, task, datagram, back_off });
    }

    /// Answers the peer's request, and keeps the answer for its retransmission.
    pub(crate) fn send_response(
        &mut self,
        id: u32,
        exchange: ExchangeType,
        payloads: &[Payload<'_>],
        cx: &mut Cx<'_>,
    ) {
        let datagram = self.channel.seal_response(exchange, id, payloads, cx);
        self.adopt_response(id, datagram, cx);
    }

    /// As [`Self::send_response`], for a datagram that is sealed already.
    pub(crate) fn adopt_response(&mut self, id: u32, datagram: Vec<u8>, cx: &mut Cx<'_>) {
        cx.transmit(self.path, datagram.clone());
        self.responses.answered(id, datagram);
        self.answer_leaves(cx.now);
    }

    /// Sends the answer to the peer's last request once more.
    pub(crate) fn resend_response(&mut self, cx: &mut Cx<'_>) {
        if let Some(datagram) = self.responses.last() {
            cx.transmit(self.path, datagram.to_vec());
            self.answer_leaves(cx.now);
        }
    }

    /// Ends the SA for the operator: its children go at once, and who wants the tunnel may build it anew. What remains
    /// is what the protocol still owes the peer.
    pub(crate) fn end(&mut self, reason: Failure, cx: &mut Cx<'_>) {
        let was_up = self.state == State::Up;
        self.remove_children(cx);
        self.state = State::Lingering { until: cx.now + limits::LINGER };
        if was_up {
            cx.event(Event::IkeDown { peer: self.peer.id, reason });
        }
    }

    /// Ends the SA, and tells the peer so. Without a free message id there is no way to tell.
    pub(crate) fn close(&mut self, reason: Failure, cx: &mut Cx<'_>) {
        if matches!(self.state, State::Lingering { .. } | State::Gone) {
            return;
        }
        self.end(reason, cx);
        self.delete(None);
    }

    /// Deletes an SA that carries no tunnel; its children live until the peer has confirmed.
    pub(crate) fn delete(&mut self, notify: Option<NotifyType>) {
        self.stop();
        self.state = if self.requests.is_exhausted() { State::Gone } else { State::Closing };
        self.push_task(Task::DeleteIke(notify));
    }

    /// Another SA carries the tunnel; the peer is to delete this one, or we do it then.
    pub(crate) fn make_redundant(&mut self, until: Time) {
        if self.state == State::Up {
            self.stop();
            self.state = State::Redundant { until };
        }
    }

    /// Forgets the SA without a word: the peer has lost it, or has confirmed its end.
    pub(crate) fn vanish(&mut self, cx: &mut Cx<'_>) {
        self.remove_children(cx);
        self.state = State::Gone;
    }

    /// Moves the children and what waits to be done to the SA that takes this one's place (RFC 7296 §2.18).
    pub(crate) fn hand_over_to(&mut self, successor: &mut Self, now: Time) {
        successor.children = mem::take(&mut self.children);
        successor.childless_since = self.childless_since;
        let requests_of_children = |task: &Task| matches!(task, Task::DeleteChild(_));
        successor.tasks = self.tasks.iter().copied().filter(requests_of_children).collect();
        self.make_redundant(now + limits::REDUNDANT_LIFETIME);
    }

    /// Asks for [`Self::close`] unless a child comes in time: a tunnel needs one.
    pub(crate) fn note_childless(&mut self, reason: Failure, cx: &mut Cx<'_>) {
        let childless = !self.children.iter().any(|child| !child.is_deleted());
        if self.state == State::Up && childless && self.childless_since.is_none() {
            self.childless_since = Some(cx.now);
            cx.event(Event::ChildDown { peer: self.peer.id, reason });
        }
    }

    /// The peer deletes the child that it receives with `spi_out`; gives the SPI of our half, unless it is deleted.
    pub(crate) fn delete_child_by_peer(&mut self, spi_out: u32, cx: &mut Cx<'_>) -> Option<u32> {
        let of_peer = |child: &&mut ChildSa| child.terms.spi_out == spi_out && !child.is_deleted();
        let child = self.children.iter_mut().find(of_peer)?;
        child.delete(&self.peer, cx);
        Some(child.terms.spi_in)
    }

    /// The live child has a successor and waits for its Delete.
    pub(crate) fn retire_child(&mut self) {
        for child in &mut self.children {
            child.rekeyed();
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.channel.expire(cx.now);
        self.retransmit(cx);
        self.age_children(cx);
        match self.state {
            State::Up => self.age(cx),
            State::Redundant { until } if until <= cx.now => self.delete(None),
            State::Lingering { until } if until <= cx.now => self.vanish(cx),
            State::Redundant { .. } | State::Lingering { .. } | State::Closing | State::Gone => {}
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let in_state = match self.state {
            State::Up => {
                let childless = self.childless_since.map(|since| since + limits::CHILDLESS);
                [Some(self.hard), self.liveness_due(), childless].into_iter().flatten().min()
            }
            State::Redundant { until } | State::Lingering { until } => Some(until),
            State::Closing | State::Gone => None,
        };
        let answer = if self.is_ended() { None } else { self.requests.in_flight().map(|r| r.back_off.due()) };
        let children = self.children.iter().map(ChildSa::deadline).min();
        [in_state, answer, children, self.channel.expires()].into_iter().flatten().min()
    }

    /// The child that the peer receives with this SPI, unless it is deleted.
    pub(crate) fn child_by_spi_out(&self, spi_out: u32) -> Option<&ChildSa> {
        self.children.iter().find(|child| child.terms.spi_out == spi_out && !child.is_deleted())
    }

    /// A child carries packets, or is about to.
    pub(crate) fn has_child(&self) -> bool {
        self.children.iter().any(ChildSa::is_live)
    }

    /// One more child is within the bound.
    pub(crate) fn has_room_for_child(&self) -> bool {
        self.children.len() < limits::CHILDREN
    }

    /// It carries the peer's tunnel.
    pub(crate) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// When it was authenticated, or made by a rekey.
    pub(crate) const fn up_since(&self) -> Time {
        self.up
    }

    /// It may be forgotten.
    pub(crate) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// It only answers retransmissions.
    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Lingering { .. } | State::Gone)
    }

    /// Whether `other`, of the same peer, was made at the same time from the other end.
    pub(crate) fn crosses(&self, other: &Self) -> bool {
        let at_once = self.born < other.up && other.born < self.up;
        at_once && self.channel.original_initiator() != other.channel.original_initiator()
    }

    /// Of two SAs made at once the one with the lowest of the four nonces is closed (RFC 7296 §2.8.1).
    pub(crate) fn loses_to(&self, other: &Self) -> bool {
        self.lowest_nonce < other.lowest_nonce
    }

    /// How ESP crosses the outer network.
    pub(crate) fn encapsulation(&self) -> Encapsulation {
        match self.peer.config.encapsulation {
            Encapsulation::Auto if self.nat.local || self.nat.remote => Encapsulation::Udp,
            Encapsulation::Auto | Encapsulation::Esp => Encapsulation::Esp,
            Encapsulation::Udp => Encapsulation::Udp,
        }
    }

    /// Starts nothing any more, and does not send with a child that it has not sent with.
    fn stop(&mut self) {
        self.tasks.clear();
        for child in &mut self.children {
            child.stay();
        }
    }

    fn retransmit(&mut self, cx: &mut Cx<'_>) {
        if self.is_ended() {
            return;
        }
        let Some(in_flight) = self.requests.in_flight_mut() else { return };
        match in_flight.back_off.step(cx.now, cx.random) {
            Step::Wait => {}
            Step::Resend => {
                let datagram = in_flight.datagram.clone();
                cx.transmit(self.path, datagram);
            }
            Step::GiveUp => {
                self.end(Failure::Timeout { exchange: Stage::Informational, hint: None }, cx);
                self.vanish(cx);
            }
        }
    }

    fn age(&mut self, cx: &mut Cx<'_>) {
        let childless = self.childless_since.is_some_and(|since| since + limits::CHILDLESS <= cx.now);
        if self.hard <= cx.now {
            self.close(Failure::Lifetime { what: Sa::Ike }, cx);
        } else if childless {
            self.close(Failure::PeerDeleted { what: Sa::Child }, cx);
        } else if self.liveness_due().is_some_and(|at| at <= cx.now) {
            self.push_task(Task::Liveness);
        }
    }

    fn age_children(&mut self, cx: &mut Cx<'_>) {
        for child in &mut self.children {
            child.handle_timeout(cx);
        }
        let now = cx.now;
        for over in self.children.extract_if(.., |child| child.is_over(now)) {
            over.remove(&self.peer, cx);
        }
        let expired = |child: &&ChildSa| child.is_expired(now);
        if self.children.iter().filter(expired).any(ChildSa::is_live) {
            self.close(Failure::Lifetime { what: Sa::Child }, cx);
            return;
        }
        let left_behind: Vec<u32> = self.children.iter().filter(expired).map(|c| c.terms.spi_in).collect();
        for spi_in in left_behind {
            self.delete_child(spi_in, cx);
            self.push_task(Task::DeleteChild(spi_in));
        }
    }

    /// Stops sending with a child; its inbound lives for a grace.
    fn delete_child(&mut self, spi_in: u32, cx: &mut Cx<'_>) {
        for child in self.children.iter_mut().filter(|child| child.terms.spi_in == spi_in) {
            child.delete(&self.peer, cx);
        }
    }

    fn remove_children(&mut self, cx: &mut Cx<'_>) {
        for child in self.children.drain(..) {
            child.remove(&self.peer, cx);
        }
    }

    /// When the peer's silence is to be questioned. A request in flight is such a question already.
    fn liveness_due(&self) -> Option<Time> {
        let interval = self.peer.config.dpd_interval;
        (self.is_quiet() && !interval.is_zero()).then(|| self.heard + interval)
    }

    /// Nothing is in flight and nothing waits.
    fn is_quiet(&self) -> bool {
        self.requests.in_flight().is_none() && self.tasks.is_empty()
    }
}

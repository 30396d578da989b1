//! An authenticated IKE SA: keys, one window each way, a queue of tasks, and its children.
//!
//! What the messages hold is the business of the exchanges; here is what lasts between them. A peer's request is
//! answerable at any time, also while ours is in flight: the two windows share nothing. What time does to it is in
//! [`super::ageing`].

use core::mem;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::Channel;
use super::child_sa::{ChildSa, Terms};
use super::children::Children;
use super::compute::Pending;
use super::handshake::Handshake;
use super::lifetime::{Lifetime, Margin};
use super::message_id::{InFlight, Requests, Responses};
use super::retransmit::BackOff;
use super::sealed::Sealed;
use super::task::{Asked, ChildRequest, IkeRequest, Secret, Task};
use super::{Cx, Path, Peer};
use crate::Time;
use crate::codec::iana::{ExchangeType, Group, NotifyType};
use crate::codec::payload::Payload;
use crate::config::{Encapsulation, Mode};
use crate::crypto::dh::DhSecret;
use crate::crypto::keymat::SkD;
use crate::error::Failure;
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
    pub(crate) requests: Requests<Asked>,
    pub(crate) responses: Responses,
    pub(crate) children: Children,
    /// Whether the peer's own rekeys of a child have a KE payload; `None` until it has made one.
    pub(crate) peer_has_pfs: Option<bool>,
    pub(super) tasks: VecDeque<Task>,
    /// Of the next task that exchanges keys.
    secret: Secret,
    pub(super) state: State,
    /// The peer has yet to show that it has our IKE_AUTH response; another SA carries the packets until then.
    unproven: bool,
    pub(crate) handshake: Handshake,
    /// When it was made.
    born: Time,
    /// When the exchange began that made it.
    begun: Time,
    /// Last authentic sign of life.
    pub(super) heard: Time,
    /// When something other than an IKE message last left for the peer: a packet of ours, or a NAT keepalive.
    pub(super) packet_sent: Time,
    pub(super) lifetime: Lifetime,
    /// When another IKE SA with a new authentication shall take its place.
    pub(super) reauthenticate_at: Option<Time>,
    pub(super) childless_since: Option<Time>,
    hinted: Option<Time>,
    /// Somebody waits to be told that the peer lives.
    questioned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The peer's tunnel.
    Up,
    /// The peer made it to take the place of one that we rekey ourselves: which of the two does is not clear yet.
    Candidate { until: Time },
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
    pub(crate) handshake: Handshake,
    /// When the exchange began that makes it.
    pub(crate) begun: Time,
}

impl IkeSa {
    pub(crate) fn new(seed: Seed, cx: &mut Cx<'_>) -> Self {
        let Seed { peer, suite, sk_d, channel, path, nat, next_ids: (ours, theirs), handshake, begun } = seed;
        let margin = Margin::of(&peer.config);
        let lifetime = Lifetime::start(peer.config.ike_lifetime, margin, cx.now, cx.random);
        Self {
            peer,
            suite,
            sk_d,
            channel,
            path,
            nat,
            requests: Requests::new(ours),
            responses: Responses::new(theirs),
            children: Children::default(),
            peer_has_pfs: None,
            tasks: VecDeque::new(),
            secret: Secret::Idle,
            state: State::Up,
            unproven: false,
            handshake,
            born: cx.now,
            begun,
            heard: cx.now,
            packet_sent: cx.now,
            lifetime,
            reauthenticate_at: None,
            childless_since: None,
            hinted: None,
            questioned: false,
        }
    }

    /// Adds a child: its inbound is installed, its outbound follows when the peer is ready for it. `rekey_begun` is when
    /// the rekey began, where it takes another's place.
    pub(crate) fn add_child(
        &mut self,
        terms: Terms,
        keys: (EspKeys, EspKeys),
        rekey_begun: Option<Time>,
        cx: &mut Cx<'_>,
    ) {
        let outer = (self.path, self.encapsulation());
        let child = ChildSa::install(terms, keys, outer, rekey_begun, &self.peer, cx);
        self.children.add(child, &self.peer, cx);
        self.childless_since = None;
    }

    /// Tells the operator that this SA carries the peer's tunnel.
    pub(crate) fn announce(&self, cx: &mut Cx<'_>) {
        cx.event(Event::IkeUp {
            peer: self.peer.id,
            suite: self.suite,
            spi_i: self.channel.spi_i(),
            spi_r: self.channel.spi_r(),
            nat: self.nat,
        });
    }

    /// Another SA carries the packets until the peer says something under this one: only then it has our IKE_AUTH
    /// response, however long that takes.
    pub(crate) fn ask_for_proof(&mut self) {
        self.unproven = true;
        self.children.wait();
        self.push_task(Task::Liveness);
    }

    /// The peer has answered a request under this SA.
    pub(crate) fn answered(&mut self, cx: &mut Cx<'_>) {
        if mem::take(&mut self.questioned) {
            cx.event(Event::Alive { peer: self.peer.id });
        }
        self.take_proof(cx);
    }

    /// The SA that carried the packets until this one is proven carries them no longer.
    pub(crate) fn take_proof(&mut self, cx: &mut Cx<'_>) {
        if self.unproven {
            self.switch_outbound(cx);
        }
    }

    /// The peer is known to have all children that we told it of: sends with the newest.
    pub(crate) fn switch_outbound(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Up {
            self.unproven = false;
            self.children.switch(cx);
        }
    }

    /// An authentic request of the peer says that it has our last answer, since its window is 1. While a child of ours
    /// and one of the peer's contend for the same place we go on with the old one, unless the peer deletes that.
    pub(crate) fn peer_has_answer(&mut self, deletes: &[u32], cx: &mut Cx<'_>) {
        for spi_out in deletes {
            if let Some(child) = self.children.by_spi_out(*spi_out) {
                child.stay();
            }
        }
        let old = self.contended().and_then(|old| self.children.by_spi_in(old));
        let goes_on = old.is_some_and(|old| !deletes.contains(&old.terms.spi_out));
        if !goes_on {
            self.switch_outbound(cx);
        }
    }

    /// An answer that may tell of a new child leaves, for the first time or again.
    pub(crate) fn answer_leaves(&mut self, now: Time) {
        if self.state == State::Up && !self.unproven {
            self.children.announce(now);
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
        self.children.moved(path);
        if self.state == State::Up && self.encapsulation() == Encapsulation::Udp {
            let Path { local, remote } = path;
            cx.install(Install::Path { peer: self.peer.id, local, remote });
        }
    }

    /// Authentic traffic of the peer was seen.
    pub(crate) fn traffic_seen(&mut self, now: Time) {
        self.heard = self.heard.max(now);
    }

    /// A packet of ours has left.
    pub(crate) fn traffic_sent(&mut self, now: Time) {
        self.packet_sent = self.packet_sent.max(now);
    }

    /// Somebody says in the clear that the SA is gone: asks the peer, at a bounded rate (RFC 7296 §2.4, §2.21.4).
    pub(crate) fn hint(&mut self, now: Time) {
        let rests = self.hinted.is_some_and(|at| now - at < limits::HINT_INTERVAL);
        if self.state == State::Up && !rests && self.is_quiet() {
            self.hinted = Some(now);
            self.push_task(Task::Liveness);
        }
    }

    /// Asks the peer whether it lives, and tells when it has answered. A request in flight is such a question already
    /// (RFC 7296 §2.4).
    pub(crate) fn question(&mut self) {
        if self.state == State::Up {
            self.questioned = true;
            if self.is_quiet() {
                self.push_task(Task::Liveness);
            }
        }
    }

    /// Queues a request; one that waits already is not queued twice.
    pub(crate) fn push_task(&mut self, task: Task) {
        if self.tasks.len() < limits::TASKS && !self.tasks.contains(&task) {
            self.tasks.push_back(task);
        }
    }

    /// The task whose turn it is: the window is free and something waits. What waits for a secret lets others pass.
    pub(crate) fn take_task(&mut self) -> Option<(u32, Task)> {
        if matches!(self.state, State::Lingering { .. } | State::Gone) {
            return None;
        }
        let id = self.requests.free()?;
        let lacks_secret = matches!(self.secret, Secret::Wanted(_) | Secret::UnderWay);
        let turn = self.tasks.iter().position(|task| !(lacks_secret && task.exchanges_keys()))?;
        self.tasks.remove(turn).map(|task| (id, task))
    }

    /// The task could not be done yet: it is the first to be taken again.
    pub(crate) fn put_task_back(&mut self, task: Task) {
        self.tasks.push_front(task);
    }

    /// A secret for a request of ours. `None`: not a group that we have. Where jobs are handed out it is asked for, see
    /// [`Self::wanted_secret`].
    pub(crate) fn take_secret(
        &mut self,
        group: Group,
        cx: &mut Cx<'_>,
    ) -> Result<Option<Arc<DhSecret>>, Pending> {
        match mem::take(&mut self.secret) {
            Secret::Ready(secret) if secret.group() == group => return Ok(Some(secret)),
            Secret::UnderWay => self.secret = Secret::UnderWay,
            Secret::Ready(_) | Secret::Wanted(_) | Secret::Idle => {
                if !cx.compute.hands_out() || !DhSecret::supports(group) {
                    return cx.generate(group);
                }
                self.secret = Secret::Wanted(group);
            }
        }
        Err(Pending)
    }

    /// The group of a secret that is to be computed; it counts as being computed from here on.
    pub(crate) fn wanted_secret(&mut self) -> Option<Group> {
        let Secret::Wanted(group) = self.secret else { return None };
        self.secret = Secret::UnderWay;
        Some(group)
    }

    /// The secret is computed.
    pub(crate) fn has_secret(&mut self, secret: Arc<DhSecret>) {
        self.secret = Secret::Ready(secret);
    }

    /// Sends a request that is sealed; `id` is the one that [`Self::take_task`] gave.
    pub(crate) fn send_request(&mut self, id: u32, asked: Asked, mut message: Sealed, cx: &mut Cx<'_>) {
        let back_off = BackOff::start(self.peer.config.retransmit, cx.now, cx.random);
        self.channel.transmit(&mut message, self.path, cx);
        self.requests.sent(InFlight { id, task: asked, message, back_off });
    }

    /// Answers the peer's request, and keeps the answer for its retransmission.
    pub(crate) fn send_response(
        &mut self,
        id: u32,
        exchange: ExchangeType,
        payloads: &[Payload<'_>],
        cx: &mut Cx<'_>,
    ) {
        let message = self.channel.seal_response(exchange, id, payloads, cx);
        self.adopt_response(id, message, cx);
    }

    /// As [`Self::send_response`], for a message that is sealed already.
    pub(crate) fn adopt_response(&mut self, id: u32, mut message: Sealed, cx: &mut Cx<'_>) {
        self.channel.transmit(&mut message, self.path, cx);
        self.responses.answered(id, message);
        self.answer_leaves(cx.now);
    }

    /// Sends the answer to the peer's last request once more.
    pub(crate) fn resend_response(&mut self, cx: &mut Cx<'_>) {
        if let Some(message) = self.responses.last_mut() {
            self.channel.transmit(message, self.path, cx);
            self.answer_leaves(cx.now);
        }
    }

    /// Ends the SA for the operator: its children go at once, and who wants the tunnel may build it anew. What remains
    /// is what the protocol still owes the peer. Where another SA carries the tunnel the children take late packets.
    pub(crate) fn end(&mut self, reason: Failure, cx: &mut Cx<'_>) {
        let was_up = self.state == State::Up;
        if was_up {
            self.children.remove_all(&self.peer, cx);
        } else {
            self.children.delete_all(&self.peer, cx);
        }
        self.linger(cx.now);
        if was_up {
            cx.event(Event::IkeDown { peer: self.peer.id, reason });
        }
    }

    /// Only answers retransmissions from here on. The children stay for the one that takes its place.
    pub(crate) fn linger(&mut self, now: Time) {
        self.state = State::Lingering { until: now + limits::LINGER };
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
        if matches!(self.state, State::Up | State::Candidate { .. }) {
            self.stop();
            self.state = State::Redundant { until };
        }
    }

    /// The peer made it while we rekey its predecessor ourselves.
    pub(crate) fn make_candidate(&mut self, until: Time) {
        self.state = State::Candidate { until };
    }

    /// The peer has confirmed our Delete: only late packets are left to wait for.
    pub(crate) fn deleted(&mut self, cx: &mut Cx<'_>) {
        if self.children.is_empty() {
            self.state = State::Gone;
        } else {
            self.children.delete_all(&self.peer, cx);
            self.linger(cx.now);
        }
    }

    /// Forgets the SA without a word: the peer has lost it, or has confirmed its end.
    pub(crate) fn vanish(&mut self, cx: &mut Cx<'_>) {
        self.children.remove_all(&self.peer, cx);
        if let Some(InFlight { task: Asked::Child(request), .. }) = self.requests.take() {
            cx.esp_spis.release(request.spi_in);
        }
        self.state = State::Gone;
    }

    /// Moves the children and what waits to be done to the SA that takes this one's place (RFC 7296 §2.18), be it the one
    /// that carries the tunnel or one that gives way. What becomes
    /// of this one then is the caller's to say.
    pub(crate) fn hand_over_to(&mut self, successor: &mut Self, cx: &mut Cx<'_>) {
        successor.children = mem::take(&mut self.children);
        successor.childless_since = self.childless_since;
        successor.peer_has_pfs = self.peer_has_pfs;
        successor.reauthenticate_at = self.reauthenticate_at;
        let of_children =
            |task: &Task| matches!(task, Task::DeleteChild(_) | Task::RekeyChild(_) | Task::MakeChild);
        successor.tasks = self.tasks.iter().copied().filter(of_children).collect();
        successor.state = self.state;
        if self.state != State::Up {
            return;
        }
        cx.event(Event::IkeRekeyed {
            peer: self.peer.id,
            suite: successor.suite,
            spi_i: successor.channel.spi_i(),
            spi_r: successor.channel.spi_r(),
            took: cx.now - successor.begun,
        });
    }

    /// The last child is gone. Where we are the one that starts we make another; else [`Self::close`] follows unless the
    /// peer makes one in time: a tunnel needs one.
    pub(crate) fn note_childless(&mut self, reason: Failure, cx: &mut Cx<'_>) {
        let under_way = matches!(self.asked(), Some(Asked::Child(_)));
        let childless = self.children.live().is_none() && !under_way;
        if self.state == State::Up && childless && self.childless_since.is_none() {
            self.childless_since = Some(cx.now);
            cx.event(Event::ChildDown { peer: self.peer.id, reason });
            if self.peer.config.mode == Mode::Initiator {
                self.push_task(Task::MakeChild);
            }
        }
    }

    /// The peer deletes the child that it receives with `spi_out`; gives the SPI of our half, unless our own Delete of it
    /// is in flight (RFC 7296 §1.4.1).
    pub(crate) fn delete_child_by_peer(&mut self, spi_out: u32, cx: &mut Cx<'_>) -> Option<u32> {
        let child = self.children.by_spi_out(spi_out)?;
        child.delete(&self.peer, cx);
        let spi_in = child.terms.spi_in;
        self.tasks.retain(|task| *task != Task::DeleteChild(spi_in));
        let crosses = matches!(self.asked(), Some(Asked::DeleteChild(spi)) if *spi == spi_in);
        (!crosses).then_some(spi_in)
    }

    /// Stops sending with a child and asks the peer to delete it.
    pub(crate) fn close_child(&mut self, spi_in: u32, cx: &mut Cx<'_>) {
        if let Some(child) = self.children.by_spi_in(spi_in).filter(|child| !child.is_deleted()) {
            child.close(&self.peer, cx);
            self.push_task(Task::DeleteChild(spi_in));
        }
    }

    /// The peer has confirmed that a child is deleted, or does not have it any more.
    pub(crate) fn forget_child(&mut self, spi_in: u32, cx: &mut Cx<'_>) {
        if let Some(child) = self.children.by_spi_in(spi_in) {
            child.delete(&self.peer, cx);
        }
    }

    /// The request of ours that is in flight.
    pub(crate) fn asked(&self) -> Option<&Asked> {
        self.requests.in_flight().map(|in_flight| &in_flight.task)
    }

    /// Our request for a child, while it is in flight.
    pub(crate) fn child_request(&mut self) -> Option<&mut ChildRequest> {
        match self.requests.in_flight_mut().map(|in_flight| &mut in_flight.task) {
            Some(Asked::Child(request)) => Some(request),
            _ => None,
        }
    }

    /// Our request for an IKE SA, while it is in flight.
    pub(crate) fn ike_request(&mut self) -> Option<&mut IkeRequest> {
        match self.requests.in_flight_mut().map(|in_flight| &mut in_flight.task) {
            Some(Asked::Ike(request)) => Some(request),
            _ => None,
        }
    }

    /// A rekey is asked for, by the operator or by what the SA has carried. Nothing where one is under way.
    pub(crate) fn rekey_child(&mut self) {
        let spi_in = self.children.live().map(|child| child.terms.spi_in);
        if let (State::Up, Some(spi_in)) = (self.state, spi_in) {
            self.push_task(Task::RekeyChild(spi_in));
        }
    }

    /// As [`Self::rekey_child`], of the IKE SA itself.
    pub(crate) fn rekey_ike(&mut self) {
        if self.state == State::Up && !matches!(self.asked(), Some(Asked::Ike(_))) {
            self.lifetime.stop_rekeying();
            self.push_task(Task::RekeyIke);
        }
    }

    /// The peer wants to see an authentication again within `lifetime` (RFC 4478), if that is not too short to live with.
    pub(crate) fn limit_authentication(&mut self, lifetime: Duration, cx: &mut Cx<'_>) {
        let margin = Margin::of(&self.peer.config);
        let lifetime = lifetime.max(limits::AUTHENTICATION);
        self.reauthenticate_at = Some(Lifetime::start(lifetime, margin, cx.now, cx.random).deadline());
    }

    /// It carries the peer's tunnel.
    pub(crate) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// When it was authenticated, or made by a rekey.
    pub(crate) const fn born(&self) -> Time {
        self.born
    }

    /// Another SA carries the tunnel, or is about to.
    pub(crate) const fn is_redundant(&self) -> bool {
        matches!(self.state, State::Redundant { .. })
    }

    /// It may be forgotten.
    pub(crate) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// It waits until it is clear whether it takes the place of the one that it was made for.
    pub(crate) const fn is_candidate(&self) -> bool {
        matches!(self.state, State::Candidate { .. })
    }

    /// It only answers retransmissions.
    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Lingering { .. } | State::Gone)
    }

    /// Its children carry nothing any more, or not for long.
    pub(crate) fn is_leaving(&self) -> bool {
        self.state == State::Closing || self.is_ended()
    }

    /// How ESP crosses the outer network.
    pub(crate) fn encapsulation(&self) -> Encapsulation {
        match self.peer.config.encapsulation {
            Encapsulation::Auto if self.nat.local || self.nat.remote => Encapsulation::Udp,
            Encapsulation::Auto | Encapsulation::Esp => Encapsulation::Esp,
            Encapsulation::Udp => Encapsulation::Udp,
        }
    }

    /// The child that our request in flight is to replace, while one of the peer's was made for the same place.
    pub(super) fn contended(&self) -> Option<u32> {
        match self.asked() {
            Some(Asked::Child(request)) => request.rival.as_ref().and(request.old),
            _ => None,
        }
    }

    /// Starts nothing any more, and does not send with a child that it has not sent with.
    fn stop(&mut self) {
        self.tasks.clear();
        self.children.stay();
    }
}

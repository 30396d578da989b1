//! The endpoint: every peer and every IKE SA of a gateway behind one drive loop.
//!
//! The caller makes one call that changes something and then drains [`Endpoint::poll_output`] until
//! [`Output::Timeout`]. Time is an argument, randomness is given once, and nothing here blocks.

mod bucket;
mod computed;
mod cookie;
mod counters;
mod establish;
mod first;
mod half_open;
mod parked;
mod receive;
mod succession;
mod table;

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

use self::bucket::Bucket;
use self::cookie::Cookies;
pub use self::counters::Counters;
use self::table::{Slot, Table};
use crate::Time;
use crate::config::{PeerConfig, PeerId};
use crate::crypto::Random;
use crate::error::Failure;
use crate::event::{Event, Output};
use crate::exchange::established;
use crate::limits;
use crate::sa::child_sa::EspSpis;
use crate::sa::compute::Compute;
use crate::sa::ike_sa::IkeSa;
use crate::sa::{Cx, Path};
use crate::timer::Timers;

/// All peers and their IKE SAs.
pub struct Endpoint {
    table: Table,
    timers: Timers<u64>,
    means: Means,
    cookies: Cookies,
    /// What may be refused in the clear, whoever asks.
    refusals: Bucket,
    counters: Counters,
}

/// What every step may use.
struct Means {
    random: Box<dyn Random>,
    outputs: VecDeque<Output>,
    esp_spis: EspSpis,
    compute: Compute,
    /// What the wall clock showed at [`Time::ZERO`], since 1970.
    wall_clock: Duration,
    reveals_keys: bool,
}

impl Means {
    fn cx(&mut self, now: Time) -> Cx<'_> {
        let Self { random, outputs, esp_spis, compute, reveals_keys, .. } = self;
        Cx { now, came: now, random: &mut **random, outputs, esp_spis, compute, reveals_keys: *reveals_keys }
    }

    /// The time since 1970.
    const fn unix(&self, now: Time) -> Duration {
        self.wall_clock.saturating_add(now.since_epoch())
    }
}

impl Endpoint {
    /// An endpoint without peers. All nonces, SPIs and secrets come from `random`.
    pub fn new(random: Box<dyn Random>) -> Self {
        Self {
            table: Table::default(),
            timers: Timers::new(),
            means: Means {
                random,
                outputs: VecDeque::new(),
                esp_spis: EspSpis::default(),
                compute: Compute::default(),
                wall_clock: Duration::ZERO,
                reveals_keys: false,
            },
            cookies: Cookies::default(),
            refusals: Bucket::new(limits::REFUSALS, limits::REFUSAL_INTERVAL),
            counters: Counters::default(),
        }
    }

    /// Says what the wall clock shows, since 1970: the validity of certificates is of its time, and of nothing else here.
    /// To be called again whenever the clock may have been set. Before it is, no certificate is valid.
    pub const fn set_wall_clock(&mut self, now: Time, unix: Duration) {
        self.means.wall_clock = unix.saturating_sub(now.since_epoch());
    }

    /// Whether the keys of IKE SAs made from here on are handed out as [`Output::Keys`], for a person who decrypts a
    /// capture. Without this call no key of an IKE SA leaves the endpoint.
    pub const fn reveal_keys(&mut self, reveal: bool) {
        self.means.reveals_keys = reveal;
    }

    /// Adds a peer, or replaces its configuration. The SAs it has live on as they were negotiated: who wants the new
    /// configuration at once calls [`Self::terminate`] and [`Self::initiate`].
    pub fn add_peer(&mut self, id: PeerId, config: PeerConfig) {
        self.table.add_peer(id, config);
    }

    /// Forgets a peer: its SAs are deleted, with a Delete to the peer.
    pub fn remove_peer(&mut self, now: Time, id: PeerId) {
        self.terminate(now, id);
        self.table.remove_peer(id);
    }

    /// Makes one attempt to bring up the peer's tunnel; nothing where an IKE SA is up or being made.
    ///
    /// The result comes as [`Event::IkeUp`] and [`Event::ChildUp`], or as [`Event::Failed`]. An IKE SA whose child is
    /// refused is deleted again: a tunnel needs both.
    pub fn initiate(&mut self, now: Time, id: PeerId) {
        if self.table.current(id).is_some() || self.table.attempt(id).is_some() {
            return;
        }
        self.attempt(now, id);
    }

    /// Deletes the peer's SAs, with a Delete to the peer, and reports [`Event::IkeDown`] if it was up. An attempt under
    /// way ends without a word.
    pub fn terminate(&mut self, now: Time, id: PeerId) {
        for spi in self.table.spis_of(id) {
            let mut cx = self.means.cx(now);
            match self.table.slot(spi) {
                Some(Slot::Established(sa)) => {
                    sa.close(Failure::Administrative, &mut cx);
                    established::send_next(sa, &mut cx);
                    self.settle(now, spi);
                }
                Some(Slot::Starting(_) | Slot::InitSent(_) | Slot::AuthSent(_)) => self.abandon(spi),
                Some(Slot::Answering(_) | Slot::HalfOpen(_)) | None => {}
            }
        }
    }

    /// Asks the peer at once whether it lives (RFC 7296 §2.4); its answer comes as [`Event::Alive`], its silence as
    /// [`Event::IkeDown`] after the retransmissions. Nothing where no IKE SA is up.
    pub fn check_liveness(&mut self, now: Time, id: PeerId) {
        self.ask_current(now, id, IkeSa::question);
    }

    /// Makes one attempt to bring up another IKE SA beside the one that is up, as if that were gone: what the peer answers
    /// first decides which of the two lives. Nothing where an attempt is under way.
    ///
    /// For a peer that may have lost its state: it answers nothing under the old SA, and what is asked of that takes its
    /// time to fail. A peer that is up keeps the newer of the two.
    pub fn replace(&mut self, now: Time, id: PeerId) {
        if self.table.attempt(id).is_none() {
            self.attempt(now, id);
        }
    }

    /// Authentic ESP of the peer was seen: no liveness check is needed for a while (RFC 7296 §2.4).
    pub fn traffic_seen(&mut self, now: Time, id: PeerId) {
        if let Some(sa) = self.table.current(id).and_then(|spi| self.table.established(spi)) {
            // Its timer may come too early for that, finds nothing to do, and is set anew.
            sa.traffic_seen(now);
        }
    }

    /// ESP was sent to the peer: no NAT keepalive is needed for a while (RFC 3948 §4).
    pub fn traffic_sent(&mut self, now: Time, id: PeerId) {
        if let Some(sa) = self.table.current(id).and_then(|spi| self.table.established(spi)) {
            sa.traffic_sent(now);
        }
    }

    /// Takes a datagram from UDP port 500, or from 4500 without its non-ESP marker (RFC 3948 §2.2).
    pub fn handle_datagram(&mut self, now: Time, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) {
        if let Err(refusal) = self.receive(now, Path { local, remote }, datagram) {
            self.counters.count(refusal);
        }
    }

    /// Does what is due. To be called at the time of [`Output::Timeout`]; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(spi) = self.timers.take_due(now) {
            let mut cx = self.means.cx(now);
            let over = match self.table.slot(spi) {
                Some(Slot::InitSent(sent)) => sent.handle_timeout(&mut cx).err().map(|f| (sent.peer.id, f)),
                Some(Slot::AuthSent(sent)) => sent.handle_timeout(&mut cx).err().map(|f| (sent.peer.id, f)),
                Some(Slot::HalfOpen(half_open)) => {
                    if !half_open.handle_timeout(now) {
                        self.table.remove(spi);
                    }
                    None
                }
                Some(Slot::Established(sa)) => {
                    let outcome = established::handle_timeout(sa, &mut cx);
                    self.follow(now, spi, outcome);
                    None
                }
                Some(Slot::Answering(answering)) => {
                    if answering.until <= now {
                        self.table.remove(spi);
                    }
                    None
                }
                Some(Slot::Starting(_)) | None => None,
            };
            if let Some((peer, reason)) = over {
                self.means.cx(now).event(Event::Failed { peer, reason });
                self.abandon(spi);
            }
            self.settle(now, spi);
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Output {
        self.means.outputs.pop_front().unwrap_or_else(|| Output::Timeout { at: self.timers.next() })
    }

    /// True when no state is left of any IKE SA.
    pub fn is_idle(&self) -> bool {
        self.table.is_empty()
    }

    /// How many IKE SAs have state, those included that are half open or ended.
    pub fn ike_sas(&self) -> usize {
        self.table.slots().count()
    }

    /// True when no peer has to be told anything more, and no Delete awaits its answer: a gateway that ends may exit.
    ///
    /// An IKE SA that has ended may still be kept, to answer a request again; one of a peer that has yet to authenticate
    /// is the peer's affair.
    pub fn has_told_all(&self) -> bool {
        self.table.slots().all(Slot::is_over)
    }

    /// Datagrams of which nothing came, by reason.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Forgets an attempt of ours.
    fn abandon(&mut self, spi: u64) {
        if let Some(Slot::AuthSent(sent)) = self.table.slot(spi) {
            self.means.esp_spis.release(sent.spi_in);
        }
        self.table.remove(spi);
        self.timers.set(spi, None);
    }

    /// After a change of an SA: forgets it, or sets its timer.
    fn settle(&mut self, now: Time, spi: u64) {
        self.relieve(now, spi);
        if self.table.established(spi).is_some_and(|sa| sa.is_gone()) {
            self.table.remove(spi);
        }
        self.provide_secret(spi);
        let deadline = self.table.slot(spi).and_then(|slot| slot.deadline());
        // Nothing is due twice at the same time, whatever its state: the loop over what is due ends.
        self.timers.set(spi, deadline.map(|at| at.max(now + TICK)));
    }

    /// An SA that may have carried packets until the one in use was proven does so no longer.
    fn relieve(&mut self, now: Time, spi: u64) {
        let Some(sa) = self.table.established(spi).filter(|sa| sa.is_leaving()) else { return };
        let peer = sa.peer.id;
        if self.table.has_replaced_child(peer) {
            return;
        }
        if let Some(sa) = self.table.current(peer).and_then(|spi| self.table.established(spi)) {
            sa.take_proof(&mut self.means.cx(now));
        }
    }

    /// Tells the operator of a failure that anybody could have caused: not while the tunnel is up or our own attempt is
    /// under way, and at a bounded rate.
    fn report(&mut self, now: Time, peer: PeerId, reason: Failure, interval: Duration) {
        if self.table.current(peer).is_some() || self.table.attempt(peer).is_some() {
            return;
        }
        let Some(entry) = self.table.peer_entry(peer) else { return };
        if entry.reported.is_some_and(|at| now - at < interval) {
            return;
        }
        entry.reported = Some(now);
        self.means.cx(now).event(Event::Failed { peer, reason });
    }
}

const TICK: Duration = Duration::from_millis(1);

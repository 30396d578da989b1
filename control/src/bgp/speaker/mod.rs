//! The speaker: a session with the peer of each tunnel, what they announce in one table, and what they are offered.
//!
//! Pure: the driver tells of tunnels, TCP connections and time, carries out the [`Output`]s in their order, and asks
//! [`Speaker::settle`] which prefixes changed their tunnels. A session lives on its tunnel and dies with it at once.

mod muffle;
mod offer;
mod output;
mod session;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gotthard_ike::Time;
use gotthard_ike::timer::Timers;
use ipnet::IpNet;

pub use self::output::{Notice, Output};
use self::session::{Desk, Session};
pub use self::session::{Refused, View};
pub use self::settings::{NextHops, Settings};
use super::best_path::{Choice, Through};
use super::fsm::{ConnectionId, Peer, Stop};
use super::guard::Site;
use super::policy::Rank;
use super::rib::{Change, Rib};
use super::route::Path;

/// All sessions. `K` names a tunnel.
#[derive(Debug)]
pub struct Speaker<K> {
    sessions: BTreeMap<K, Session>,
    /// When each session wants to be polled.
    timers: Timers<K>,
    /// Sessions through which routes lead since they were last asked for, or no longer.
    turned: BTreeSet<K>,
    rib: Rib<K>,
    site: Site,
    /// Prefixes that we offer where the policy of a session permits.
    offer: Vec<IpNet>,
    outputs: VecDeque<(K, Output)>,
}

impl<K: Copy + Ord> Speaker<K> {
    /// A speaker without sessions.
    pub fn new() -> Self {
        Self {
            sessions: BTreeMap::new(),
            timers: Timers::new(),
            turned: BTreeSet::new(),
            rib: Rib::new(),
            site: Site::default(),
            offer: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes what of our own is kept from peers, and what is offered to them. What changed is announced and withdrawn; what
    /// was taken before and is refused by now goes.
    pub fn set_site(&mut self, now: Time, site: Site, offer: Vec<IpNet>) {
        if (&self.site, &self.offer) == (&site, &offer) {
            return;
        }
        (self.site, self.offer) = (site, offer);
        let tunnels: Vec<K> = self.sessions.keys().copied().collect();
        for tunnel in tunnels {
            self.within(now, tunnel, |session, desk| {
                session.judge_again(now, desk);
                session.offer(now, desk);
            });
        }
    }

    /// Describes the session of a tunnel. One that must be made anew for it is ended and begun again; another policy alone
    /// ends none. `seed` makes the waits of a new session its own.
    pub fn set_session(&mut self, now: Time, tunnel: K, settings: Settings, seed: u64) {
        match self.sessions.get_mut(&tunnel) {
            Some(session) if session.is_like(&settings) => {
                self.within(now, tunnel, |session, desk| session.set_policy(now, settings, desk));
            }
            Some(session) => {
                let runs = session.runs();
                self.remove(now, tunnel);
                self.sessions.insert(tunnel, Session::new(settings, seed));
                if runs {
                    self.start(now, tunnel);
                }
            }
            None => drop(self.sessions.insert(tunnel, Session::new(settings, seed))),
        }
    }

    /// Ends the session of a tunnel that is gone from the configuration, and forgets it.
    pub fn remove(&mut self, now: Time, tunnel: K) {
        self.stop(now, tunnel, &Stop::Deconfigured);
        self.sessions.remove(&tunnel);
        self.timers.set(tunnel, None);
    }

    /// The tunnel is up: the session is wanted.
    pub fn start(&mut self, now: Time, tunnel: K) {
        self.within(now, tunnel, |session, _| session.start(now));
    }

    /// The tunnel is down, or the session is not wanted: it ends at once, and its routes go.
    pub fn stop(&mut self, now: Time, tunnel: K, why: &Stop) {
        self.within(now, tunnel, |session, _| session.stop(now, why));
    }

    /// How the peer is asked to see a tunnel beside the connection's others.
    pub fn set_rank(&mut self, now: Time, tunnel: K, rank: Rank) {
        self.within(now, tunnel, |session, desk| session.set_rank(now, rank, desk));
    }

    /// The TCP connection that was asked for is there.
    pub fn connected(&mut self, now: Time, tunnel: K, id: ConnectionId) {
        self.with_peer(now, tunnel, |peer| peer.connected(now, id));
    }

    /// The peer has opened a TCP connection; the outputs say whether it stays. `None`: the tunnel has no session.
    pub fn accepted(&mut self, now: Time, tunnel: K) -> Option<ConnectionId> {
        let mut id = None;
        self.with_peer(now, tunnel, |peer| id = Some(peer.accepted(now)));
        id
    }

    /// A TCP connection, or an attempt at one, has failed or was closed by the peer.
    pub fn closed(&mut self, now: Time, tunnel: K, id: ConnectionId) {
        self.with_peer(now, tunnel, |peer| peer.closed(now, id));
    }

    /// Octets have arrived.
    pub fn received(&mut self, now: Time, tunnel: K, id: ConnectionId, octets: &[u8]) {
        self.with_peer(now, tunnel, |peer| peer.received(now, id, octets));
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Time) {
        let due: Vec<K> = core::iter::from_fn(|| self.timers.take_due(now)).collect();
        for tunnel in due {
            self.within(now, tunnel, |session, _| session.poll(now));
        }
    }

    /// When [`Self::poll`] is due.
    pub fn next(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The tunnels whose [`View::carries`] has changed since this was last asked.
    pub fn take_turned(&mut self) -> BTreeSet<K> {
        core::mem::take(&mut self.turned)
    }

    /// What the driver is to do next, and for which tunnel.
    pub fn poll_output(&mut self) -> Option<(K, Output)> {
        self.outputs.pop_front()
    }

    /// The standing of a tunnel changed: [`Self::settle`] decides every prefix anew.
    pub fn touch_all(&mut self) {
        self.rib.touch_all();
    }

    /// Whether [`Self::settle`] has something to decide.
    pub fn is_touched(&self) -> bool {
        self.rib.is_touched()
    }

    /// Decides every prefix that was touched; returns those whose tunnels changed.
    pub fn settle(&mut self, through: impl Fn(K) -> Option<Through>) -> Vec<Change<K>> {
        self.rib.settle(through)
    }

    /// The session of a tunnel, as the operator sees it.
    pub fn session(&self, tunnel: K) -> Option<View<'_>> {
        self.sessions.get(&tunnel).map(Session::view)
    }

    /// Every prefix that was taken, in order, with each tunnel's path and local preference.
    pub fn routes(&self) -> impl Iterator<Item = (IpNet, K, u32, &Path)> {
        self.rib.routes()
    }

    /// How a prefix is decided at this moment, for the operator.
    pub fn explain(&self, prefix: &IpNet, through: impl Fn(K) -> Option<Through>) -> Option<Choice<K>> {
        self.rib.explain(prefix, through)
    }

    /// Prefixes that the peer of a tunnel announced and that were not taken, the first of them.
    pub fn refused(&self, tunnel: K) -> impl Iterator<Item = Refused<'_>> {
        self.sessions.get(&tunnel).into_iter().flat_map(Session::refused)
    }

    fn with_peer(&mut self, now: Time, tunnel: K, change: impl FnOnce(&mut Peer)) {
        self.within(now, tunnel, |session, _| change(session.peer()));
    }

    /// Changes a session, and takes what it tells.
    fn within(&mut self, now: Time, tunnel: K, change: impl FnOnce(&mut Session, &mut Desk<'_, K>)) {
        let Self { sessions, timers, turned, rib, site, offer, outputs } = self;
        let Some(session) = sessions.get_mut(&tunnel) else { return };
        let carried = session.view().carries();
        let mut desk = Desk { tunnel, rib, site, offer, outputs };
        change(session, &mut desk);
        session.drain(now, &mut desk);
        timers.set(tunnel, session.next());
        if session.view().carries() != carried {
            turned.insert(tunnel);
        }
    }
}

impl<K: Copy + Ord> Default for Speaker<K> {
    fn default() -> Self {
        Self::new()
    }
}

//! One session: the peer's routes through policy and guards into the table, its bound, and its place on the tunnel.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gotthard_ike::Time;
use ipnet::IpNet;

use super::muffle::Muffle;
use super::offer::Offered;
use super::output::{Notice, Output};
use super::settings::Settings;
use crate::bgp::codec::{Families, Family, Update};
use crate::bgp::failure::Failure;
use crate::bgp::fsm::{self, Peer, State, Stop};
use crate::bgp::guard::Site;
use crate::bgp::policy::Rank;
use crate::bgp::quota::{Admission, Quota};
use crate::bgp::refusal::Refusal;
use crate::bgp::rib::Rib;
use crate::bgp::route::Route;

/// The session of one tunnel.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) peer: Peer,
    quota: Quota,
    /// The tunnel is up and the session wanted.
    wanted: bool,
    /// It was torn down for its prefixes, until then.
    barred: Option<Time>,
    pub(super) offered: Offered,
    pub(super) rank: Rank,
    /// What was not taken; [`MOST_REFUSED`] at most.
    refused: BTreeMap<IpNet, Refusal>,
    /// Why it does not come up, as it was last told.
    told: Option<Failure>,
    refusals: Muffle,
    flaws: Muffle,
    pub(super) withheld: Muffle,
}

/// What a session works on: the parts of the speaker that all sessions share.
pub(super) struct Desk<'d, K> {
    pub(super) tunnel: K,
    pub(super) rib: &'d mut Rib<K>,
    pub(super) site: &'d Site,
    pub(super) offer: &'d [IpNet],
    pub(super) outputs: &'d mut VecDeque<(K, Output)>,
}

/// A prefix that was not taken from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'s> {
    /// Which.
    pub prefix: IpNet,
    /// Why.
    pub refusal: &'s Refusal,
}

/// A session as the operator sees it.
#[derive(Clone, Copy, Debug)]
pub struct View<'s> {
    /// How far it is.
    pub state: State,
    /// The peer's AS number.
    pub peer_asn: u32,
    /// Prefixes that are taken from the peer, or kept while it restarts.
    pub received: usize,
    /// Prefixes that the peer was told.
    pub sent: usize,
    /// Silence after which the peer is lost, as agreed; `None`: there is no session, or it lasts for ever.
    pub hold_time: Option<Duration>,
    /// Since when it is established; `None`: it is not.
    pub since: Option<Time>,
    /// The peer's routes are kept while it restarts.
    pub keeps_routes: bool,
    /// Why it is not established.
    pub failure: Option<&'s Failure>,
}

impl View<'_> {
    /// Routes lead through its tunnel: it is established, or its routes are kept while the peer restarts.
    pub fn carries(&self) -> bool {
        self.state == State::Established || self.keeps_routes
    }
}

impl<K: Copy> Desk<'_, K> {
    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back((self.tunnel, output));
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.output(Output::Notice(notice));
    }
}

impl Session {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        Self {
            peer: Peer::new(settings.config, seed),
            quota: Quota::new(settings.max_prefixes, settings.excess),
            settings,
            wanted: false,
            barred: None,
            offered: Offered::default(),
            rank: Rank::Equal,
            refused: BTreeMap::new(),
            told: None,
            refusals: Muffle::default(),
            flaws: Muffle::default(),
            withheld: Muffle::default(),
        }
    }

    /// Whether it can go on with these settings.
    pub(super) fn is_like(&self, settings: &Settings) -> bool {
        // Our identifier follows from the tunnels of the configuration; a session that has one keeps it.
        let config = fsm::Config { identifier: self.settings.config.identifier, ..settings.config };
        config == self.settings.config && settings.neighbour == self.settings.neighbour
    }

    pub(super) fn set_policy<K: Copy + Ord>(
        &mut self,
        now: Time,
        settings: Settings,
        desk: &mut Desk<'_, K>,
    ) {
        let settings = Settings { config: self.settings.config, ..settings };
        if settings == self.settings {
            return;
        }
        if (settings.max_prefixes, settings.excess) != (self.settings.max_prefixes, self.settings.excess) {
            self.quota.set_limit(settings.max_prefixes, settings.excess);
            self.unbar(now);
        }
        self.settings = settings;
        self.judge_again(now, desk);
        self.offer(now, desk);
    }

    pub(super) fn start(&mut self, now: Time) {
        self.wanted = true;
        if self.barred.is_none() {
            self.peer.start(now);
        }
    }

    pub(super) fn stop(&mut self, now: Time, why: &Stop) {
        if core::mem::take(&mut self.wanted) {
            self.told = None;
            if matches!(why, Stop::Shutdown(_)) {
                // The operator's next `up` is not to wait.
                self.barred = None;
            }
            self.peer.stop(now, why);
        }
    }

    pub(super) const fn runs(&self) -> bool {
        self.wanted
    }

    pub(super) const fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    pub(super) fn poll(&mut self, now: Time) {
        if self.barred.is_some_and(|until| until <= now) {
            self.unbar(now);
        }
        self.peer.poll(now);
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.peer.next().into_iter().chain(self.barred).min()
    }

    pub(super) fn set_rank<K: Copy + Ord>(&mut self, now: Time, rank: Rank, desk: &mut Desk<'_, K>) {
        if self.rank != rank {
            self.rank = rank;
            self.offer(now, desk);
        }
    }

    /// Judges what is taken by a new policy, and asks for what that may permit and the old one did not.
    pub(super) fn judge_again<K: Copy + Ord>(&mut self, now: Time, desk: &mut Desk<'_, K>) {
        self.refused.clear();
        for route in desk.rib.routes_of(desk.tunnel) {
            self.announce(now, route, desk);
        }
        for family in Family::ALL {
            self.peer.refresh(now, family);
        }
    }

    /// Takes what the peer's state machine tells.
    pub(super) fn drain<K: Copy + Ord>(&mut self, now: Time, desk: &mut Desk<'_, K>) {
        let mut asked = Families::NONE;
        loop {
            match self.peer.poll_output() {
                Some(fsm::Output::Connect(id)) => desk.output(Output::Connect(id)),
                Some(fsm::Output::Send(id, octets)) => desk.output(Output::Send(id, octets)),
                Some(fsm::Output::Close(id)) => desk.output(Output::Close(id)),
                Some(fsm::Output::Up(terms)) => self.up(now, terms.hold_time, desk),
                Some(fsm::Output::Down(failure, kept)) => self.down(failure, kept, desk),
                Some(fsm::Output::Failed(failure)) => self.failed(failure, desk),
                Some(fsm::Output::Routes(update)) => self.update(now, update, desk),
                Some(fsm::Output::Refresh(family)) => asked.insert(family),
                Some(fsm::Output::Flush(family)) => self.flush(family, desk),
                // A peer that asks a hundred times at once is answered once.
                None => match asked.iter().next() {
                    Some(family) => {
                        asked.remove(family);
                        self.offer_again(now, family);
                    }
                    None => break,
                },
            }
        }
    }

    pub(super) fn refused(&self) -> impl Iterator<Item = Refused<'_>> {
        self.refused.iter().map(|(prefix, refusal)| Refused { prefix: *prefix, refusal })
    }

    pub(super) fn view(&self) -> View<'_> {
        let terms = self.peer.negotiated();
        View {
            state: self.peer.state(),
            peer_asn: self.settings.config.peer_asn,
            received: self.quota.len(),
            sent: self.offered.len(),
            hold_time: terms.and_then(|terms| terms.hold_time),
            since: terms.map(|_| self.peer.since()),
            keeps_routes: self.peer.keeps_routes(),
            failure: self.peer.failure(),
        }
    }

    /// A session that was torn down for its prefixes may come again.
    fn unbar(&mut self, now: Time) {
        if self.barred.take().is_some() && self.wanted {
            self.peer.start(now);
        }
    }

    fn up<K: Copy + Ord>(&mut self, now: Time, hold_time: Option<Duration>, desk: &mut Desk<'_, K>) {
        self.quota.begin(now);
        self.refused.clear();
        self.told = None;
        desk.notice(Notice::Up { hold_time });
        self.offer_all(now, desk);
    }

    fn down<K: Copy + Ord>(&mut self, failure: Failure, kept: Families, desk: &mut Desk<'_, K>) {
        self.offered = Offered::default();
        self.quota.retain(|prefix| kept.contains(Family::of(prefix)));
        desk.rib.restart(desk.tunnel, kept);
        desk.notice(Notice::Down { failure, kept: !kept.is_empty() });
    }

    /// What is left of a family from before the peer's restart goes: with a session because the peer did not tell it again,
    /// and its prefixes are counted anew; else because the peer has not come back.
    fn flush<K: Copy + Ord>(&mut self, family: Family, desk: &mut Desk<'_, K>) {
        if self.peer.negotiated().is_some() {
            desk.rib.sweep(desk.tunnel, family);
        } else {
            self.quota.retain(|prefix| Family::of(prefix) != family);
            desk.rib.restart(desk.tunnel, Families::ALL.without(Families::from_iter([family])));
        }
    }

    fn failed<K: Copy>(&mut self, failure: Failure, desk: &mut Desk<'_, K>) {
        if self.told.as_ref() != Some(&failure) {
            self.told = Some(failure.clone());
            desk.notice(Notice::Failed(failure));
        }
    }

    fn update<K: Copy + Ord>(&mut self, now: Time, update: Update, desk: &mut Desk<'_, K>) {
        // What had arrived when it was torn down is not held against the peer once more.
        if self.barred.is_some() {
            return;
        }
        if let Some(flaw) = update.flaws.first().copied()
            && let Some(untold) = self.flaws.say(now)
        {
            desk.notice(Notice::Flawed { flaw, untold });
        }
        for prefix in update.withdrawn {
            self.refused.remove(&prefix);
            self.withdraw(now, prefix, desk);
        }
        for route in update.announced {
            self.announce(now, route, desk);
            if self.barred.is_some() {
                break;
            }
        }
    }

    fn announce<K: Copy + Ord>(&mut self, now: Time, route: Route, desk: &mut Desk<'_, K>) {
        let prefix = route.prefix;
        let admitted = self.settings.import.admit(desk.site, &self.settings.neighbour, &route);
        let refusal = match admitted {
            Err(refusal) => refusal,
            Ok(local_pref) => match self.quota.announce(now, prefix) {
                Admission::Taken => {
                    self.refused.remove(&prefix);
                    return desk.rib.announce(desk.tunnel, route, local_pref);
                }
                Admission::Refused => Refusal::TooMany(self.quota.limit()),
                Admission::TearDown { wait } => {
                    self.barred = Some(now + wait);
                    return self.peer.stop(now, &Stop::Limit);
                }
            },
        };
        self.withdraw(now, prefix, desk);
        if let Some(untold) = self.refusals.say(now) {
            desk.notice(Notice::Refused { prefix, refusal: refusal.clone(), untold });
        }
        if self.refused.len() < MOST_REFUSED || self.refused.contains_key(&prefix) {
            self.refused.insert(prefix, refusal);
        }
    }

    fn withdraw<K: Copy + Ord>(&mut self, now: Time, prefix: IpNet, desk: &mut Desk<'_, K>) {
        desk.rib.withdraw(desk.tunnel, prefix);
        if self.quota.withdraw(&prefix) {
            self.peer.refresh(now, Family::of(prefix));
        }
    }
}

/// Prefixes of one peer that are remembered as refused, for the operator.
const MOST_REFUSED: usize = 256;

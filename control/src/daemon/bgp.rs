//! The BGP sessions of the tunnels: described by the configuration, begun and ended with their tunnels, and what their
//! peers announce turned into what is routed.

pub(super) mod lost;
mod notices;
pub(super) mod settings;

use core::time::Duration;
use std::collections::{BTreeMap, HashSet};

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use ipnet::IpNet;

use self::lost::Lost;
use super::gateway::Gateway;
use super::hooks::session_event;
use super::record::{Record, names};
use super::switching::Switch;
use crate::bgp::best_path::Through;
use crate::bgp::fsm::Stop;
use crate::bgp::policy::Rank;
use crate::bgp::rib::{Change, Fate};
use crate::bgp::speaker::{Output, Settings, Speaker};
use crate::bgp_driver::{Arrival, BgpDriver, Ends};
use crate::config::model::Routing;
use crate::failover::decision::State;
use crate::failover::facts::{Link, Session, Wish};

/// The sessions, their connections, and what they have come to.
pub(super) struct Bgp {
    pub(super) speaker: Speaker<PeerId>,
    pub(super) driver: BgpDriver<PeerId>,
    /// The prefixes of the peers, and the tunnels that carry each; none: packets are refused.
    pub(super) learned: BTreeMap<IpNet, Vec<PeerId>>,
    /// Those among them that no peer announces at the moment.
    pub(super) lost: Lost,
    /// What the sockets of each session are to be.
    ends: BTreeMap<PeerId, Ends>,
    /// How each tunnel stood when the prefixes were last decided.
    standings: BTreeMap<PeerId, Through>,
    /// Prefixes have changed their tunnels, and the kernel does not know.
    moved: bool,
    /// When it may be told again.
    paced: Time,
}

impl Bgp {
    pub(super) fn new() -> Self {
        Self {
            speaker: Speaker::new(),
            driver: BgpDriver::new(),
            learned: BTreeMap::new(),
            lost: Lost::default(),
            ends: BTreeMap::new(),
            standings: BTreeMap::new(),
            moved: false,
            paced: Time::ZERO,
        }
    }

    /// When something is due beside what happens.
    pub(super) fn next(&self) -> Option<Time> {
        self.speaker.next().into_iter().chain(self.moved.then_some(self.paced)).min()
    }

    /// Decides the prefixes that changed.
    fn decide(&mut self, records: &BTreeMap<PeerId, Record>) {
        let Self { speaker, learned, lost, standings, moved, .. } = self;
        for Change { prefix, used, fate } in speaker.settle(|tunnel| standings.get(&tunnel).copied()) {
            *moved = true;
            lost.forget(&prefix);
            let stays = match fate {
                Fate::Announced => true,
                Fate::Withdrawn => false,
                Fate::Lost(tunnel) => {
                    records.get(&tunnel).is_some_and(|record| lost.hold(prefix, record.names()))
                }
            };
            if stays {
                learned.insert(prefix, used);
            } else {
                learned.remove(&prefix);
            }
        }
    }

    /// Whether the peer of a tunnel has had the time to tell all its prefixes in this session.
    fn has_told(&self, tunnel: PeerId, now: Time) -> bool {
        let since = self.speaker.session(tunnel).and_then(|session| session.since);
        since.is_some_and(|since| now.saturating_since(since) >= RELEARN)
    }
}

impl Gateway {
    /// Takes what the configuration says of BGP. Sessions that it describes as before go on.
    pub(super) fn configure_bgp(&mut self) {
        let now = self.clock.now();
        let config = &self.config;
        let ids: BTreeMap<_, _> = self.records.values().map(|record| (record.names(), record.id)).collect();
        let session = |(connection, tunnel)| {
            let id = *ids.get(&names(connection, tunnel))?;
            Some((id, settings::session(config, connection, tunnel)?))
        };
        let described: Vec<(PeerId, Settings)> = config.tunnels().filter_map(session).collect();
        let ends = |(connection, tunnel)| {
            Some((*ids.get(&names(connection, tunnel))?, settings::ends(connection, tunnel)?))
        };
        let ends: BTreeMap<PeerId, Ends> = config.tunnels().filter_map(ends).collect();
        self.protect_own_networks();
        for id in self.bgp.ends.iter().filter(|(id, old)| ends.get(id) != Some(old)).map(|(id, _)| *id) {
            // Its sockets must be made anew.
            self.bgp.speaker.remove(now, id);
            self.bgp.driver.leave(id);
        }
        self.bgp.ends = ends;
        for (id, settings) in described {
            self.bgp.speaker.set_session(now, id, settings, u64::from(id.0));
        }
    }

    /// Tells the peers of tunnels that are about to go down, while these still carry it.
    pub(super) async fn end_sessions(&mut self, tunnels: &[PeerId]) {
        let now = self.clock.now();
        for id in tunnels {
            self.bgp.speaker.stop(now, *id, &Stop::Shutdown("the tunnel is taken down".to_owned()));
        }
        self.carry_out_bgp();
        self.bgp.driver.flush(tunnels).await;
    }

    /// Ends the sessions of tunnels that the configuration describes no longer, or otherwise.
    pub(super) async fn forget_sessions(&mut self, tunnels: &[PeerId]) {
        let now = self.clock.now();
        for id in tunnels {
            self.bgp.speaker.remove(now, *id);
        }
        // As long as the tunnels have their names.
        self.bgp.decide(&self.records);
        self.carry_out_bgp();
        self.bgp.driver.flush(tunnels).await;
        for id in tunnels {
            self.bgp.driver.leave(*id);
        }
    }

    /// Takes what happened to a TCP connection; [`Self::settle_bgp`] must follow.
    pub(super) fn bgp_arrived(&mut self, arrival: Arrival<PeerId>) {
        let now = self.clock.now();
        let Bgp { speaker, driver, .. } = &mut self.bgp;
        match arrival {
            Arrival::Connected(tunnel, id) => speaker.connected(now, tunnel, id),
            Arrival::Received(tunnel, id, octets) => speaker.received(now, tunnel, id, &octets),
            Arrival::Closed(tunnel, id) => speaker.closed(now, tunnel, id),
            Arrival::Accepted(tunnel, accepted) => {
                if let Some(id) = speaker.accepted(now, tunnel) {
                    driver.adopt(tunnel, id, accepted);
                }
            }
        }
    }

    /// Does what is due, and with `tunnels_changed` begins and ends sessions with their tunnels. Where that concerns the
    /// traffic, a decision is due.
    pub(super) fn settle_bgp(&mut self, tunnels_changed: bool) {
        let now = self.clock.now();
        if tunnels_changed {
            self.follow_tunnels(now);
        }
        self.bgp.speaker.poll(now);
        self.carry_out_bgp();
        for id in self.bgp.speaker.take_turned() {
            let Some(record) = self.records.get_mut(&id) else { continue };
            let Some(session) = self.bgp.speaker.session(id) else { continue };
            let state = if session.carries() { Session::Up } else { Session::Down };
            self.unsettled |= core::mem::replace(&mut record.bgp, state) != state;
        }
        self.bgp.decide(&self.records);
        self.unsettled |= self.bgp.moved && self.bgp.paced <= now;
    }

    /// Decides the prefixes that changed, or all of them where a tunnel stands otherwise than before, for the routes that
    /// are about to be made.
    pub(super) fn decide_prefixes(&mut self) {
        let standing = |id: &PeerId| Some((*id, self.switch.through(*id)?));
        let standings: BTreeMap<PeerId, Through> = self.records.keys().filter_map(standing).collect();
        if self.bgp.standings != standings {
            self.bgp.standings = standings;
            self.bgp.speaker.touch_all();
        }
        self.bgp.decide(&self.records);
        self.bgp.moved = false;
        self.bgp.paced = self.clock.now() + PACE;
    }

    /// Once in a while: lets go of prefixes that were lost and have not come again, or whose tunnel is configured no longer.
    pub(super) fn release_lost(&mut self) {
        if self.bgp.lost.is_empty() {
            return;
        }
        let now = self.clock.now();
        let Self { records, bgp, .. } = self;
        let mut lost = core::mem::take(&mut bgp.lost);
        let waits = |record: &&Record| bgp.ends.contains_key(&record.id) && !bgp.has_told(record.id, now);
        let waiting: HashSet<_> = records.values().filter(waits).map(Record::names).collect();
        for prefix in lost.release(|origin| !waiting.contains(&origin)) {
            bgp.learned.remove(&prefix);
            self.unsettled = true;
        }
        bgp.lost = lost;
    }

    /// Peers that speak BGP may not have told again what a daemon before us had learnt of them: each connection waits for
    /// one of its tunnels.
    pub(super) fn waits_for_peers(&self) -> bool {
        let now = self.clock.now();
        let told = self.records.values().filter(|record| self.bgp.has_told(record.id, now));
        let told: HashSet<&str> = told.map(|record| record.connection.name.as_str()).collect();
        let mut speaking = self.config.connections.iter().filter(|one| one.routing == Routing::Bgp);
        speaking.any(|connection| !told.contains(connection.name.as_str()))
    }

    /// A session runs while the links below it hold. One whose tunnel has gone silent is ended, so that the peer moves its
    /// traffic too, unless no other tunnel of the connection lives: then the silence may be the probe's mistake.
    fn follow_tunnels(&mut self, now: Time) {
        let Self { records, switch, bgp: Bgp { speaker, driver, ends, .. }, .. } = self;
        for (record, ends) in records.values().filter_map(|record| Some((record, ends.get(&record.id)?))) {
            let relief = || beside(record, records).any(|other| other.facts().lives());
            speaker.set_rank(now, record.id, rank(record, records, switch));
            match record.facts().broken() {
                None | Some(Link::Bgp) if record.facts().wish != Wish::Down => {
                    driver.listen(record.id, ends);
                    speaker.start(now, record.id);
                }
                Some(Link::Probe) if !relief() => {}
                Some(Link::Ike | Link::Esp | Link::Probe) => speaker.stop(now, record.id, &Stop::TunnelDown),
                None | Some(Link::Bgp) => {}
            }
        }
    }

    /// Carries out what the speaker wants, in its order.
    fn carry_out_bgp(&mut self) {
        let Self { records, hooks, bgp: Bgp { speaker, driver, .. }, .. } = self;
        while let Some((tunnel, output)) = speaker.poll_output() {
            match output {
                Output::Connect(id) => driver.connect(tunnel, id),
                Output::Send(id, octets) => driver.send(tunnel, id, octets),
                Output::Close(id) => driver.close(tunnel, id),
                Output::Notice(notice) => {
                    if let Some(record) = records.get(&tunnel) {
                        record.span().in_scope(|| notices::log(&notice));
                        if let Some(event) = session_event(record, &notice) {
                            hooks.tell(event);
                        }
                    }
                }
            }
        }
    }
}

/// How the peer is asked to see this tunnel: last while it is drained, first while another of the connection is lost.
///
/// In a tunnel that has gone silent nothing can be said to the cloud, which sends into it until its own hold time is over. In
/// this one it can.
fn rank(record: &Record, records: &BTreeMap<PeerId, Record>, switch: &Switch) -> Rank {
    let lost = |other: &Record| {
        other.facts().wish == Wish::Up && !matches!(switch.state(other.id), State::Carrying | State::Standby)
    };
    if switch.state(record.id) == State::Draining {
        Rank::Last
    } else if beside(record, records).any(lost) {
        Rank::First
    } else {
        Rank::Equal
    }
}

/// The other tunnels of its connection.
fn beside<'a>(record: &'a Record, records: &'a BTreeMap<PeerId, Record>) -> impl Iterator<Item = &'a Record> {
    records.values().filter(|other| other.id != record.id && other.connection.name == record.connection.name)
}

/// How long a peer has to tell its prefixes in a session that is new: the restart time that is usual (RFC 4724 §4.1).
const RELEARN: Duration = Duration::from_mins(2);
/// Time between two changes of the kernel's routes that come of announcements alone: a peer that flaps its routes costs the loop
/// no more than ten of them a second. A session or a tunnel that falls waits for nothing.
const PACE: Duration = Duration::from_millis(100);

//! The tunnels of a gateway with their devices, SAs and routes: what the daemon's loop changes.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use gotthard_ike::timer::Timers;
use tracing::{error, info, warn};

use super::bgp::Bgp;
use super::books::Books;
use super::capture::Captures;
use super::drill::Drill;
use super::hooks;
use super::key_file::KeyFile;
use super::networks::Networks;
use super::probing::Probes;
use super::record::{Device, Moved, Record, names};
use super::rekey::Waiters;
use super::switching::Switch;
use crate::config::Config;
use crate::events::kind;
use crate::failover::facts::Wish;
use crate::hooks::Hooks;
use crate::ike_driver::{Clock, IkeDriver};
use crate::install::DataPlane;
use crate::metrics::Meters;
use crate::routes::Table;
use crate::routes::flow_hash::FlowHash;
use crate::routes::netlink::Netlink;
use crate::routes::plan::{Refused, Wanted};
use crate::tunnels::{Action, Admin};

/// The tunnels of a gateway. Its other parts: [`super::agenda`], [`super::provision`], [`super::probing`], [`super::switching`],
/// [`super::routing`], [`super::outlet`].
pub(super) struct Gateway {
    pub(super) config: Config,
    pub(super) records: BTreeMap<PeerId, Record>,
    /// When each tunnel wants to be asked what is due.
    pub(super) agenda: Timers<PeerId>,
    /// Who carries the traffic.
    pub(super) switch: Switch,
    /// When the carrier of a device changes by the passing of time alone.
    pub(super) carriers_due: Option<Time>,
    pub(super) probes: Probes,
    /// Prefixes that may not be routed, and why.
    pub(super) refused: Vec<Refused>,
    /// How many routes each device has.
    pub(super) installed: BTreeMap<String, u64>,
    /// Why the kernel's routes are not those that are wanted.
    pub(super) route_error: Option<String>,
    /// Routes may have to change.
    pub(super) unsettled: bool,
    pub(super) data: DataPlane,
    pub(super) table: Table<Netlink>,
    /// What this host's own networks are, and what overlaps.
    pub(super) networks: Networks,
    /// What we changed of how the kernel spreads packets.
    pub(super) flow_hash: FlowHash,
    pub(super) clock: Clock,
    /// Takes the keys of every SA, where the operator asks for that.
    pub(super) keys: Option<KeyFile>,
    /// What is to be asked of the endpoint when its outputs are drained.
    pub(super) orders: Vec<(PeerId, Action)>,
    /// Who waits for a rekey to end.
    pub(super) waiters: Waiters,
    /// The operator's programs that are told what happens.
    pub(super) hooks: Hooks,
    /// The BGP sessions of the tunnels.
    pub(super) bgp: Bgp,
    /// How long what happened took.
    pub(super) meters: Meters,
    /// What the tunnels carried this month.
    pub(super) books: Books,
    /// The drill under way.
    pub(super) drill: Option<Drill>,
    /// Whose packets are copied, and the copies.
    pub(super) captures: Captures,
    next_id: u32,
}

impl Gateway {
    /// A gateway without tunnels.
    pub(super) fn new(
        data: DataPlane,
        netlink: Netlink,
        flow_hash: FlowHash,
        clock: Clock,
        probes: Probes,
        captures: Captures,
        books: Books,
    ) -> Self {
        Self {
            config: Config::default(),
            records: BTreeMap::new(),
            agenda: Timers::new(),
            switch: Switch::default(),
            carriers_due: None,
            probes,
            refused: Vec::new(),
            installed: BTreeMap::new(),
            route_error: None,
            unsettled: true,
            data,
            table: Table::new(netlink),
            networks: Networks::default(),
            flow_hash,
            clock,
            keys: None,
            orders: Vec::new(),
            waiters: Waiters::default(),
            hooks: Hooks::new(hooks::LIMIT),
            bgp: Bgp::new(),
            meters: Meters::default(),
            books,
            drill: None,
            captures,
            next_id: 0,
        }
    }

    /// Takes a configuration. Tunnels that it describes as before keep every SA.
    pub(super) async fn configure(&mut self, driver: &mut IkeDriver, config: Config) -> Difference {
        let now = driver.now();
        let moved = self.config.gateway.local != config.gateway.local;
        let described: HashMap<_, _> = config.tunnels().map(|(c, t)| (names(c, t), (c, t))).collect();
        let stays =
            |record: &Record| !moved && described.get(&record.names()).is_some_and(|(c, t)| record.is(c, t));
        let gone: Vec<PeerId> = self.records.values().filter(|r| !stays(r)).map(|r| r.id).collect();
        let mut difference = Difference { removed: gone.len(), ..Difference::default() };
        self.keep_books().await;
        // The traffic moves, then the Deletes leave, then the devices go.
        for record in self.records.values_mut().filter(|record| gone.contains(&record.id)) {
            record.leaves = true;
            self.unsettled = true;
        }
        self.route().await;
        self.forget_sessions(&gone).await;
        let mut history = Vec::new();
        for id in gone {
            driver.endpoint().remove_peer(now, id);
            driver.drain(self).await;
            history.extend(self.remove(id).await);
        }
        for record in self.records.values_mut() {
            if let Some(tunnel) = described.get(&record.names()).map(|(_, tunnel)| *tunnel) {
                record.take_renewed_files(tunnel, driver);
            }
        }
        let history: HashMap<_, &Record> = history.iter().map(|record| (record.names(), record)).collect();
        let kept: HashSet<_> = self.records.values().map(Record::names).collect();
        difference.kept = kept.len();
        let mut added = Vec::new();
        for (connection, tunnel) in config.tunnels().filter(|(c, t)| !kept.contains(&names(c, t))) {
            self.next_id += 1;
            let mut record = Record::new(PeerId(self.next_id), connection, tunnel, now);
            if let Some(before) = history.get(&record.names()) {
                record.continues(before);
            }
            added.push(record);
        }
        difference.added = added.len();
        for record in added {
            self.agenda.set(record.id, record.state.next());
            self.records.insert(record.id, record);
        }
        self.config = config;
        self.books.look(&self.config);
        self.meters
            .keep(&self.config.connections.iter().map(|connection| connection.name.as_str()).collect());
        self.configure_bgp();
        self.unsettled = true;
        self.provide(driver).await;
        difference
    }

    /// Carries out what is due and what was ordered, until there is nothing left to do now.
    pub(super) async fn settle(&mut self, driver: &mut IkeDriver) {
        loop {
            self.carry_out_all(driver).await;
            let due = [self.switch.next(), self.carriers_due].into_iter().flatten().min();
            self.unsettled |= due.is_some_and(|at| at <= driver.now());
            self.settle_bgp(self.unsettled);
            let decided = self.route().await;
            // What was decided may begin and end sessions, and that another decision.
            self.settle_bgp(decided);
            let left = self.left();
            if left.is_empty() && !self.unsettled && !self.drill_turn() {
                break;
            }
            self.end_sessions(&left).await;
            for id in left {
                self.take_down(driver, id);
            }
        }
        self.waiters.expire(driver.now());
    }

    /// Takes the operator's word on a tunnel. Make before break: one that is to be down goes when its traffic has moved.
    pub(super) fn set_admin(&mut self, driver: &mut IkeDriver, id: PeerId, admin: Admin) {
        match admin {
            Admin::Down => self.set_wish(id, Wish::Down),
            Admin::Up => {
                self.set_wish(id, Wish::Up);
                let now = driver.now();
                self.ask(id, |state| state.set_admin(now, Admin::Up));
                self.provide_peer(id, driver);
            }
        }
    }

    /// An outbound SA has used three quarters of what it may carry: it is rekeyed.
    pub(super) fn outbound_nears_end(&mut self, id: PeerId, spi: u32, now: Time) {
        let Some(record) = self.records.get(&id).filter(|record| record.sends_with(spi)) else { return };
        let event = kind::LIFETIME_NEARS_END;
        record
            .span()
            .in_scope(|| info!(event, "the outbound SA has used three quarters of its lifetime: rekeying"));
        self.ask(id, |state| state.rekey_child(now));
    }

    /// An outbound SA sends nothing more, and no rekey came to pass: the tunnel is built anew.
    pub(super) fn outbound_ends(&mut self, id: PeerId, spi: u32, now: Time) {
        let Some(record) = self.records.get(&id).filter(|record| record.sends_with(spi)) else { return };
        let event = kind::LIFETIME_ENDED;
        record.span().in_scope(|| {
            warn!(event, "the outbound SA is used up and was not rekeyed: building the tunnel anew");
        });
        self.renew(id, now);
    }

    /// A device failed: it is made again, and its tunnel built anew.
    pub(super) async fn device_failed(&mut self, id: PeerId, why: String, now: Time) {
        let Some(record) = self.records.get_mut(&id) else { return };
        record.span().in_scope(|| error!(why, event = kind::DEVICE_FAILED, "the tunnel's device failed"));
        record.lose_device(why, now);
        // It refuses what it has forgotten already.
        drop(self.data.remove_tunnel(id).await);
        self.renew(id, now);
    }

    /// Reads the counters; returns the tunnels that have carried packets since the last time, and how long ago the latest
    /// authentic one arrived.
    pub(super) async fn count(&mut self, now: Time) -> Vec<(PeerId, Moved, Duration)> {
        let (mut carried, mut heard) = (Vec::new(), Vec::new());
        for (id, traffic) in self.data.traffic().await {
            let age = traffic.last_rx_age.unwrap_or_default();
            let Some(record) = self.records.get_mut(&id) else { continue };
            let on_the_wire = record.carried(&traffic);
            self.books.carried(&record.connection, on_the_wire);
            if record.device == Device::Ready {
                let moved = record.count(traffic);
                if moved.received && !record.answers_echoes() {
                    heard.push((record.connection.name.clone(), id));
                }
                carried.push((id, moved, age));
            }
            if record.inbound_nears_end() {
                self.ask(id, |state| state.rekey_child(now));
            }
        }
        self.diagnose(now);
        for (connection, id) in heard {
            let others = self.records.values_mut().filter(|r| r.id != id && r.connection.name == connection);
            others.for_each(|record| record.diagnosis.on_other(now));
        }
        carried
    }

    /// Books what the tunnels have carried, and no more than that: some of them are about to go.
    pub(super) async fn keep_books(&mut self) {
        for (id, traffic) in self.data.traffic().await {
            if let Some(record) = self.records.get_mut(&id) {
                let on_the_wire = record.carried(&traffic);
                self.books.carried(&record.connection, on_the_wire);
            }
        }
    }

    /// Asks the endpoint to end every SA.
    pub(super) fn terminate_all(&self, driver: &mut IkeDriver) {
        let now = driver.now();
        for id in self.records.keys() {
            driver.endpoint().terminate(now, *id);
        }
    }

    /// Removes every route and device.
    pub(super) async fn clear(&mut self) {
        self.flow_hash.give_back();
        self.table.hold_inherited(false);
        self.table.distrust();
        if let Err(error) = self.table.reconcile(&Wanted::default()).await {
            error!(%error, "routes are left behind");
        }
        let ids: Vec<PeerId> = self.records.keys().copied().collect();
        for id in ids {
            self.remove(id).await;
        }
    }

    /// When something is due beside the endpoint's own timers.
    pub(super) fn next(&self) -> Option<Time> {
        let (bgp, drill) = (self.bgp.next(), self.drill_due());
        let decisions = [self.switch.next(), self.carriers_due, self.probes.next(), bgp, drill];
        let own = [self.agenda.next(), self.waiters.next()].into_iter().chain(decisions);
        own.flatten().min()
    }
}

/// What a new configuration changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Tunnels that are new, or new again.
    pub(super) added: usize,
    /// Tunnels that are gone, or changed.
    pub(super) removed: usize,
    /// Tunnels that were not touched.
    pub(super) kept: usize,
}

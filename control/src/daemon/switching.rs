//! Who carries the traffic of each connection: [`crate::failover`] fed with what the daemon knows of its tunnels.

use std::collections::{BTreeMap, HashMap, HashSet};

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use tracing::info;

use super::gateway::Gateway;
use super::record::names;
use crate::bgp::best_path::Through;
use crate::config::model::{Connection, Tunnel};
use crate::failover::decision::{Decision, Failover, Spread, State};
use crate::failover::facts::{Facts, Wish};
use crate::tunnels::Phase;

/// The decisions in force, and the memory behind them.
#[derive(Default)]
pub(super) struct Switch {
    /// By the connection's name.
    connections: BTreeMap<String, Crossing>,
    verdicts: BTreeMap<PeerId, Verdict>,
    /// When the passing of time alone may change a decision.
    next: Option<Time>,
}

/// One connection.
struct Crossing {
    spread: Spread,
    failover: Failover<PeerId>,
    carriers: Vec<PeerId>,
}

/// What was decided of one tunnel.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    state: State,
    through: Through,
}

impl Switch {
    /// The tunnels that carry what can go through any tunnel of the connection.
    pub(super) fn carriers(&self, connection: &str) -> &[PeerId] {
        self.connections.get(connection).map_or(&[], |crossing| &crossing.carriers)
    }

    /// What a tunnel does.
    pub(super) fn state(&self, id: PeerId) -> State {
        self.verdicts.get(&id).map_or(State::Down, |verdict| verdict.state)
    }

    /// How far the routes of a peer may use its tunnel; `None`: nothing was decided of it.
    pub(super) fn through(&self, id: PeerId) -> Option<Through> {
        self.verdicts.get(&id).map(|verdict| verdict.through)
    }

    /// When [`Gateway::decide`] is due.
    pub(super) const fn next(&self) -> Option<Time> {
        self.next
    }
}

impl Gateway {
    /// Decides anew for every connection, by the facts of this moment.
    pub(super) fn decide(&mut self) {
        let now = self.clock.now();
        self.look_at_devices();
        self.tend_probes();
        let mut switch = core::mem::take(&mut self.switch);
        let known = &self.config.connections;
        switch.connections.retain(|name, _| known.iter().any(|connection| connection.name == *name));
        switch.verdicts.clear();
        let named: HashMap<(&str, &str), PeerId> = self.records.values().map(|r| (r.names(), r.id)).collect();
        for (place, connection) in known.iter().enumerate() {
            let id = |tunnel: &Tunnel| named.get(&names(connection, tunnel)).copied();
            let facts: Vec<(PeerId, Facts)> = connection
                .tunnels
                .iter()
                .filter_map(|tunnel| self.records.get(&id(tunnel)?))
                .map(|record| (record.id, record.facts()))
                .collect();
            let spread = spread(connection);
            let crossing = switch.connections.entry(connection.name.clone());
            let crossing = crossing.or_insert_with(|| Crossing::new(spread));
            if crossing.spread != spread {
                *crossing =
                    Crossing { carriers: core::mem::take(&mut crossing.carriers), ..Crossing::new(spread) };
            }
            let Decision { tunnels, carriers, .. } = crossing.failover.decide(now, &facts);
            if crossing.carriers != carriers {
                self.tell_move(connection, &crossing.carriers, &carriers);
            }
            crossing.carriers = carriers;
            switch.verdicts.extend(tunnels.iter().map(|verdict| {
                let through = Through { connection: place, spread, standing: verdict.standing };
                (verdict.tunnel, Verdict { state: verdict.state, through })
            }));
        }
        let times = switch.connections.values().filter_map(|crossing| crossing.failover.next(now));
        switch.next = times.min();
        self.switch = switch;
    }

    /// Takes what is wanted of a tunnel: [`Wish::Drain`] moves its traffic away while it stays up, [`Wish::Down`] ends it
    /// when that is done. Only the operator's word brings up what was to be down.
    pub(super) fn set_wish(&mut self, id: PeerId, wish: Wish) {
        if let Some(record) = self.records.get_mut(&id)
            && (record.wish != Wish::Down || wish == Wish::Up)
        {
            record.wish = wish;
            self.unsettled = true;
        }
    }

    /// Tunnels that are to be down and carry nothing any more.
    pub(super) fn left(&self) -> Vec<PeerId> {
        let up = self.records.values().filter(|record| record.state.phase() != Phase::AdminDown);
        up.map(|record| record.id).filter(|id| self.switch.state(*id) == State::AdminDown).collect()
    }

    /// A device that the kernel has told nothing of yet is as it was made: up.
    fn look_at_devices(&mut self) {
        let down = self.table.mirror().around().links().filter(|link| !link.up);
        let down: HashSet<&str> = down.map(|link| link.name.as_str()).collect();
        for record in self.records.values_mut() {
            record.set_down = down.contains(record.tunnel.interface.as_str());
        }
    }

    fn tell_move(&self, connection: &Connection, before: &[PeerId], after: &[PeerId]) {
        let name = |id: &PeerId| self.records.get(id).map_or("gone", |record| record.tunnel.name.as_str());
        let text = |ids: &[PeerId]| match ids {
            [] => "none".to_owned(),
            ids => ids.iter().map(name).collect::<Vec<_>>().join("+"),
        };
        let left = before.iter().filter(|id| !after.contains(id)).filter_map(|id| self.records.get(id));
        let broken = left.filter_map(|record| record.facts().broken()).min();
        let broken = broken.map(tracing::field::debug);
        info!(connection = %connection.name, from = text(before), to = text(after), broken, "traffic moves");
        self.tell_failover(connection, before, after);
    }
}

impl Crossing {
    const fn new(spread: Spread) -> Self {
        Self { spread, failover: Failover::new(spread), carriers: Vec::new() }
    }
}

/// How many tunnels carry at once, as configured.
const fn spread(connection: &Connection) -> Spread {
    if connection.ecmp { Spread::All } else { Spread::One }
}

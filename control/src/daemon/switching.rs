//! Who carries the traffic of each connection: [`crate::failover`] fed with what the daemon knows of its tunnels, and what of it
//! the operator is told. Over BGP a peer's MED, a local preference or an AS path has a say too, or a prefix is in one tunnel alone:
//! there what is told are the tunnels that the routes lead through.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use ipnet::IpNet;
use tracing::info;

use super::drill::millis;
use super::gateway::Gateway;
use super::record::names;
use crate::bgp::best_path::Through;
use crate::config::model::{Connection, Routing, Tunnel};
use crate::events::kind;
use crate::failover::decision::{Decision, Failover, Spread, State};
use crate::failover::facts::{Facts, Link, Wish};
use crate::failover::gap::Gap;
use crate::routes::plan::Refused;
use crate::tunnels::Phase;

/// The decisions in force, and the memory behind them.
#[derive(Default)]
pub(super) struct Switch {
    /// By the connection's name.
    connections: BTreeMap<String, Crossing>,
    verdicts: BTreeMap<PeerId, Verdict>,
    /// Those of which was decided that they are down by the operator's word.
    left: Vec<PeerId>,
    /// When the passing of time alone may change a decision.
    next: Option<Time>,
    /// What the decisions have changed, to be told when the kernel has the routes.
    moves: Vec<Move>,
}

/// The traffic of a connection goes through other tunnels.
struct Move {
    connection: String,
    from: Vec<PeerId>,
    to: Vec<PeerId>,
    /// The first broken link of those that carried.
    broken: Option<Link>,
}

/// One connection.
struct Crossing {
    spread: Spread,
    failover: Failover<PeerId>,
    /// By the decision.
    carriers: Vec<PeerId>,
    /// As it was told: by the decision or, over BGP, by the routes.
    told: Vec<PeerId>,
    gap: Gap,
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

    /// The tunnels that carry: those, or over BGP the ones that its routes lead through.
    pub(super) fn carrying(&self, connection: &str) -> &[PeerId] {
        self.connections.get(connection).map_or(&[], |crossing| &crossing.told)
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
                (crossing.spread, crossing.failover) = (spread, Failover::new(spread));
            }
            let Decision { tunnels, carriers, .. } = crossing.failover.decide(now, &facts);
            crossing.carriers.clone_from(&carriers);
            if connection.routing != Routing::Bgp {
                switch.moves.extend(self.moved(&connection.name, crossing, carriers, now));
            }
            switch.verdicts.extend(tunnels.iter().map(|verdict| {
                let carries = crossing.carriers.contains(&verdict.tunnel);
                let through = Through { connection: place, spread, standing: verdict.standing, carries };
                (verdict.tunnel, Verdict { state: verdict.state, through })
            }));
        }
        let left = switch.verdicts.iter().filter(|(_, verdict)| verdict.state == State::AdminDown);
        switch.left = left.map(|(id, _)| *id).collect();
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
        let left = self.switch.left.iter().filter_map(|id| self.records.get(id));
        left.filter(|record| record.state.phase() != Phase::AdminDown).map(|record| record.id).collect()
    }

    /// Over BGP: who carries by the routes, which the kernel has.
    pub(super) fn follow_routes(&mut self) {
        let now = self.clock.now();
        let mut switch = core::mem::take(&mut self.switch);
        let used = led_through(&self.bgp.learned, &self.refused);
        let named: HashMap<(&str, &str), PeerId> = self.records.values().map(|r| (r.names(), r.id)).collect();
        for connection in self.config.connections.iter().filter(|one| one.routing == Routing::Bgp) {
            let Some(crossing) = switch.connections.get_mut(&connection.name) else { continue };
            let known = connection.tunnels.iter().filter_map(|t| named.get(&names(connection, t)).copied());
            let carriers = known.filter(|id| used.contains(id)).collect();
            switch.moves.extend(self.moved(&connection.name, crossing, carriers, now));
        }
        self.switch = switch;
    }

    /// Takes who carries: a move, where it is somebody else than was told.
    fn moved(&self, name: &str, crossing: &mut Crossing, to: Vec<PeerId>, now: Time) -> Option<Move> {
        let from = crossing.tell(&to)?;
        let (broken, heard) = self.what_broke(&from, &to, now);
        crossing.gap.open(heard);
        Some(Move { connection: name.to_owned(), from, to, broken })
    }

    /// A device that the kernel has told nothing of yet is as it was made: up.
    fn look_at_devices(&mut self) {
        let down = self.table.mirror().around().links().filter(|link| !link.up);
        let down: HashSet<&str> = down.map(|link| link.name.as_str()).collect();
        for record in self.records.values_mut() {
            record.set_down = down.contains(record.tunnel.interface.as_str());
        }
    }

    /// The first broken link of the tunnels that no longer carry, and when the latest sign of life came through them: the
    /// present where the peer itself has ended the SAs.
    fn what_broke(&self, before: &[PeerId], after: &[PeerId], now: Time) -> (Option<Link>, Option<Time>) {
        let left = before.iter().filter(|id| !after.contains(id)).filter_map(|id| self.records.get(id));
        let broken =
            left.filter_map(|record| Some((record.facts().broken()?, record.heard().unwrap_or(now))));
        broken.fold((None, None), |(link, heard), (broken, last)| {
            (Some(link.map_or(broken, |link: Link| link.min(broken))), heard.max(Some(last)))
        })
    }

    /// Tells the moves that were decided; with `routed`, the kernel has the routes.
    pub(super) fn tell_moves(&mut self, routed: bool) {
        let now = self.clock.now();
        for Move { connection, from, to, broken } in core::mem::take(&mut self.switch.moves) {
            let crossing = self.switch.connections.get_mut(&connection).filter(|_| routed && !to.is_empty());
            let gap = crossing.and_then(|crossing| crossing.gap.close(now));
            if let Some(gap) = gap {
                self.meters.failed_over(&connection, gap);
            }
            let gap_ms = gap.map(millis);
            let broken = broken.map(tracing::field::debug);
            let (left, taken) = (self.names_of(&from), self.names_of(&to));
            info!(
                %connection,
                from = joined(&left),
                to = joined(&taken),
                broken,
                gap_ms,
                event = kind::FAILOVER,
                "traffic moves"
            );
            self.tell_failover(connection, left, taken, gap);
        }
    }

    fn names_of(&self, ids: &[PeerId]) -> Vec<String> {
        let name = |id| self.records.get(id).map_or("gone", |record| record.tunnel.name.as_str());
        ids.iter().map(|id| name(id).to_owned()).collect()
    }
}

impl Crossing {
    const fn new(spread: Spread) -> Self {
        Self {
            spread,
            failover: Failover::new(spread),
            carriers: Vec::new(),
            told: Vec::new(),
            gap: Gap::new(),
        }
    }

    /// Takes who carries; returns who was told to, where that is somebody else.
    fn tell(&mut self, to: &[PeerId]) -> Option<Vec<PeerId>> {
        (self.told != to).then(|| core::mem::replace(&mut self.told, to.to_vec()))
    }
}

/// The tunnels that prefixes lead through which the kernel has taken.
fn led_through(learned: &BTreeMap<IpNet, Vec<PeerId>>, refused: &[Refused]) -> BTreeSet<PeerId> {
    let refused: HashSet<IpNet> = refused.iter().map(|refused| refused.prefix).collect();
    let routed = learned.iter().filter(|(prefix, _)| !refused.contains(prefix));
    routed.flat_map(|(_, used)| used).copied().collect()
}

fn joined(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join("+") }
}

/// How many tunnels carry at once, as configured.
const fn spread(connection: &Connection) -> Spread {
    if connection.ecmp { Spread::All } else { Spread::One }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bgp::rib::Rib;
    use crate::bgp::route::{Path, Route};
    use crate::failover::decision::Standing;

    const ONE: PeerId = PeerId(1);
    const TWO: PeerId = PeerId(2);

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    /// The decision names the first tunnel all the while; the peer's MED uses the other, and then the first.
    #[test]
    fn over_bgp_the_tunnels_that_the_routes_lead_through_are_told_and_each_move_once() {
        let (mut rib, mut learned) = (Rib::new(), BTreeMap::new());
        let mut crossing = Crossing::new(Spread::One);
        let mut told = Vec::new();
        for meds in [[200, 100], [200, 100], [50, 100]] {
            for (tunnel, med) in [ONE, TWO].into_iter().zip(meds) {
                let path = Path { med: Some(med), ..Path::local([169, 254, 10, 1].into()) };
                rib.announce(tunnel, Route { prefix: net("10.200.0.0/16"), path: Arc::new(path) }, 100);
            }
            let through = |tunnel| Through {
                connection: 0,
                spread: Spread::One,
                standing: Standing::Ready,
                carries: tunnel == ONE,
            };
            let changes = rib.settle(|tunnel| Some(through(tunnel)));
            learned.extend(changes.into_iter().map(|change| (change.prefix, change.used)));
            let to: Vec<PeerId> = led_through(&learned, &[]).into_iter().collect();
            told.push(crossing.tell(&to).map(|from| (from, to)));
        }
        assert_eq!(told, [Some((vec![], vec![TWO])), None, Some((vec![TWO], vec![ONE]))]);
    }

    #[test]
    fn a_prefix_that_is_not_routed_leads_nowhere() {
        let learned = BTreeMap::from([
            (net("10.1.0.0/16"), vec![ONE]),
            (net("10.2.0.0/16"), vec![TWO]),
            (net("10.3.0.0/16"), vec![]),
        ]);
        let refused = [Refused { prefix: net("10.1.0.0/16"), why: "the kernel has another".to_owned() }];
        assert_eq!(led_through(&learned, &refused), BTreeSet::from([TWO]));
    }
}

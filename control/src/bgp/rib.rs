//! What the peers of all tunnels announce, and which tunnels each prefix uses: Adj-RIBs-In and Loc-RIB (RFC 4271 §3.2) in
//! one table, because what is taken is all that is kept.
//!
//! Its size is bounded by the [`super::quota`] of each session. What changes is collected until [`Rib::settle`], so that a
//! decision about many prefixes is one transaction in the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use super::best_path::{self, Candidate, Choice, Through};
use super::codec::{Families, Family};
use super::route::{Path, Route};

/// The routes of all sessions. `K` names a tunnel.
#[derive(Clone, Debug)]
pub struct Rib<K> {
    entries: BTreeMap<IpNet, Entry<K>>,
    /// Prefixes whose choice may have changed.
    touched: BTreeSet<IpNet>,
}

/// A prefix whose tunnels changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<K> {
    /// The prefix.
    pub prefix: IpNet,
    /// The tunnels that it uses; empty: no tunnel carries it.
    pub used: Vec<K>,
    /// Whether it is still there.
    pub fate: Fate<K>,
}

/// Whether a prefix is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<K> {
    /// A peer announces it. Where no tunnel carries it, packets are to be refused and not to leave another way.
    Announced,
    /// The last peer that announced it has taken it back.
    Withdrawn,
    /// The session of the last tunnel that brought it has ended: it may be there all the same.
    Lost(K),
}

#[derive(Clone, Debug)]
struct Entry<K> {
    /// One for each tunnel, in the order of the tunnels.
    paths: BTreeMap<K, Known>,
    used: Vec<K>,
    /// The tunnel whose session took the last path along.
    lost: Option<K>,
}

#[derive(Clone, Debug)]
struct Known {
    local_pref: u32,
    path: Arc<Path>,
    /// It was announced before the session restarted, and not yet again (RFC 4724 §4.2).
    stale: bool,
}

impl<K: Copy + Ord> Rib<K> {
    /// No routes.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new(), touched: BTreeSet::new() }
    }

    /// Takes a route that came through a tunnel and was admitted; it replaces the one before it.
    pub fn announce(&mut self, tunnel: K, route: Route, local_pref: u32) {
        let entry = self.entries.entry(route.prefix);
        let entry = entry.or_insert_with(|| Entry { paths: BTreeMap::new(), used: Vec::new(), lost: None });
        entry.paths.insert(tunnel, Known { local_pref, path: route.path, stale: false });
        self.touched.insert(route.prefix);
    }

    /// Takes back the tunnel's route for a prefix, because it was withdrawn, or because what replaced it is refused.
    pub fn withdraw(&mut self, tunnel: K, prefix: IpNet) {
        let Some(entry) = self.entries.get_mut(&prefix) else { return };
        if entry.paths.remove(&tunnel).is_some() {
            entry.lost = None;
            self.touched.insert(prefix);
        }
    }

    /// The tunnel's session ended. Its routes of `kept` stay until they are announced again or swept, because the peer
    /// restarts (RFC 4724 §4.2); the others go.
    pub fn restart(&mut self, tunnel: K, kept: Families) {
        self.remove_where(tunnel, Some(tunnel), |prefix, _| !kept.contains(Family::of(prefix)));
        for entry in self.entries.values_mut() {
            if let Some(known) = entry.paths.get_mut(&tunnel) {
                known.stale = true;
            }
        }
    }

    /// The restarted peer has told all that it has of a family (End-of-RIB), or had the time for it: what it did not tell
    /// again goes.
    pub fn sweep(&mut self, tunnel: K, family: Family) {
        self.remove_where(tunnel, None, |prefix, known| known.stale && Family::of(prefix) == family);
    }

    /// The standing of a tunnel changed: every prefix is decided anew.
    pub fn touch_all(&mut self) {
        self.touched.extend(self.entries.keys());
    }

    /// Whether a prefix waits for [`Self::settle`].
    pub fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Decides every prefix that was touched and returns those whose tunnels changed, in order. A tunnel that `through` does
    /// not know carries nothing.
    pub fn settle(&mut self, through: impl Fn(K) -> Option<Through>) -> Vec<Change<K>> {
        let mut changes = Vec::new();
        for prefix in core::mem::take(&mut self.touched) {
            let Some(entry) = self.entries.get_mut(&prefix) else { continue };
            let used = entry.choose(&through).used;
            let gone = entry.paths.is_empty();
            if gone || used != entry.used {
                entry.used.clone_from(&used);
                changes.push(Change { prefix, used, fate: entry.fate() });
            }
            if gone {
                self.entries.remove(&prefix);
            }
        }
        changes
    }

    /// How a prefix is decided at this moment, for the operator.
    pub fn explain(&self, prefix: &IpNet, through: impl Fn(K) -> Option<Through>) -> Option<Choice<K>> {
        self.entries.get(prefix).map(|entry| entry.choose(&through))
    }

    /// Every prefix that is announced, in order, with each tunnel's path and local preference.
    pub fn routes(&self) -> impl Iterator<Item = (IpNet, K, u32, &Path)> {
        self.entries.iter().flat_map(|(prefix, entry)| {
            let paths = entry.paths.iter();
            paths.map(|(tunnel, known)| (*prefix, *tunnel, known.local_pref, known.path.as_ref()))
        })
    }

    /// The routes that came through a tunnel, in order.
    pub fn routes_of(&self, tunnel: K) -> Vec<Route> {
        let known = |(prefix, entry): (&IpNet, &Entry<K>)| {
            let known = entry.paths.get(&tunnel)?;
            Some(Route { prefix: *prefix, path: Arc::clone(&known.path) })
        };
        self.entries.iter().filter_map(known).collect()
    }

    fn remove_where(&mut self, tunnel: K, lost: Option<K>, goes: impl Fn(IpNet, &Known) -> bool) {
        for (prefix, entry) in &mut self.entries {
            if entry.paths.get(&tunnel).is_some_and(|known| goes(*prefix, known)) {
                entry.paths.remove(&tunnel);
                entry.lost = lost;
                self.touched.insert(*prefix);
            }
        }
    }
}

impl<K: Copy + Ord> Default for Rib<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Copy + Ord> Entry<K> {
    fn fate(&self) -> Fate<K> {
        match self.lost {
            _ if !self.paths.is_empty() => Fate::Announced,
            Some(tunnel) => Fate::Lost(tunnel),
            None => Fate::Withdrawn,
        }
    }

    fn choose(&self, through: &impl Fn(K) -> Option<Through>) -> Choice<K> {
        let candidates: Vec<Candidate<'_, K>> = self
            .paths
            .iter()
            .filter_map(|(tunnel, known)| {
                let Known { local_pref, path, .. } = known;
                let through = through(*tunnel)?;
                Some(Candidate { tunnel: *tunnel, through, local_pref: *local_pref, path })
            })
            .collect();
        best_path::choose(&candidates, &self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::route::{AsPath, AsSegment};
    use crate::failover::decision::{Spread, Standing};

    const PREFIX: &str = "10.200.0.0/16";

    fn route(prefix: &str, med: u32) -> Route {
        let as_path = AsPath(vec![AsSegment::Sequence(vec![64512])]);
        let path = Path { as_path, med: Some(med), ..Path::local([169, 254, 10, 1].into()) };
        Route { prefix: net(prefix), path: Arc::new(path) }
    }

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    /// Two tunnels of one connection that share.
    fn standings(first: Standing, second: Standing) -> impl Fn(usize) -> Option<Through> {
        move |tunnel| {
            let standing = *[first, second].get(tunnel)?;
            Some(Through { connection: 0, spread: Spread::All, standing, carries: true })
        }
    }

    fn both_ready(tunnel: usize) -> Option<Through> {
        standings(Standing::Ready, Standing::Ready)(tunnel)
    }

    fn moved(used: &[usize]) -> Vec<Change<usize>> {
        vec![Change { prefix: net(PREFIX), used: used.to_vec(), fate: Fate::Announced }]
    }

    fn gone(fate: Fate<usize>) -> Vec<Change<usize>> {
        vec![Change { prefix: net(PREFIX), used: Vec::new(), fate }]
    }

    #[test]
    fn a_prefix_is_told_when_its_tunnels_change_and_not_otherwise() {
        let mut rib = Rib::new();
        rib.announce(0, route(PREFIX, 100), 100);
        assert_eq!(rib.settle(both_ready), moved(&[0]));
        rib.announce(1, route(PREFIX, 100), 100);
        assert_eq!(rib.settle(both_ready), moved(&[0, 1]));
        rib.announce(1, route(PREFIX, 100), 100);
        assert_eq!(rib.settle(both_ready), []);
        rib.announce(1, route(PREFIX, 50), 100);
        assert_eq!(rib.settle(both_ready), moved(&[1]), "AWS's maintenance of tunnel 0");
        rib.withdraw(1, net(PREFIX));
        assert_eq!(rib.settle(both_ready), moved(&[0]));
        rib.withdraw(0, net(PREFIX));
        assert_eq!(rib.settle(both_ready), gone(Fate::Withdrawn));
        assert_eq!(rib.routes().count(), 0);
    }

    #[test]
    fn a_dead_tunnel_loses_its_prefixes_and_without_another_they_are_refused_not_gone() {
        let mut rib = Rib::new();
        rib.announce(0, route(PREFIX, 100), 100);
        rib.announce(1, route(PREFIX, 100), 100);
        rib.settle(both_ready);
        rib.touch_all();
        assert_eq!(rib.settle(standings(Standing::Dead, Standing::Ready)), moved(&[1]));
        rib.touch_all();
        assert_eq!(rib.settle(standings(Standing::Dead, Standing::Dead)), moved(&[]));
        rib.restart(1, Families::NONE);
        rib.restart(0, Families::NONE);
        assert_eq!(rib.settle(both_ready), gone(Fate::Lost(0)), "the last one");
    }

    #[test]
    fn a_prefix_that_comes_and_goes_between_two_settlings_is_still_cleared() {
        let mut rib = Rib::new();
        rib.announce(0, route(PREFIX, 100), 100);
        rib.restart(0, Families::NONE);
        assert_eq!(rib.settle(both_ready), gone(Fate::Lost(0)));
        rib.restart(0, Families::NONE);
        rib.withdraw(0, net(PREFIX));
        assert_eq!(rib.settle(both_ready), []);
    }

    #[test]
    fn a_restarting_peer_keeps_what_it_announces_again() {
        let mut rib = Rib::new();
        rib.announce(0, route(PREFIX, 100), 100);
        rib.announce(0, route("10.201.0.0/16", 100), 100);
        rib.settle(both_ready);
        rib.restart(0, Families::IPV4);
        assert_eq!(rib.settle(both_ready), [], "nothing moves while it restarts");
        rib.announce(0, route("10.201.0.0/16", 100), 100);
        rib.sweep(0, Family::Ipv6);
        assert_eq!(rib.settle(both_ready), []);
        rib.sweep(0, Family::Ipv4);
        assert_eq!(rib.settle(both_ready), gone(Fate::Withdrawn));
        assert_eq!(rib.routes().count(), 1);
    }

    #[test]
    fn why_a_path_is_not_used_can_be_asked() {
        let mut rib = Rib::new();
        rib.announce(0, route(PREFIX, 100), 100);
        rib.announce(1, route(PREFIX, 50), 100);
        let choice = rib.explain(&net(PREFIX), both_ready).expect("it is announced");
        assert_eq!((choice.used, choice.lost), (vec![1], vec![(0, best_path::Step::Med)]));
        assert_eq!(rib.explain(&net("10.9.0.0/16"), both_ready), None);
    }
}

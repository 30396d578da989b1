//! Durations, counted into buckets as they happen: a page that is made now and then would not see them otherwise.

use core::time::Duration;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::histogram::Histogram;
use crate::api::messages::Sa;

/// The histograms; a clone is another handle on the same.
#[derive(Clone, Debug, Default)]
pub struct Meters(Arc<Mutex<BTreeMap<String, Durations>>>);

/// Those of a connection.
#[derive(Debug)]
struct Durations {
    gaps: Option<Gaps>,
    /// By the tunnel's name.
    rekeys: BTreeMap<String, Rekeys>,
}

/// How long traffic had no tunnel.
pub(super) type Gaps = Histogram<{ GAPS.len() }>;

/// How long the rekeys of a tunnel took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rekeys {
    ike: Took,
    child: Took,
}

/// How long rekeys of an SA took.
pub(super) type Took = Histogram<{ REKEYS.len() }>;

impl Meters {
    /// The traffic of a connection had no tunnel for so long.
    pub fn failed_over(&self, connection: &str, gap: Duration) {
        let mut all = self.lock();
        let durations = all.entry(connection.to_owned()).or_insert(Durations::NONE);
        durations.gaps.get_or_insert(Histogram::new(&GAPS)).observe(gap);
    }

    /// An SA of a tunnel was rekeyed within so long.
    pub fn rekeyed(&self, connection: &str, tunnel: &str, sa: Sa, took: Duration) {
        let mut all = self.lock();
        let durations = all.entry(connection.to_owned()).or_insert(Durations::NONE);
        let rekeys = durations.rekeys.entry(tunnel.to_owned()).or_insert(Rekeys::NONE);
        match sa {
            Sa::Ike => rekeys.ike.observe(took),
            Sa::Child => rekeys.child.observe(took),
        }
    }

    /// Forgets tunnels that are configured no longer, of which these names of connections and their own are left.
    pub fn keep(&self, known: &HashSet<(&str, &str)>) {
        let connections: HashSet<&str> = known.iter().map(|(connection, _)| *connection).collect();
        let mut all = self.lock();
        all.retain(|connection, _| connections.contains(connection.as_str()));
        for (connection, durations) in all.iter_mut() {
            durations.rekeys.retain(|tunnel, _| known.contains(&(connection.as_str(), tunnel.as_str())));
        }
    }

    /// How often the traffic of these connections had no tunnel, and for how long; `None`: it never had none.
    pub(super) fn gaps<'n>(&self, connections: impl Iterator<Item = &'n str>) -> Vec<Option<Gaps>> {
        let all = self.lock();
        connections.map(|connection| all.get(connection)?.gaps).collect()
    }

    /// How often the SAs of these tunnels, by the names of their connections and their own, were rekeyed, and how long that
    /// took; `None`: they were not.
    pub(super) fn rekeys<'n>(
        &self,
        tunnels: impl Iterator<Item = (&'n str, &'n str)>,
    ) -> Vec<Option<Rekeys>> {
        let all = self.lock();
        tunnels.map(|(connection, tunnel)| all.get(connection)?.rekeys.get(tunnel).copied()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Durations>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Durations {
    const NONE: Self = Self { gaps: None, rekeys: BTreeMap::new() };
}

impl Rekeys {
    const NONE: Self = Self { ike: Histogram::new(&REKEYS), child: Histogram::new(&REKEYS) };

    /// Those of one of the SAs.
    pub(super) const fn of(&self, sa: Sa) -> &Took {
        match sa {
            Sa::Ike => &self.ike,
            Sa::Child => &self.child,
        }
    }
}

/// Upper bounds in seconds. A probe of 300 ms gives a tunnel up within 0.9 s; a BGP session alone, within its hold time.
pub(super) static GAPS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 90.0, 180.0];
/// Upper bounds in seconds, few of them since there are two sets for each tunnel: a round trip and a key exchange take up to a
/// quarter of a second, and who answers sends with the new child when the peer has shown that it has it; beyond that
/// something was lost and sent again.
pub(super) static REKEYS: [f64; 7] = [0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

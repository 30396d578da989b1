//! Durations, counted into buckets as they happen: a page that is made now and then would not see them otherwise.

use core::time::Duration;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::histogram::Histogram;
use crate::api::messages::Sa;

/// The histograms; a clone is another handle on the same.
#[derive(Clone, Debug, Default)]
pub struct Meters(Arc<Mutex<BTreeMap<String, Durations>>>);

/// Those of a connection; `None`: nothing of the kind has happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    /// How long its traffic had no tunnel.
    pub(super) gaps: Option<Histogram<{ GAPS.len() }>>,
    ike_rekeys: Option<Took>,
    child_rekeys: Option<Took>,
}

/// How long rekeys of an SA took.
pub(super) type Took = Histogram<{ REKEYS.len() }>;

impl Meters {
    /// The traffic of a connection had no tunnel for so long.
    pub fn failed_over(&self, connection: &str, gap: Duration) {
        let mut all = self.lock();
        let durations = all.entry(connection.to_owned()).or_default();
        durations.gaps.get_or_insert(Histogram::new(&GAPS)).observe(gap);
    }

    /// An SA of one of a connection's tunnels was rekeyed within so long.
    pub fn rekeyed(&self, connection: &str, sa: Sa, took: Duration) {
        let mut all = self.lock();
        let durations = all.entry(connection.to_owned()).or_default();
        let rekeys = match sa {
            Sa::Ike => &mut durations.ike_rekeys,
            Sa::Child => &mut durations.child_rekeys,
        };
        rekeys.get_or_insert(Histogram::new(&REKEYS)).observe(took);
    }

    /// Forgets all connections but these.
    pub fn keep(&self, known: &HashSet<&str>) {
        self.lock().retain(|connection, _| known.contains(connection.as_str()));
    }

    /// What these connections have.
    pub(super) fn of<'n>(&self, connections: impl Iterator<Item = &'n str>) -> Vec<Durations> {
        let all = self.lock();
        connections.map(|connection| all.get(connection).cloned().unwrap_or_default()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Durations>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Durations {
    /// How long the rekeys of one of the SAs took.
    pub(super) const fn rekeys(&self, sa: Sa) -> Option<&Took> {
        match sa {
            Sa::Ike => self.ike_rekeys.as_ref(),
            Sa::Child => self.child_rekeys.as_ref(),
        }
    }
}

/// Upper bounds in seconds. A probe of 300 ms gives a tunnel up within 0.9 s; a BGP session alone, within its hold time.
pub(super) static GAPS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 90.0, 180.0];
/// Upper bounds in seconds, few of them since there are two sets for each connection: a round trip and a key exchange take up to a
/// quarter of a second, and who answers sends with the new child when the peer has shown that it has it; beyond that
/// something was lost and sent again.
pub(super) static REKEYS: [f64; 7] = [0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

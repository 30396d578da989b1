//! Durations, counted into buckets as they happen: a page that is made now and then would not see them otherwise.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::histogram::Histogram;

/// The histograms; a clone is another handle on the same.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// By the connection's name.
    failovers: Arc<Mutex<BTreeMap<String, Histogram>>>,
}

impl Meters {
    /// The traffic of a connection had no tunnel for so long.
    pub fn failed_over(&self, connection: &str, gap: Duration) {
        let mut failovers = self.failovers.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = failovers.entry(connection.to_owned()).or_insert_with(histogram);
        histogram.observe(gap.as_secs_f64());
    }

    /// Forgets connections that are configured no longer.
    pub fn keep(&self, is_known: impl Fn(&str) -> bool) {
        let mut failovers = self.failovers.lock().unwrap_or_else(PoisonError::into_inner);
        failovers.retain(|connection, _| is_known(connection));
    }

    /// How often the traffic of each connection had no tunnel, and for how long.
    pub(super) fn failovers(&self) -> Vec<(String, Histogram)> {
        let failovers = self.failovers.lock().unwrap_or_else(PoisonError::into_inner);
        failovers.iter().map(|(connection, histogram)| (connection.clone(), histogram.clone())).collect()
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// Upper bounds in seconds. A probe of 300 ms gives a tunnel up within 0.9 s; a BGP session alone, within its hold time.
const BUCKETS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 90.0, 180.0];

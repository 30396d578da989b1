//! The last hour of each tunnel: rates, round trips and drops, a sample every five seconds. Pure: a status and the time go
//! in, samples come out. It lives as long as the daemon and is kept only where somebody can look at it (`[gateway] web`).

pub mod rates;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use self::rates::Rates;
use crate::api::status::{EspStatus, Status};

/// What happened to one tunnel between two looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// When the interval ended, in seconds of the clock that [`History::take`] is told.
    pub at_s: u64,
    /// Bits a second received, sent, and packets a second dropped.
    #[serde(flatten)]
    pub rates: Rates,
    /// The round trip at its end in milliseconds; `None` while the probe has no answer.
    pub rtt_ms: Option<f32>,
}

/// The samples of all tunnels.
#[derive(Debug, Default)]
pub struct History {
    tracks: BTreeMap<Name, Track>,
    taken: Option<Duration>,
}

/// Connection and tunnel.
type Name = (String, String);

#[derive(Debug)]
struct Track {
    counters: EspStatus,
    samples: VecDeque<Sample>,
}

impl History {
    /// Whether the next sample is due.
    pub fn is_due(&self, now: Duration) -> bool {
        self.taken.is_none_or(|taken| now.saturating_sub(taken) >= PERIOD)
    }

    /// Takes a sample of each tunnel. One that the status does not have is forgotten; beyond [`MAX_TUNNELS`] those that were
    /// there first are kept.
    pub fn take(&mut self, now: Duration, status: &Status) {
        let elapsed = self.taken.map_or(Duration::ZERO, |taken| now.saturating_sub(taken));
        self.taken = Some(now);
        let mut before = core::mem::take(&mut self.tracks);
        for (connection, tunnel) in status.tunnels().take(MAX_TUNNELS) {
            let name = (connection.name.clone(), tunnel.name.clone());
            let mut track = before.remove(&name).unwrap_or_else(|| Track::new(&tunnel.esp));
            if let Some(rates) = Rates::between(&track.counters, &tunnel.esp, elapsed) {
                let rtt_ms = tunnel.probe.rtt_ms.map(narrow);
                track.push(Sample { at_s: now.as_secs(), rates, rtt_ms });
            }
            track.counters.clone_from(&tunnel.esp);
            self.tracks.insert(name, track);
        }
    }

    /// The samples of a tunnel, the oldest first; `None`: there is no such tunnel.
    pub fn of(&self, connection: &str, tunnel: &str) -> Option<&VecDeque<Sample>> {
        self.tracks.get(&(connection.to_owned(), tunnel.to_owned())).map(|track| &track.samples)
    }
}

impl Track {
    fn new(counters: &EspStatus) -> Self {
        Self { counters: counters.clone(), samples: VecDeque::new() }
    }

    fn push(&mut self, sample: Sample) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a plot shows three digits")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

/// Between two samples.
pub const PERIOD: Duration = Duration::from_secs(5);
/// Samples of a tunnel: an hour.
pub const SAMPLES: usize = 720;
/// Tunnels that have a history: at 24 octets a sample, they have 18 MB.
pub const MAX_TUNNELS: usize = 1024;

#[cfg(test)]
mod tests;

//! What is wrong with a tunnel that has its SAs, or soon will be: from its counters over the last minute to [`Finding`]s with
//! stable codes.
//!
//! Pure: counters, replies and time come in, findings and echoes of a chosen size go out. What a link says of itself (why
//! IKE failed, why a BGP session ended) is not here; the order of the chain is made in `daemon::status`.

pub mod finding;
pub mod path;
pub mod rates;
pub mod routes;
pub mod silence;
pub mod unacknowledged;
pub mod unheard;
pub mod window;

use gotthard_ike::Time;

pub use self::finding::{Finding, Link};
use self::path::PathProbe;
use self::silence::{Echoes, Silence, Wire};
use self::unacknowledged::Unacknowledged;
use self::unheard::{Spoken, Unheard};
use self::window::{Sample, Window};
use crate::config::ceilings::Ceilings;

/// What is known of one tunnel over time.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    window: Window,
    silence: Silence,
    unacknowledged: Unacknowledged,
    unheard: Unheard,
    /// How large packets may be that pass.
    pub path: PathProbe,
}

impl Diagnosis {
    /// Takes the counters of a tunnel that has its SAs, about once a second; `mtu` is the tunnel's, `whole` the TCP of all the
    /// tunnels of its connection.
    pub fn take(&mut self, now: Time, sample: &Sample, mtu: u16, echoes: Echoes, whole: Spoken) {
        self.silence.take(now, sample.rx_packets, sample.tx_packets);
        self.unacknowledged.take(now, sample, echoes.answered);
        self.unheard.take(now, sample, echoes, whole);
        if self.window.take(now, sample)
            && let Some(change) = self.window.over(path::LOOK)
            && change.stalls(mtu)
        {
            self.path.suspect();
        }
    }

    /// It has no SAs: silence means nothing, and the path may be another when it comes up again.
    pub fn rest(&mut self) {
        self.silence = Silence::default();
        self.unacknowledged = Unacknowledged::default();
        self.unheard = Unheard::default();
        self.path = PathProbe::default();
    }

    /// The peer has answered under its IKE SA.
    pub const fn on_ike(&mut self, now: Time) {
        self.silence.on_ike(now);
        self.unacknowledged.on_ike(now);
    }

    /// Something came through another tunnel of the connection, whose peer answers no echo: it may be what this one waits for.
    pub const fn on_other(&mut self, now: Time) {
        self.unacknowledged.on_other(now);
    }

    /// ESP is lost, ours at least, by evidence that traffic may be moved for: since when.
    pub fn lost_since(&self) -> Option<Time> {
        self.unacknowledged.lost_since().or_else(|| self.unheard.lost_since())
    }

    /// It is, and the peer's arrives.
    pub fn is_unheard(&self) -> bool {
        self.unheard.lost_since().is_some()
    }

    /// What is found, the most harmful first.
    pub fn findings(&self, now: Time, echoes: Echoes, wire: Wire, ceilings: &Ceilings) -> Vec<Finding> {
        let silent = self.silence.finding(now, echoes, wire, self.unacknowledged.is_lost());
        let narrow = self.path.finding();
        let silent = silent.or_else(|| self.unheard.finding(wire));
        silent.into_iter().chain(narrow).chain(rates::findings(ceilings, &self.window)).collect()
    }
}

#[cfg(test)]
mod tests;

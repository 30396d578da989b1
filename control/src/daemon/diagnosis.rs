//! The diagnosis of each tunnel at work: fed with counters, echoes of chosen sizes sent for it, and its findings read.

use std::collections::HashMap;

use gotthard_ike::Time;
use gotthard_ike::config::{Encapsulation, PeerId};
use tracing::{debug, info, warn};

use super::gateway::Gateway;
use super::record::{Record, escaped};
use crate::bgp::refusal::Refusal;
use crate::bgp::speaker::{Refused, Speaker};
use crate::config::ceilings::Ceilings;
use crate::diagnose::routes::{self, Session};
use crate::diagnose::silence::{Echoes, Wire};
use crate::diagnose::unheard::Spoken;
use crate::diagnose::window::Sample;
use crate::diagnose::{Finding, path};
use crate::events::kind;
use crate::install::Traffic;

impl Gateway {
    /// Once a second: sends what is to be learnt about the paths of tunnels that seem to lose large packets.
    pub(super) fn measure_paths(&mut self) {
        let now = self.clock.now();
        for record in self.records.values_mut() {
            record.measure_path(now);
        }
    }

    /// Takes the counters of all tunnels as they were just read: a decision is due where they change what the ESP of one is
    /// worth.
    pub(super) fn diagnose(&mut self, now: Time) {
        let mut spoken: HashMap<String, Spoken> = HashMap::new();
        for record in self.records.values() {
            let whole = spoken.entry(record.connection.name.clone()).or_default();
            *whole = whole.plus(record.spoken());
        }
        for record in self.records.values_mut() {
            let whole = spoken.get(&record.connection.name).copied().unwrap_or_default();
            self.unsettled |= record.diagnose(now, whole);
        }
    }

    /// The peer has answered an echo of a chosen size.
    pub(super) fn large_echo_answered(&mut self, id: PeerId, sequence: u16, size: u16, at: Time) {
        let Some(record) = self.records.get_mut(&id) else { return };
        record.diagnosis.path.on_reply(at, sequence, size);
        record.measure_path(at);
    }

    /// What is found of a tunnel, in the order of the chain.
    pub(super) fn findings(&self, record: &Record, ceilings: &Ceilings, now: Time) -> Vec<Finding> {
        let mut found = record.findings(ceilings, now);
        found.extend(session_findings(&self.bgp.speaker, record.id, now));
        // Those that break nothing come last.
        found.sort_by_key(|finding| finding.breaks().map_or((1, None), |link| (0, Some(link))));
        found
    }
}

impl Record {
    /// Takes its counters as they were just read; true if they change what its ESP is worth.
    fn diagnose(&mut self, now: Time, whole: Spoken) -> bool {
        let before = self.lost_since();
        match self.mtu.filter(|_| self.state.child().is_some()) {
            Some(mtu) => {
                let sample = sample(&self.traffic());
                let echoes = self.echoes();
                self.diagnosis.take(now, &sample, mtu, echoes, whole);
            }
            None => self.diagnosis.rest(),
        }
        let after = self.lost_since();
        match (before, after) {
            (None, Some(_)) if self.is_wanted() => self.span().in_scope(|| {
                let (code, why) = if self.diagnosis.is_unheard() { UNHEARD } else { UNACKNOWLEDGED };
                warn!(code, event = kind::PEER_SILENT, "{why}");
            }),
            (Some(_), None) if self.state.child().is_some() && self.is_wanted() => {
                self.span().in_scope(|| {
                    info!(event = kind::PEER_HEARD, "the tunnel may carry again");
                });
            }
            _ => {}
        }
        before.is_some() != after.is_some()
    }

    /// Since when its ESP is taken for lost, ours at least.
    pub(super) fn lost_since(&self) -> Option<Time> {
        self.diagnosis.lost_since()
    }

    /// The peer has answered an echo through the tunnel.
    pub(super) fn answers_echoes(&self) -> bool {
        self.prober.as_ref().is_some_and(|prober| prober.probe.has_answered())
    }

    fn measure_path(&mut self, now: Time) {
        let (Some(mtu), Some(prober)) = (self.mtu, &self.prober) else { return };
        // A peer that answers no echo says nothing of the path.
        if !prober.probe.has_answered() {
            return;
        }
        let Some(path::Echo { sequence, size }) = self.diagnosis.path.poll(now, mtu) else { return };
        if let Some(Err(error)) = prober.socket.as_ref().map(|socket| socket.send_padded(sequence, size)) {
            self.span().in_scope(|| debug!(%error, size, "an echo was not sent"));
        }
    }

    fn findings(&self, ceilings: &Ceilings, now: Time) -> Vec<Finding> {
        let refused = self.state.rekey_refused().map(|why| Finding::RekeyRefused(escaped(why)));
        let Some(child) = self.state.child() else { return refused.into_iter().collect() };
        let wire = match child.encapsulation {
            Encapsulation::Esp => Wire::Esp,
            Encapsulation::Udp | Encapsulation::Auto => Wire::Udp,
        };
        self.diagnosis.findings(now, self.echoes(), wire, ceilings).into_iter().chain(refused).collect()
    }

    fn echoes(&self) -> Echoes {
        let probe = self.prober.as_ref().map(|prober| &prober.probe);
        probe.map_or_else(Echoes::default, |probe| Echoes {
            sent: u64::from(probe.sent()),
            unanswered: u64::from(probe.unanswered()),
            in_vain_since: probe.in_vain_since(),
            answered: probe.has_answered(),
        })
    }
}

fn session_findings(speaker: &Speaker<PeerId>, id: PeerId, now: Time) -> Vec<Finding> {
    let Some(view) = speaker.session(id) else { return Vec::new() };
    let Some(since) = view.since else { return Vec::new() };
    let session = Session { since, taken: view.received, told: view.sent };
    routes::findings(now, session, first_refused(speaker, id))
}

/// Our own network first: that the cloud has the same one explains the others.
fn first_refused(speaker: &Speaker<PeerId>, id: PeerId) -> Option<routes::Refused> {
    let own = |refused: &Refused<'_>| !matches!(refused.refusal, Refusal::OwnNetwork(_));
    let Refused { prefix, refusal } = speaker.refused(id).min_by_key(own)?;
    let (code, why, remedy) = (refusal.code(), refusal.to_string(), refusal.remedy());
    Some(routes::Refused { prefix, code, why, remedy })
}

fn sample(traffic: &Traffic) -> Sample {
    let late = traffic.drops.get("replay_late").copied().unwrap_or_default();
    Sample {
        rx_packets: traffic.rx_packets,
        rx_bytes: traffic.rx_bytes,
        tx_packets: traffic.tx_packets,
        tx_bytes: traffic.tx_bytes,
        tx_openings: traffic.tx_openings,
        tx_segments: traffic.tx_segments,
        rx_answers: traffic.rx_answers,
        replayed: traffic.replay.saturating_add(late),
        damaged: traffic.icv,
    }
}

/// What is told when traffic may move for it.
const UNHEARD: (&str, &str) = ("GTH-ESP-04", "the peer's ESP arrives and ours does not");
const UNACKNOWLEDGED: (&str, &str) = ("GTH-ESP-03", "IKE is answered and TCP in the tunnel is not");

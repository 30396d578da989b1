//! A tunnel that carries one way, or none, though IKE is answered: the commonest fault of a firewall on the way.
//!
//! Nothing tells from one end in which direction the packets are lost when none comes back; where some come it is
//! [`super::unheard`].

use core::time::Duration;

use gotthard_ike::Time;

use super::finding::Finding;

/// When something last came out of the tunnel, and what was sent since.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence {
    /// The counters as they were last taken; `None`: not yet.
    now: Option<Counts>,
    /// As they were when something had last come out of the tunnel, or when it came up.
    heard: Counts,
    /// Something has come since it came up.
    came: bool,
    /// When the peer last answered under its IKE SA.
    answered: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    at: Time,
    rx: u64,
    tx: u64,
}

/// What became of the probe's echoes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Echoes {
    /// Sent since the tunnel came up.
    pub sent: u64,
    /// Sent since the last one that was answered, or all.
    pub unanswered: u64,
    /// When the first of those was sent.
    pub in_vain_since: Option<Time>,
    /// The peer has answered one.
    pub answered: bool,
}

/// How ESP crosses the outer network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// In UDP, port 4500 (RFC 3948).
    Udp,
    /// As IP protocol 50.
    Esp,
}

impl Silence {
    /// Takes the tunnel's counters of packets.
    pub(super) const fn take(&mut self, now: Time, rx: u64, tx: u64) {
        let counts = Counts { at: now, rx, tx };
        match self.now {
            Some(before) if rx == before.rx => {}
            Some(_) => (self.heard, self.came) = (counts, true),
            None => self.heard = counts,
        }
        self.now = Some(counts);
    }

    /// The peer has answered under its IKE SA.
    pub(super) const fn on_ike(&mut self, now: Time) {
        self.answered = Some(now);
    }

    /// `lost`: there is other evidence ([`super::unacknowledged`]).
    pub(super) fn finding(&self, now: Time, echoes: Echoes, wire: Wire, lost: bool) -> Option<Finding> {
        let counts = self.now?;
        let quiet = now.saturating_since(self.heard.at);
        if quiet < PATIENCE {
            return None;
        }
        let after_silence = |at: Time| at > self.heard.at && now.saturating_since(at) <= RECENT;
        if !self.answered.is_some_and(after_silence) {
            return None;
        }
        let sent = counts.tx.saturating_sub(self.heard.tx);
        // Not every cloud answers echoes: of a peer that has not, they prove nothing, and nor does a pause.
        let asked = match (echoes.answered, self.came) {
            (true, _) => sent,
            (false, false) => sent.saturating_sub(echoes.sent),
            (false, true) => 0,
        };
        (lost || asked >= ENOUGH).then_some(Finding::OneWay { packets: sent, seconds: quiet.as_secs(), wire })
    }
}

/// Silence that is no accident. Three lost echoes move the traffic long before; here it is asked why.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer under the IKE SA that is older proves nothing of the present.
const RECENT: Duration = Duration::from_secs(20);
/// Packets without an answer that are no accident.
const ENOUGH: u64 = 10;

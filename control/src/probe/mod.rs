//! Whether the peer lives, from inside one tunnel: what is cheapest first, and told within three probe intervals.
//!
//! 1. Inbound ESP was seen: it lived then, and nothing is sent.
//! 2. An interval without any: an echo to the peer's inside address ([`echo`]). Three without an answer, spread over two
//!    further intervals, and it is down: with 300 ms, 0.9 s after the last sign of life.
//! 3. The peer has never answered an echo (Azure's gateways do not): the liveness of its IKE SA stands for it (RFC 7296
//!    §2.4), which tells nothing of ESP and is slower to answer, so it is asked four times more seldom.
//!
//! Beside traffic an echo goes every ten intervals, and every one as soon as one is in vain: whether what we send is lost while
//! packets come is told by [`crate::diagnose::unheard`].
//!
//! Pure: counters, replies and time come in, [`Ask`]s go out. A driver that slept counts no miss that it did not ask for:
//! after a suspend every peer is asked three times before it is down. One sign of life brings a tunnel up again; that its
//! traffic does not come and go with each is the work of [`crate::failover::damping`].

pub mod echo;
pub mod socket;

use core::time::Duration;

use gotthard_ike::Time;

/// The liveness of one tunnel, from its child SA's first moment; rekeys do not start it anew.
#[derive(Clone, Debug)]
pub struct Probe {
    interval: Duration,
    /// Inbound packets at the last poll.
    received: u64,
    heard: Time,
    /// Since it was heard: when it was last asked.
    asked: Option<Time>,
    /// Since it was heard: how often it was asked in vain.
    misses: u32,
    echoes: Echoes,
}

/// What has arrived through the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// How many authentic packets in all, echo replies among them.
    pub packets: u64,
    /// When the latest did.
    pub latest: Option<Time>,
}

/// What to ask of the peer at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Send an echo with this sequence number.
    pub echo: Option<u16>,
    /// Check the liveness of the IKE SA.
    pub ike: bool,
}

/// What the probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// The peer lives.
    Up,
    /// It was asked three times, and nothing was heard.
    Down,
}

impl Probe {
    /// A tunnel that has just come up, which only a living peer can do. `received` counts its inbound packets.
    pub fn new(now: Time, interval: Duration, received: u64) -> Self {
        Self { interval, received, heard: now, asked: None, misses: 0, echoes: Echoes::default() }
    }

    /// Takes what has arrived; returns what to ask. To be called at [`Self::next`]; earlier does no harm.
    pub fn poll(&mut self, now: Time, inbound: Inbound) -> Ask {
        if core::mem::replace(&mut self.received, inbound.packets) < inbound.packets {
            // The reply to an echo is one of them and was heard already.
            self.hear(inbound.latest.unwrap_or(now));
        }
        if now >= self.due() {
            self.misses = self.misses.saturating_add(u32::from(self.asked.is_some()));
            self.asked = Some(now);
            return Ask { echo: Some(self.echoes.send(now)), ike: !self.echoes.answered };
        }
        let wanted = now >= self.echoes.due(self.interval);
        Ask { echo: wanted.then(|| self.echoes.send(now)), ike: false }
    }

    /// Takes the reply to an echo. A number that was not asked for, or too long ago, says nothing.
    pub fn on_reply(&mut self, now: Time, sequence: u16) {
        if self.echoes.on_reply(now, sequence) {
            self.hear(now);
        }
    }

    /// The peer answered over the IKE SA. Of a peer that answers echoes it says nothing: its ESP may be dead all the same.
    pub fn on_ike(&mut self, now: Time) {
        if !self.echoes.answered {
            self.hear(now);
        }
    }

    /// The host's own way to the peer was lost, which nobody needs three echoes to believe: it is down until it is heard of.
    pub fn on_path_lost(&mut self, now: Time) {
        self.heard = now + IN_FLIGHT;
        self.asked = Some(now);
        self.misses = MISSES;
    }

    /// When [`Self::poll`] is due.
    pub fn next(&self) -> Time {
        self.due().min(self.echoes.due(self.interval))
    }

    /// What it says.
    pub const fn liveness(&self) -> Liveness {
        if self.misses < MISSES { Liveness::Up } else { Liveness::Down }
    }

    /// When it was heard last; where the way to it was lost, a moment after that.
    pub const fn heard(&self) -> Time {
        self.heard
    }

    /// The smoothed round trip time; `None` until the first reply.
    pub const fn rtt(&self) -> Option<Duration> {
        self.echoes.rtt
    }

    /// Echoes that were sent in all.
    pub const fn sent(&self) -> u32 {
        self.echoes.tries
    }

    /// Echoes since the last that was answered, or all.
    pub const fn unanswered(&self) -> u32 {
        self.echoes.unanswered
    }

    /// When the first of those was sent.
    pub const fn in_vain_since(&self) -> Option<Time> {
        self.echoes.in_vain_since
    }

    /// Whether the peer has answered an echo.
    pub const fn has_answered(&self) -> bool {
        self.echoes.answered
    }

    fn hear(&mut self, at: Time) {
        if at > self.heard {
            self.heard = at;
            self.asked = None;
            self.misses = 0;
        }
    }

    /// When the peer is to be asked next, if nothing is heard.
    fn due(&self) -> Time {
        let pace = self.interval * if self.echoes.answered { 1 } else { IKE_PACE };
        match self.asked {
            None => self.heard + pace,
            // All the echoes fit into what is left of as many intervals as may be missed; a path that is slower than
            // that gets the time it needs.
            Some(at) => {
                let share = pace * (MISSES - 1) / MISSES;
                at + share.max(self.echoes.rtt.unwrap_or_default() * 2)
            }
        }
    }
}

/// The echoes under way, and what the answered ones told.
#[derive(Clone, Debug, Default)]
struct Echoes {
    sequence: u16,
    last: Option<Time>,
    /// The latest, each in the place of the one [`UNDER_WAY`] before it.
    sent: [Option<(u16, Time)>; UNDER_WAY],
    /// How many were sent in all.
    tries: u32,
    /// How many since the last one that was answered.
    unanswered: u32,
    /// When the first of those was sent.
    in_vain_since: Option<Time>,
    /// The peer has answered one.
    answered: bool,
    rtt: Option<Duration>,
}

impl Echoes {
    fn send(&mut self, now: Time) -> u16 {
        self.sequence = self.sequence.wrapping_add(1);
        self.tries = self.tries.saturating_add(1);
        self.unanswered = self.unanswered.saturating_add(1);
        self.in_vain_since.get_or_insert(now);
        self.last = Some(now);
        self.sent.rotate_right(1);
        if let Some(slot) = self.sent.first_mut() {
            *slot = Some((self.sequence, now));
        }
        self.sequence
    }

    /// When the next is to be sent though the peer lives: soon while it is not known whether it answers any or when one that did
    /// has left one out, and later because its round trip time grows old.
    fn due(&self, interval: Duration) -> Time {
        let Some(last) = self.last else { return Time::ZERO };
        let tries = if self.answered { self.unanswered > 1 } else { self.tries < TRIES };
        last + interval * if tries { 1 } else { REFRESH }
    }

    /// True if this answers an echo under way.
    fn on_reply(&mut self, now: Time, sequence: u16) -> bool {
        let asked = |slot: &&mut Option<(u16, Time)>| slot.is_some_and(|(number, _)| number == sequence);
        let Some((_, sent)) = self.sent.iter_mut().find(asked).and_then(Option::take) else { return false };
        (self.unanswered, self.in_vain_since) = (0, None);
        let sample = now.saturating_since(sent);
        if sample > SLOWEST {
            return false;
        }
        // RFC 6298 §2.3: an eighth of the new one.
        self.rtt = Some(self.rtt.map_or(sample, |before| (before * 7 + sample) / 8));
        self.answered = true;
        true
    }
}

/// Echoes in vain until the peer is down.
pub const MISSES: u32 = 3;
/// How much more seldom a peer is asked that answers over its IKE SA alone: an exchange costs both ends more than an echo,
/// and a gateway under load answers it late.
const IKE_PACE: u32 = 4;
/// Echoes after which a peer that has answered none is one that answers none: the first ones may be ahead of its routes.
const TRIES: u32 = 10;
/// Intervals after which a round trip time is old.
const REFRESH: u32 = 10;
/// A reply that took longer was kept while one of the machines slept: as a round trip time it would spoil the estimate.
const SLOWEST: Duration = Duration::from_secs(3);
/// What had arrived when the way was lost is taken from the sockets within this time, and says nothing of the peer.
const IN_FLIGHT: Duration = Duration::from_millis(50);
/// Echoes whose reply is waited for.
const UNDER_WAY: usize = 8;

#[cfg(test)]
mod tests;

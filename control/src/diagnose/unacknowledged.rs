//! Whether the ESP of a tunnel is lost whose peer answers no echo: what failover goes by where the probe knows of IKE alone.
//!
//! Silence is no evidence there, since a flow of UDP may have no answers. TCP has: whatever takes up sequence numbers is
//! acknowledged (RFC 9293 §3.4). So ESP is taken for lost when
//!
//! 1. `ENOUGH` segments with data were sent, and nothing at all came out of the tunnel;
//! 2. the peer answered under its IKE SA meanwhile and lately: the path is there. `PATIENCE` counts from the first segment after
//!    that, and it takes another one;
//! 3. the tunnel has carried something before. One that never has may have its answers come through another tunnel: it is
//!    lost only if nothing comes there either, and then a SYN counts too.
//!
//! A host that dies with the only connection there is looks the same. It costs one move, because the next tunnel is then
//! lost too. What was found is believed until something comes, or until it is old and nothing is sent in vain any more: a
//! tunnel that carries nothing cannot show that it was mended. Pure.

use core::time::Duration;

use gotthard_ike::Time;

use super::window::Sample;

/// The evidence against one tunnel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unacknowledged {
    /// When the counters were last taken, and as they were; `None`: not yet.
    last: Option<(Time, Sample)>,
    /// When something had last come out of the tunnel, or when it came up.
    heard: Time,
    /// Something has come since it came up.
    came: bool,
    /// When the peer last answered under its IKE SA.
    answered: Option<Time>,
    /// When something last came through another tunnel of the connection.
    elsewhere: Option<Time>,
    /// Segments sent since something came.
    sent: u64,
    /// And of those what was sent when the peer had answered under its IKE SA.
    vain: Option<Vain>,
    /// Until when it is taken for lost.
    lost_until: Option<Time>,
    /// How often it was, since something came.
    times: u32,
}

/// Segments without an answer.
#[derive(Clone, Copy, Debug)]
struct Vain {
    since: Time,
    latest: Time,
    /// Seconds in which there were any.
    times: u64,
}

impl Unacknowledged {
    /// Takes the tunnel's counters, about once a second. `echoes`: the peer answers them, so that the probe knows better.
    pub(super) fn take(&mut self, now: Time, sample: &Sample, echoes: bool) {
        let Some((before, last)) = self.last.replace((now, *sample)) else {
            self.heard = now;
            return;
        };
        if echoes || sample.rx_packets != last.rx_packets {
            let came = self.came || sample.rx_packets != last.rx_packets;
            let Self { last, answered, elsewhere, .. } = *self;
            *self = Self { last, heard: now, came, answered, elsewhere, ..Self::default() };
            return;
        }
        // Who slept has not watched: what waits is sent at once then, and no answer had the time to come.
        if now.saturating_since(before) > WATCHED && !self.is_lost() {
            (self.vain, self.sent) = (None, 0);
        }
        let openings = if self.came { 0 } else { sample.tx_openings.saturating_sub(last.tx_openings) };
        let segments = sample.tx_segments.saturating_sub(last.tx_segments).saturating_add(openings);
        self.sent = self.sent.saturating_add(segments);
        if segments > 0 && self.answered.is_some_and(|at| at > self.heard) {
            let vain = self.vain.get_or_insert(Vain { since: now, latest: now, times: 0 });
            vain.times = vain.times.saturating_add(1);
            vain.latest = now;
        }
        self.judge(now);
    }

    /// The peer has answered under its IKE SA.
    pub(super) const fn on_ike(&mut self, now: Time) {
        self.answered = Some(now);
    }

    /// Something came through another tunnel of the connection.
    pub(super) const fn on_other(&mut self, now: Time) {
        self.elsewhere = Some(now);
    }

    /// ESP is taken for lost.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost_until.is_some()
    }

    /// While ESP is taken for lost: when the first segment was sent in vain.
    pub(super) fn lost_since(&self) -> Option<Time> {
        self.lost_until.and(self.vain).map(|vain| vain.since)
    }

    fn judge(&mut self, now: Time) {
        match self.lost_until {
            Some(until) if now < until => return,
            // What is sent in vain all the while makes the evidence new.
            Some(_) if self.vain.is_none_or(|vain| now.saturating_since(vain.latest) > LATELY) => {
                (self.vain, self.sent) = (None, 0);
            }
            Some(_) | None => {}
        }
        if self.convicts(now) {
            self.lost_until = Some(now + belief(self.times));
            self.times = self.times.saturating_add(1);
        } else {
            self.lost_until = None;
        }
    }

    fn convicts(&self, now: Time) -> bool {
        let Some(Vain { since, times, .. }) = self.vain else { return false };
        let answers = self.answered.is_some_and(|at| now.saturating_since(at) <= RECENT);
        let answered_elsewhere = !self.came && self.elsewhere.is_some_and(|at| at >= since);
        self.sent >= ENOUGH
            && times >= AGAIN
            && now.saturating_since(since) >= PATIENCE
            && answers
            && !answered_elsewhere
    }
}

/// How long it is believed that was found so often before.
fn belief(times: u32) -> Duration {
    FIRST_BELIEF.saturating_mul(1 << times.min(MOST_DOUBLINGS)).min(LONGEST_BELIEF)
}

/// No path and no host takes so long to acknowledge.
const PATIENCE: Duration = Duration::from_secs(10);
/// A lone connection repeats itself five times within 7 s (RFC 6298, with Linux's shortest timer of 200 ms).
const ENOUGH: u64 = 5;
/// Two of them 3 and 6 s after it was cut, when the peer has answered IKE.
const AGAIN: u64 = 2;
/// An answer under the IKE SA that is older proves nothing of the present.
const RECENT: Duration = Duration::from_secs(20);
/// The longest time between two looks at the counters.
const WATCHED: Duration = Duration::from_secs(5);
/// A tunnel that may carry again, where it is the better one, is tried again: 10 s of its flows are lost if it is not mended.
const FIRST_BELIEF: Duration = Duration::from_mins(5);
/// A connection repeats itself at least this often (RFC 6298 §5.5, with Linux's longest timer).
const LATELY: Duration = Duration::from_mins(2);
const LONGEST_BELIEF: Duration = Duration::from_hours(1);
const MOST_DOUBLINGS: u32 = 8;

#[cfg(test)]
mod tests;

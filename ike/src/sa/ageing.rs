//! What time does to an IKE SA: retransmission, rekeys, liveness checks, and its end.

use super::ike_sa::{IkeSa, State};
use super::retransmit::Step;
use super::task::{Asked, Task};
use super::{Cx, NATT_PORT};
use crate::Time;
use crate::error::{Failure, Sa};
use crate::limits;

impl IkeSa {
    /// Does what is due, except [`Self::take_reauthentication`].
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.channel.expire(cx.now);
        self.retransmit(cx);
        self.age_children(cx);
        match self.state {
            State::Up => self.age(cx),
            State::Candidate { until } | State::Redundant { until } if until <= cx.now => self.delete(None),
            State::Lingering { until } if until <= cx.now => self.vanish(cx),
            State::Candidate { .. }
            | State::Redundant { .. }
            | State::Lingering { .. }
            | State::Closing
            | State::Gone => {}
        }
    }

    /// Whether another IKE SA with a new authentication is to take its place now. If none does, it is asked for again
    /// later.
    pub(crate) fn take_reauthentication(&mut self, now: Time) -> bool {
        let due = self.state == State::Up && self.reauthenticate_at.is_some_and(|at| at <= now);
        if due {
            self.reauthenticate_at = Some(now + limits::REAUTHENTICATE_AGAIN);
        }
        due
    }

    /// A rekey is refused for good, of this SA or of its child. Another IKE SA brings both anew, half way to the end of
    /// the one that could not be rekeyed.
    pub(crate) fn reauthenticate_before(&mut self, hard: Time, now: Time) {
        let at = now + (hard - now) / 2;
        self.reauthenticate_at = Some(self.reauthenticate_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// The peer has put our rekey of this SA off.
    pub(crate) fn retry_rekey(&mut self, cx: &mut Cx<'_>) {
        self.lifetime.retry_at(Self::retry_rekey_at(self.lifetime.hard(), cx));
    }

    /// The end of this SA, if nothing takes its place before.
    pub(crate) const fn hard(&self) -> Time {
        self.lifetime.hard()
    }

    /// When the rekey of an SA that ends at `hard` is to be tried again: at another moment than the peer's.
    pub(crate) fn retry_rekey_at(hard: Time, cx: &mut Cx<'_>) -> Time {
        let longest = limits::REKEY_RETRY.min((hard - cx.now) / 4);
        cx.now + longest / 2 + cx.below(longest / 2)
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let in_state = match self.state {
            State::Up => {
                let childless = self.childless_since.filter(|_| !self.makes_child());
                let childless = childless.map(|since| since + limits::CHILDLESS);
                let own = [Some(self.lifetime.deadline()), self.reauthenticate_at];
                own.into_iter().chain([self.liveness_due(), childless, self.keepalive_due()]).flatten().min()
            }
            State::Candidate { until } | State::Redundant { until } | State::Lingering { until } => {
                Some(until)
            }
            State::Closing | State::Gone => None,
        };
        let answer = if self.is_ended() { None } else { self.requests.in_flight().map(|r| r.back_off.due()) };
        [in_state, answer, self.children.deadline(), self.channel.expires()].into_iter().flatten().min()
    }

    fn retransmit(&mut self, cx: &mut Cx<'_>) {
        if self.is_ended() {
            return;
        }
        let Some(in_flight) = self.requests.in_flight_mut() else { return };
        match in_flight.back_off.step(cx.now, cx.random) {
            Step::Wait => {}
            Step::Resend => {
                self.channel.transmit(&mut in_flight.message, self.path, cx);
            }
            Step::GiveUp => {
                let exchange = in_flight.task.stage();
                self.end(Failure::Timeout { exchange, hint: None }, cx);
                self.vanish(cx);
            }
        }
    }

    fn age(&mut self, cx: &mut Cx<'_>) {
        let childless = self.childless_since.is_some_and(|since| since + limits::CHILDLESS <= cx.now);
        if self.lifetime.is_over(cx.now) {
            self.close(Failure::Lifetime { what: Sa::Ike }, cx);
        } else if childless && !self.makes_child() {
            self.close(Failure::PeerDeleted { what: Sa::Child }, cx);
        } else if self.lifetime.take_soft(cx.now) {
            self.rekey_ike();
        } else if self.liveness_due().is_some_and(|at| at <= cx.now) {
            self.push_task(Task::Liveness);
        }
        if self.keepalive_due().is_some_and(|at| at <= cx.now) {
            self.packet_sent = cx.now;
            cx.keepalive(self.path);
        }
    }

    fn age_children(&mut self, cx: &mut Cx<'_>) {
        // While a child of ours contends with one of the peer's the old one is good for both.
        if self.contended().is_some() {
            self.children.put_off_switch(cx.now);
        } else {
            self.children.switch_due(cx);
        }
        let due = self.children.handle_timeout(&self.peer, cx);
        if due.expired {
            self.close(Failure::Lifetime { what: Sa::Child }, cx);
            return;
        }
        for spi_in in due.left_behind {
            self.close_child(spi_in, cx);
        }
        if self.state == State::Up {
            due.rekey.into_iter().for_each(|spi_in| self.push_task(Task::RekeyChild(spi_in)));
        }
    }

    /// A child is being made, and its answer has its own time.
    fn makes_child(&self) -> bool {
        matches!(self.asked(), Some(Asked::Child(_)))
    }

    /// When the peer's silence is to be questioned. A request in flight is such a question already.
    fn liveness_due(&self) -> Option<Time> {
        let interval = self.peer.config.dpd_interval;
        (self.is_quiet() && !interval.is_zero()).then(|| self.heard + interval)
    }

    /// When the translator before us may be about to forget us. Who is not behind one sends no keepalives.
    fn keepalive_due(&self) -> Option<Time> {
        let translated = self.nat.local && self.path.local.port() == NATT_PORT;
        translated.then(|| self.packet_sent.max(self.channel.sent()) + limits::KEEPALIVE)
    }

    /// Nothing is in flight, and nothing waits but for the secret of a key exchange.
    pub(super) fn is_quiet(&self) -> bool {
        self.requests.in_flight().is_none() && self.tasks.iter().all(|task| task.exchanges_keys())
    }
}

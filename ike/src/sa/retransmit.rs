//! Back-off of one request's retransmissions (RFC 7296 §2.1, §2.4).

use core::time::Duration;

use crate::Time;
use crate::config::Retransmit;
use crate::crypto::Random;

/// When a request is sent again, and when it has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackOff {
    policy: Retransmit,
    sent: u32,
    wait: Duration,
    due: Time,
}

/// What the request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet.
    Wait,
    /// It is to be sent again, octet for octet.
    Resend,
    /// The last transmission was not answered in its time.
    GiveUp,
}

impl BackOff {
    /// For a request that is sent for the first time.
    pub(crate) fn start(policy: Retransmit, now: Time, random: &mut dyn Random) -> Self {
        let wait = policy.initial.min(policy.max);
        Self { policy, sent: 1, wait, due: now + jittered(wait, random) }
    }

    /// Moves on if a transmission's time is over.
    pub(crate) fn step(&mut self, now: Time, random: &mut dyn Random) -> Step {
        if now < self.due {
            return Step::Wait;
        }
        if self.sent >= self.policy.tries {
            return Step::GiveUp;
        }
        self.sent += 1;
        self.wait = self.wait.saturating_mul(2).min(self.policy.max);
        self.due = now + jittered(self.wait, random);
        Step::Resend
    }

    /// When [`Self::step`] has something to do.
    pub(crate) const fn due(&self) -> Time {
        self.due
    }
}

/// Up to an eighth less: two ends, and two tunnels of one end, do not stay in step; the sum is never above the policy's.
fn jittered(wait: Duration, random: &mut dyn Random) -> Duration {
    let mut octet = [0];
    random.fill(&mut octet);
    let [octet] = octet;
    wait.saturating_sub((wait / JITTER_PARTS) * u32::from(octet) / u32::from(u8::MAX))
}

const JITTER_PARTS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    struct Octet(u8);

    impl Random for Octet {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    /// Milliseconds at which the request is sent again, and at which it is given up.
    fn schedule(policy: Retransmit, random: &mut dyn Random) -> (Vec<u128>, u128) {
        let mut back_off = BackOff::start(policy, Time::ZERO, random);
        let mut resent = Vec::new();
        loop {
            let now = back_off.due();
            match back_off.step(now, random) {
                Step::Wait => unreachable!("it is due"),
                Step::Resend => resent.push(now.since_epoch().as_millis()),
                Step::GiveUp => return (resent, now.since_epoch().as_millis()),
            }
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end_after_the_last_try() {
        let (resent, given_up) = schedule(Retransmit::default(), &mut Octet(0));
        assert_eq!(resent, [500, 1500, 3500, 7500]);
        assert_eq!(given_up, 11_500);
    }

    #[test]
    fn jitter_takes_an_eighth_at_most() {
        let (_, given_up) = schedule(Retransmit::default(), &mut Octet(255));
        assert_eq!(given_up, 11_500 * 7 / 8);
    }

    #[test]
    fn a_request_that_is_not_due_waits() {
        let mut back_off = BackOff::start(Retransmit::default(), Time::ZERO, &mut Octet(0));
        assert_eq!(back_off.step(Time::ZERO, &mut Octet(0)), Step::Wait);
    }
}

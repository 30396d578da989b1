//! Whether a tunnel's device shows a carrier, where another routing daemon decides who carries. Pure.
//!
//! A daemon beside us reacts to a carrier at once, and knows nothing of IKE. But a device without a carrier sends nothing,
//! our echoes neither: a tunnel that was given up by the probe alone could not be heard again. It is tried, therefore: the
//! carrier comes back for a few echoes, ever more seldom while they stay unanswered. A BGP session needs longer than that
//! to come up, so that no traffic follows a trial that fails.

use core::time::Duration;

use gotthard_ike::Time;

/// The carrier of one device.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// How long a trial lasts.
    trial: Duration,
    on: bool,
    next: Option<Time>,
    wait: Duration,
}

/// What is known of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its whole chain holds.
    Lives,
    /// It has its SAs, and nothing is heard of the peer.
    Silent,
    /// It has none, or is to carry nothing.
    Dead,
}

impl Carrier {
    /// Off. `probe_interval`: between two echoes.
    pub fn new(probe_interval: Duration) -> Self {
        let trial = (probe_interval * ECHOES).max(SHORTEST_TRIAL);
        Self { trial, on: false, next: None, wait: SHORTEST_WAIT }
    }

    /// Whether there is to be a carrier. To be called when the tunnel's life changes and at [`Self::next`].
    pub fn decide(&mut self, now: Time, life: Life) -> bool {
        let due = self.next.is_none_or(|at| at <= now);
        match life {
            Life::Lives => {
                self.on = true;
                self.next = None;
            }
            Life::Dead => {
                *self = Self { on: false, next: None, wait: SHORTEST_WAIT, ..self.clone() };
            }
            Life::Silent if self.on && self.next.is_none() => {
                self.on = false;
                self.next = Some(now + self.wait);
            }
            Life::Silent if due && self.on => {
                self.on = false;
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
                self.next = Some(now + self.wait);
            }
            Life::Silent if due => {
                self.on = true;
                self.next = Some(now + self.trial);
            }
            Life::Silent => {}
        }
        self.on
    }

    /// When the passing of time alone changes it.
    pub const fn next(&self) -> Option<Time> {
        self.next
    }
}

/// Echoes of a trial.
const ECHOES: u32 = 4;
const SHORTEST_TRIAL: Duration = Duration::from_secs(1);
/// Until the first trial: by then the liveness of the IKE SA has been asked.
const SHORTEST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn it_follows_a_tunnel_that_lives_or_is_dead() {
        let mut carrier = Carrier::new(Duration::from_millis(300));
        assert!(!carrier.decide(at(0), Life::Dead));
        assert!(carrier.decide(at(1), Life::Lives));
        assert!(!carrier.decide(at(2), Life::Dead));
        assert_eq!(carrier.next(), None, "the SAs come first");
    }

    #[test]
    fn a_silent_tunnel_loses_it_at_once_and_is_tried_ever_more_seldom() {
        let mut carrier = Carrier::new(Duration::from_millis(300));
        carrier.decide(at(0), Life::Lives);
        let mut now = at(10);
        let (mut on, mut off) = (Vec::new(), Vec::new());
        assert!(!carrier.decide(now, Life::Silent), "at once");
        for _ in 0..12 {
            let next = carrier.next().expect("a trial");
            assert_eq!(
                carrier.decide(now, Life::Silent),
                carrier.decide(now, Life::Silent),
                "asked too often"
            );
            let lasted = (next - now).as_millis();
            now = next;
            if carrier.decide(now, Life::Silent) { off.push(lasted) } else { on.push(lasted) }
        }
        assert_eq!(off, [2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(on, [1200; 6]);
    }

    #[test]
    fn a_trial_that_is_answered_keeps_it() {
        let mut carrier = Carrier::new(Duration::from_millis(300));
        carrier.decide(at(0), Life::Lives);
        carrier.decide(at(1), Life::Silent);
        assert!(carrier.decide(at(3), Life::Silent));
        assert!(carrier.decide(at(3), Life::Lives));
        assert_eq!(carrier.next(), None);
        assert!(carrier.decide(at(100), Life::Lives));
    }

    #[test]
    fn a_tunnel_that_was_drained_is_tried_at_once() {
        let mut carrier = Carrier::new(Duration::from_millis(300));
        carrier.decide(at(0), Life::Lives);
        assert!(!carrier.decide(at(1), Life::Dead));
        assert!(carrier.decide(at(60), Life::Silent), "its echoes could not leave meanwhile");
    }
}

//! How long a tunnel that fell must live before traffic goes back to it: a hold-down that remembers.
//!
//! The thought of RFC 2439 §4.2, a penalty that every fall adds to and calm takes from, in whole falls instead of a
//! figure of merit: the wait doubles with every fall that is remembered, so that an operator can tell it beforehand.
//! Only going *back* waits. To leave a dead tunnel for a living one is never put off: see [`super::decision`].

use core::time::Duration;

use gotthard_ike::Time;

/// What is remembered of one tunnel.
#[derive(Clone, Debug, Default)]
pub struct Damping {
    /// Falls that are not forgotten yet.
    falls: u32,
    life: Option<Life>,
}

/// A life without a break.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// When it may carry traffic again.
    free: Time,
    /// When a fall was last forgotten.
    forgot: Time,
}

impl Damping {
    /// Takes whether the tunnel lives. A life that ends is a fall; one that begins is held down for the falls before it.
    pub fn see(&mut self, now: Time, lives: bool) {
        self.forget(now);
        match (lives, self.life) {
            (true, None) => self.life = Some(Life { free: now + hold(self.falls), forgot: now }),
            (false, Some(_)) => {
                self.falls = self.falls.saturating_add(1).min(MOST_FALLS);
                self.life = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// The operator ended this life: no fall.
    pub const fn end(&mut self) {
        self.life = None;
    }

    /// There was no other tunnel, so it carries the traffic already: to hold it down further would move it once more.
    pub const fn waive(&mut self, now: Time) {
        if let Some(life) = &mut self.life {
            life.free = now;
        }
    }

    /// Until when it is held down; `None`: it is not.
    pub fn held_until(&self, now: Time) -> Option<Time> {
        self.life.map(|life| life.free).filter(|free| *free > now)
    }

    /// Forgets one fall for each [`FORGET`] of unbroken life.
    fn forget(&mut self, now: Time) {
        let Some(life) = &mut self.life else { return };
        while self.falls > 0 && now.saturating_since(life.forgot) >= FORGET {
            self.falls = self.falls.saturating_sub(1);
            life.forgot = life.forgot + FORGET;
        }
    }
}

/// How long a tunnel must live after so many falls: nothing at first, then [`FIRST_HOLD`], doubled with every further one.
fn hold(falls: u32) -> Duration {
    match falls.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_HOLD.saturating_mul(1 << doublings.min(MOST_FALLS)).min(LONGEST_HOLD),
    }
}

/// After the first fall: more than a rekey or a session that comes up in steps, less than the 15 s in which both tunnels
/// are to carry again after a cloud's maintenance.
pub const FIRST_HOLD: Duration = Duration::from_secs(2);
/// However often it fell. 2 + 4 + … + 128 s are seven returns in 254 s; with those of four minutes there are at most nine in
/// ten minutes, and a return and a fall move traffic twice: within the 20 moves that are promised.
pub const LONGEST_HOLD: Duration = Duration::from_mins(4);
/// Unbroken life that makes one fall forgotten.
pub const FORGET: Duration = Duration::from_mins(5);
/// Falls beyond which nothing gets worse.
const MOST_FALLS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_epoch(Duration::from_secs(seconds))
    }

    /// Falls and rises once more at `now`; tells how long it is held down.
    fn flap(damping: &mut Damping, now: Time) -> Duration {
        damping.see(now, false);
        damping.see(now, true);
        damping.held_until(now).map_or(Duration::ZERO, |until| until - now)
    }

    #[test]
    fn the_first_life_is_not_held_down() {
        let mut damping = Damping::default();
        damping.see(at(0), false);
        damping.see(at(1), true);
        assert_eq!(damping.held_until(at(1)), None);
    }

    #[test]
    fn every_fall_doubles_the_wait_up_to_the_longest() {
        let mut damping = Damping::default();
        damping.see(at(0), true);
        let waits: Vec<u64> = (1..=10).map(|n| flap(&mut damping, at(n)).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 240, 240, 240]);
    }

    #[test]
    fn a_wait_starts_anew_when_the_tunnel_falls_in_it() {
        let mut damping = Damping::default();
        damping.see(at(0), true);
        flap(&mut damping, at(10));
        assert_eq!(damping.held_until(at(11)), Some(at(12)));
        flap(&mut damping, at(11));
        assert_eq!(damping.held_until(at(12)), Some(at(15)));
        assert_eq!(damping.held_until(at(15)), None);
    }

    #[test]
    fn calm_forgets_one_fall_after_the_other_and_is_not_saved_up() {
        let mut damping = Damping::default();
        damping.see(at(0), true);
        for _ in 0..3 {
            flap(&mut damping, at(0));
        }
        damping.see(at(600), true);
        assert_eq!(flap(&mut damping, at(600)).as_secs(), 4, "two of three are forgotten, and one is new");
        damping.see(at(100_000), true);
        flap(&mut damping, at(100_000));
        assert_eq!(flap(&mut damping, at(100_001)).as_secs(), 4, "long calm excuses no later fall");
    }

    #[test]
    fn what_the_operator_ends_is_no_fall() {
        let mut damping = Damping::default();
        damping.see(at(0), true);
        damping.end();
        damping.see(at(1), false);
        damping.see(at(2), true);
        assert_eq!(damping.held_until(at(2)), None);
    }
}

//! The course of a drill: who is drained, when, and whether the traffic followed. Pure. `K` names a tunnel.
//!
//! Of two equal tunnels the one that carries goes on carrying, so that the way back is a second planned move: the tunnel
//! that took over is drained until the first carries again. Whatever goes wrong, every tunnel is wanted up at the end.

use core::time::Duration;

use gotthard_ike::Time;

use crate::failover::facts::Wish;

/// A drill under way.
#[derive(Clone, Debug)]
pub struct Course<K> {
    /// Who carried at the start.
    before: Vec<K>,
    /// The tunnel that the traffic is to leave.
    leaves: K,
    /// Tunnels that are drained for the way back.
    drained: Vec<K>,
    stage: Stage,
    since: Time,
    moves: Vec<Move<K>>,
    failed: Option<String>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Echoes are sent and nothing is changed.
    Before,
    /// The traffic is to leave the tunnel.
    Leaving,
    /// It has left.
    Away,
    /// It is to come back.
    Returning,
    /// It is back.
    Back,
    /// All is over.
    Over,
}

/// The traffic moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move<K> {
    /// When it was asked for.
    pub asked: Time,
    /// When the kernel's routes had followed.
    pub done: Time,
    /// Who carries from here on.
    pub to: Vec<K>,
}

impl<K: Copy + PartialEq> Course<K> {
    /// Begins. `carriers`: who carries; `None` where nobody does.
    pub fn new(now: Time, carriers: &[K]) -> Option<Self> {
        Some(Self {
            before: carriers.to_vec(),
            leaves: *carriers.first()?,
            drained: Vec::new(),
            stage: Stage::Before,
            since: now,
            moves: Vec::new(),
            failed: None,
        })
    }

    /// Goes on; returns what is wanted of the tunnels from here on. To be called when the carriers may have changed, and
    /// at [`Self::next`].
    pub fn poll(&mut self, now: Time, carriers: &[K]) -> Vec<(K, Wish)> {
        let due = now >= self.next().unwrap_or(now);
        let away = !carriers.is_empty() && !carriers.contains(&self.leaves);
        match self.stage {
            Stage::Before if due => {
                self.enter(now, Stage::Leaving);
                vec![(self.leaves, Wish::Drain)]
            }
            Stage::Leaving if away => {
                self.moved(now, carriers);
                self.enter(now, Stage::Away);
                Vec::new()
            }
            Stage::Away if due => self.begin_return(now, carriers),
            Stage::Returning if same(carriers, &self.before) => {
                self.moved(now, carriers);
                self.enter(now, if self.failed.is_some() { Stage::Over } else { Stage::Back });
                self.drained.iter().map(|id| (*id, Wish::Up)).collect()
            }
            Stage::Leaving if due => self.fail(now, carriers, "the traffic did not leave the tunnel"),
            Stage::Returning if due => {
                self.failed.get_or_insert_with(|| "the traffic did not come back".to_owned());
                self.enter(now, Stage::Over);
                [self.leaves].iter().chain(&self.drained).map(|id| (*id, Wish::Up)).collect()
            }
            Stage::Back if due => {
                self.enter(now, Stage::Over);
                Vec::new()
            }
            Stage::Before | Stage::Leaving | Stage::Away | Stage::Returning | Stage::Back | Stage::Over => {
                Vec::new()
            }
        }
    }

    /// Ends it before its time: traffic that has left comes back first. Returns what is wanted of the tunnels.
    pub fn fail(&mut self, now: Time, carriers: &[K], why: &str) -> Vec<(K, Wish)> {
        if self.stage == Stage::Over || self.failed.is_some() {
            return Vec::new();
        }
        self.failed = Some(why.to_owned());
        match self.stage {
            Stage::Leaving | Stage::Away if !carriers.contains(&self.leaves) => {
                self.begin_return(now, carriers)
            }
            Stage::Leaving | Stage::Away => {
                self.enter(now, Stage::Over);
                vec![(self.leaves, Wish::Up)]
            }
            // It is coming back already.
            Stage::Returning => Vec::new(),
            Stage::Before | Stage::Back | Stage::Over => {
                self.enter(now, Stage::Over);
                Vec::new()
            }
        }
    }

    /// When [`Self::poll`] is due; `None`: it is over.
    pub fn next(&self) -> Option<Time> {
        let lasts = match self.stage {
            Stage::Before | Stage::Away | Stage::Back => SETTLE,
            Stage::Leaving | Stage::Returning => PATIENCE,
            Stage::Over => return None,
        };
        Some(self.since + lasts)
    }

    /// How far it is.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Who carried at the start.
    pub fn before(&self) -> &[K] {
        &self.before
    }

    /// The moves so far: away, and back.
    pub fn moves(&self) -> &[Move<K>] {
        &self.moves
    }

    /// Why it was ended before its time.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    fn begin_return(&mut self, now: Time, carriers: &[K]) -> Vec<(K, Wish)> {
        self.enter(now, Stage::Returning);
        self.drained = carriers.iter().copied().filter(|id| !self.before.contains(id)).collect();
        let drain = self.drained.iter().map(|id| (*id, Wish::Drain));
        [(self.leaves, Wish::Up)].into_iter().chain(drain).collect()
    }

    fn moved(&mut self, now: Time, carriers: &[K]) {
        self.moves.push(Move { asked: self.since, done: now, to: carriers.to_vec() });
    }

    const fn enter(&mut self, now: Time, stage: Stage) {
        self.stage = stage;
        self.since = now;
    }
}

fn same<K: PartialEq>(a: &[K], b: &[K]) -> bool {
    a.len() == b.len() && a.iter().all(|id| b.contains(id))
}

/// Before the first move, between the two and after the second: what a late reply needs, and a figure to compare with.
const SETTLE: Duration = Duration::from_secs(1);
/// A planned move is a matter of milliseconds; a hold-down may delay the way back.
const PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn the_traffic_leaves_and_comes_back_by_two_planned_moves() {
        let mut course = Course::new(at(0), &[1]).expect("a carrier");
        assert_eq!(course.poll(at(500), &[1]), []);
        assert_eq!(course.poll(at(1000), &[1]), [(1, Wish::Drain)]);
        assert_eq!(course.poll(at(1001), &[1]), [], "not yet");
        assert_eq!(course.poll(at(1005), &[2]), []);
        assert_eq!((course.stage(), course.next()), (Stage::Away, Some(at(2005))));
        assert_eq!(course.poll(at(2005), &[2]), [(1, Wish::Up), (2, Wish::Drain)]);
        assert_eq!(course.poll(at(2010), &[1]), [(2, Wish::Up)]);
        assert_eq!(course.poll(at(3010), &[1]), []);
        assert_eq!((course.stage(), course.failed()), (Stage::Over, None));
        let expected = [
            Move { asked: at(1000), done: at(1005), to: vec![2] },
            Move { asked: at(2005), done: at(2010), to: vec![1] },
        ];
        assert_eq!(course.moves(), expected);
    }

    #[test]
    fn where_all_carry_the_others_are_not_drained_for_the_way_back() {
        let mut course = Course::new(at(0), &[1, 2]).expect("a carrier");
        assert_eq!(course.poll(at(1000), &[1, 2]), [(1, Wish::Drain)]);
        course.poll(at(1005), &[2]);
        assert_eq!(course.poll(at(2005), &[2]), [(1, Wish::Up)]);
        assert_eq!(course.poll(at(2010), &[2, 1]), []);
        assert_eq!(course.stage(), Stage::Back);
    }

    #[test]
    fn traffic_that_does_not_move_ends_it_with_every_tunnel_wanted_up() {
        let mut course = Course::new(at(0), &[1]).expect("a carrier");
        course.poll(at(1000), &[1]);
        assert_eq!(course.poll(at(16_000), &[1]), [(1, Wish::Up)]);
        assert_eq!(course.failed(), Some("the traffic did not leave the tunnel"));
        let mut course = Course::new(at(0), &[1]).expect("a carrier");
        course.poll(at(1000), &[1]);
        course.poll(at(1005), &[2]);
        course.poll(at(2005), &[2]);
        assert_eq!(course.poll(at(17_005), &[2]), [(1, Wish::Up), (2, Wish::Up)]);
        assert_eq!((course.next(), course.moves().len()), (None, 1));
    }

    #[test]
    fn one_that_is_ended_early_brings_the_traffic_back_from_wherever_it_is() {
        let mut course = Course::new(at(0), &[1]).expect("a carrier");
        let mut before = course.clone();
        assert_eq!(before.fail(at(500), &[1], "gone"), [], "nothing was changed yet");
        course.poll(at(1000), &[1]);
        let mut leaving = course.clone();
        assert_eq!(leaving.fail(at(1001), &[1], "gone"), [(1, Wish::Up)]);
        assert_eq!(leaving.stage(), Stage::Over);
        course.poll(at(1005), &[2]);
        assert_eq!(course.fail(at(1500), &[2], "gone"), [(1, Wish::Up), (2, Wish::Drain)]);
        assert_eq!(course.fail(at(1501), &[2], "again"), []);
        assert_eq!(course.poll(at(1510), &[1]), [(2, Wish::Up)]);
        assert_eq!((course.stage(), course.failed()), (Stage::Over, Some("gone")));
        assert!(Course::<u8>::new(at(0), &[]).is_none(), "nobody carries");
    }
}

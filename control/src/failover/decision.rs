//! Who carries a connection's traffic: the one decision from {admin, IKE, ESP, probe, BGP} to the state of each tunnel.
//!
//! Pure: facts and time come in, a [`Decision`] goes out, which the driver turns into routes in one transaction. Three
//! rules, the first before the second before the third:
//!
//! 1. No traffic stays on a dead tunnel while another lives, held down or not.
//! 2. Traffic goes back to a tunnel that fell when its hold-down is over ([`super::damping`]), so that a tunnel that flaps
//!    moves it at most twenty times in ten minutes. It moves while both live, and the tunnel it leaves still delivers what
//!    is under way: nothing is lost.
//! 3. Of equal tunnels the one that carries goes on carrying: every move may put packets out of order.

use core::time::Duration;
use std::collections::BTreeMap;

use gotthard_ike::Time;

use super::damping::Damping;
use super::facts::{Facts, Wish};

/// The memory behind the decisions of one connection. `K` names a tunnel.
#[derive(Clone, Debug)]
pub struct Failover<K> {
    spread: Spread,
    tracks: BTreeMap<K, Track>,
    carriers: Vec<K>,
}

/// How many tunnels carry at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// One, the others stand by: an AWS virtual private gateway sends through one only.
    One,
    /// All that are equally good (ECMP): a transit gateway, Azure active-active.
    All,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<K> {
    /// Each tunnel, in the order of the facts.
    pub tunnels: Vec<Verdict<K>>,
    /// Who carries what can go through any tunnel, in the order of the facts; empty: nothing does.
    pub carriers: Vec<K>,
}

/// What was decided of one tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<K> {
    /// Which.
    pub tunnel: K,
    /// What it does, for the operator.
    pub state: State,
    /// How far routes may use it; each prefix takes the best standing among the tunnels that know it.
    pub standing: Standing,
}

/// How far routes may use a tunnel. The greater is preferred, whatever the routes themselves say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Not at all.
    Dead,
    /// It has SAs, but nothing is heard of the peer: better than no tunnel, because a probe can be wrong.
    Suspect,
    /// It lives and is to be left.
    Draining,
    /// It lives and fell a short while ago.
    Held,
    /// It lives.
    Ready,
}

/// What a tunnel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The operator took it down; its SAs may be deleted.
    AdminDown,
    /// A link of its chain is broken.
    Down,
    /// It lives, and takes no traffic before this time unless no other does.
    Held {
        /// The end of its hold-down.
        until: Time,
    },
    /// It lives and another carries.
    Standby,
    /// It carries.
    Carrying,
    /// It lives and its traffic is being moved away.
    Draining,
}

/// What is remembered of one tunnel.
#[derive(Clone, Debug, Default)]
struct Track {
    damping: Damping,
    /// While the operator wants it down and its traffic moves: when it may end.
    leaves: Option<Time>,
}

impl<K: Copy + Ord> Failover<K> {
    /// Nothing is known of any tunnel.
    pub const fn new(spread: Spread) -> Self {
        Self { spread, tracks: BTreeMap::new(), carriers: Vec::new() }
    }

    /// Decides by the facts of all tunnels of the connection, in the order of the configuration. To be called when a fact
    /// changes and at [`Self::next`]; oftener does no harm.
    pub fn decide(&mut self, now: Time, facts: &[(K, Facts)]) -> Decision<K> {
        self.tracks.retain(|known, _| facts.iter().any(|(tunnel, _)| tunnel == known));
        let mut candidates: Vec<Candidate<K>> = Vec::with_capacity(facts.len());
        for (tunnel, known) in facts {
            let relief = facts.iter().any(|(other, f)| other != tunnel && f.wish == Wish::Up && f.lives());
            let track = self.tracks.entry(*tunnel).or_default();
            let standing = track.standing(now, known, relief);
            candidates.push(Candidate { tunnel: *tunnel, facts: *known, standing });
        }
        self.carriers = self.choose(&candidates);
        for carrier in &self.carriers {
            if let Some(track) = self.tracks.get_mut(carrier) {
                track.damping.waive(now);
            }
        }
        let tunnels: Vec<_> = candidates.iter().map(|candidate| self.verdict(now, candidate)).collect();
        Decision { tunnels, carriers: self.carriers.clone() }
    }

    /// When the passing of time alone may change the decision of `now`.
    pub fn next(&self, now: Time) -> Option<Time> {
        let leaves = self.tracks.values().filter_map(|track| track.leaves).filter(|at| *at > now);
        self.tracks.values().filter_map(|track| track.damping.held_until(now)).chain(leaves).min()
    }

    /// Of those with the best standing and the highest preference: who carries already, or the first, or all of them.
    fn choose(&self, candidates: &[Candidate<K>]) -> Vec<K> {
        let rank = |candidate: &Candidate<K>| (candidate.standing, candidate.facts.preference);
        let usable = || candidates.iter().filter(|candidate| candidate.standing > Standing::Dead);
        let Some(best) = usable().map(rank).max() else { return Vec::new() };
        let equal: Vec<K> = usable().filter(|c| rank(c) == best).map(|c| c.tunnel).collect();
        match self.spread {
            Spread::All => equal,
            Spread::One => {
                let stays = equal.iter().find(|tunnel| self.carriers.contains(tunnel));
                stays.or(equal.first()).copied().into_iter().collect()
            }
        }
    }

    fn verdict(&self, now: Time, candidate: &Candidate<K>) -> Verdict<K> {
        let Candidate { tunnel, facts, standing } = *candidate;
        let carries = self.carriers.contains(&tunnel);
        let held = self.tracks.get(&tunnel).and_then(|track| track.damping.held_until(now));
        let (state, standing) = match (standing, held) {
            (Standing::Dead, _) if facts.wish == Wish::Down => (State::AdminDown, standing),
            (Standing::Dead | Standing::Suspect, _) => (State::Down, standing),
            (Standing::Draining, _) => (State::Draining, standing),
            (Standing::Held, Some(until)) => (State::Held { until }, standing),
            (Standing::Held | Standing::Ready, _) if carries => (State::Carrying, Standing::Ready),
            (Standing::Held | Standing::Ready, _) => (State::Standby, Standing::Ready),
        };
        Verdict { tunnel, state, standing }
    }
}

impl Track {
    /// Takes the facts of its tunnel. `relief`: another tunnel lives and may carry.
    fn standing(&mut self, now: Time, facts: &Facts, relief: bool) -> Standing {
        if facts.wish == Wish::Down {
            return self.leave(now, facts, relief);
        }
        self.leaves = None;
        self.damping.see(now, facts.lives());
        match facts.wish {
            _ if !facts.lives() && facts.may_live() => Standing::Suspect,
            _ if !facts.lives() => Standing::Dead,
            Wish::Drain | Wish::Down => Standing::Draining,
            Wish::Up if self.damping.held_until(now).is_some() => Standing::Held,
            Wish::Up => Standing::Ready,
        }
    }

    /// Make before break: a tunnel that is to go down stays for a moment, for what is under way, if another takes over.
    fn leave(&mut self, now: Time, facts: &Facts, relief: bool) -> Standing {
        self.damping.end();
        if !facts.lives() || !relief {
            self.leaves = Some(now);
            return Standing::Dead;
        }
        let at = *self.leaves.get_or_insert(now + LINGER);
        if now < at { Standing::Draining } else { Standing::Dead }
    }
}

/// A tunnel among those that may carry.
struct Candidate<K> {
    tunnel: K,
    facts: Facts,
    standing: Standing,
}

/// How long a tunnel that is taken down delivers what was under way when its traffic moved: several round trips of any
/// path that a VPN is run over.
pub const LINGER: Duration = Duration::from_secs(1);

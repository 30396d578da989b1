//! How large a packet may be that passes through a tunnel: a path narrower than its MTU swallows what is larger, and says so
//! to nobody who may believe it.
//!
//! Echoes of chosen sizes to the peer's inside address: the tunnel's MTU first, then the smallest, then by halves. Only on a
//! [suspicion](PathProbe::suspect), and at most once in [`REST`]: a path that carries costs one echo a minute at the most.

use core::time::Duration;

use gotthard_ike::Time;

use super::finding::Finding;

/// The search for the largest packet that passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathProbe {
    /// What the last search has found.
    found: Option<Narrow>,
    /// Large packets are likely to be lost.
    suspected: bool,
    search: Option<Search>,
    /// No search begins before.
    rests: Time,
    /// Of the last echo.
    sequence: u16,
}

/// A path that carries no packet of the tunnel's MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Narrow {
    passes: u16,
    mtu: u16,
}

/// One search.
#[derive(Clone, Copy, Debug)]
struct Search {
    mtu: u16,
    /// The largest that passed; 0: none yet.
    passes: u16,
    /// The smallest that did not.
    vanishes: u16,
    /// What is asked.
    size: u16,
    /// The first echo of that size.
    first: u16,
    tries: u8,
    /// When the next is due.
    due: Time,
}

/// An echo to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Its number.
    pub sequence: u16,
    /// Octets of the whole IP packet.
    pub size: u16,
}

impl PathProbe {
    /// Large packets are likely to be lost: it is looked at when its time comes.
    pub const fn suspect(&mut self) {
        self.suspected = true;
    }

    /// What to send at `now` through a tunnel of this MTU.
    pub fn poll(&mut self, now: Time, mtu: u16) -> Option<Echo> {
        if self.found.is_some_and(|found| found.mtu != mtu) {
            self.found = None;
        }
        self.search.take_if(|search| search.mtu != mtu);
        let wanted = (self.suspected || self.found.is_some()) && now >= self.rests && mtu > SMALLEST;
        if self.search.is_none() && wanted {
            self.search = Some(Search::begin(now, mtu, self.sequence));
        }
        let search = self.search.as_mut()?;
        if search.due > now {
            return None;
        }
        if search.tries >= TRIES {
            let outcome = search.lost(self.sequence);
            self.end_if(now, outcome);
        }
        let search = self.search.as_mut()?;
        search.tries = search.tries.saturating_add(1);
        search.due = now + WAIT;
        self.sequence = self.sequence.wrapping_add(1);
        Some(Echo { sequence: self.sequence, size: search.size })
    }

    /// Takes the reply to an echo of this size; [`Self::poll`] may have more to send at once.
    pub fn on_reply(&mut self, now: Time, sequence: u16, size: u16) {
        let last = self.sequence;
        let Some(search) = self.search.as_mut().filter(|search| search.asked(sequence, size, last)) else {
            return;
        };
        let outcome = search.passed(now, last);
        self.end_if(now, outcome);
    }

    /// What the last search has found.
    pub fn finding(&self) -> Option<Finding> {
        self.found.map(|Narrow { passes, mtu }| Finding::BlackHole { passes, mtu })
    }

    fn end_if(&mut self, now: Time, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        match outcome {
            Outcome::Wide => self.found = None,
            Outcome::Narrow(narrow) => self.found = Some(narrow),
            Outcome::Nothing => {}
        }
        (self.search, self.suspected, self.rests) = (None, false, now + REST);
    }
}

/// How a search ended.
enum Outcome {
    /// The tunnel's MTU passes.
    Wide,
    /// Something smaller does.
    Narrow(Narrow),
    /// Not even a small one did, or the peer answers no echo: that is not the path's width.
    Nothing,
}

impl Search {
    const fn begin(now: Time, mtu: u16, last: u16) -> Self {
        Self { mtu, passes: 0, vanishes: mtu, size: mtu, first: last.wrapping_add(1), tries: 0, due: now }
    }

    /// An echo of this size that was sent, the last of all being `last`.
    const fn asked(&self, sequence: u16, size: u16, last: u16) -> bool {
        size == self.size
            && sequence.wrapping_sub(self.first) <= last.wrapping_sub(self.first)
            && last.wrapping_sub(self.first) < TRIES as u16
    }

    fn passed(&mut self, now: Time, last: u16) -> Option<Outcome> {
        if self.size == self.mtu {
            return Some(Outcome::Wide);
        }
        self.passes = self.size;
        self.due = now;
        self.go_on(last)
    }

    fn lost(&mut self, last: u16) -> Option<Outcome> {
        if self.size == SMALLEST {
            return Some(Outcome::Nothing);
        }
        self.vanishes = self.size;
        self.go_on(last)
    }

    fn go_on(&mut self, last: u16) -> Option<Outcome> {
        (self.tries, self.first) = (0, last.wrapping_add(1));
        let between = self.vanishes.saturating_sub(self.passes);
        if self.passes == 0 {
            self.size = SMALLEST;
        } else if between <= PRECISION {
            return Some(Outcome::Narrow(Narrow { passes: self.passes, mtu: self.mtu }));
        } else {
            self.size = self.passes.saturating_add(between / 2);
        }
        None
    }
}

/// What a suspicion looks back over.
pub const LOOK: Duration = Duration::from_secs(10);
/// Between two searches.
pub const REST: Duration = Duration::from_mins(1);
/// For the reply to one echo.
const WAIT: Duration = Duration::from_secs(1);
/// Echoes of one size: a path that loses one packet in ten loses all three once in a thousand times.
const TRIES: u8 = 3;
/// Every path carries it; below it there would be nothing to set.
const SMALLEST: u16 = 576;
/// The blocks of ESP hide smaller differences.
const PRECISION: u16 = 4;

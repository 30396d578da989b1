//! Maximum prefixes of one session: memory stays bounded whatever a peer announces, and no session flaps because of it.

use core::time::Duration;
use std::collections::BTreeSet;

use gotthard_ike::Time;
use ipnet::IpNet;

/// The prefixes of one session, up to a limit. It outlives the session, so that it knows how often it was torn down.
#[derive(Clone, Debug)]
pub struct Quota {
    limit: usize,
    excess: Excess,
    held: BTreeSet<IpNet>,
    /// Prefixes were turned away that a route refresh may bring back.
    refused: bool,
    began: Time,
    strikes: u32,
}

/// What happens above the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// The prefixes that are there stay, further ones are not taken.
    Keep,
    /// The session ends (Cease, Maximum Number of Prefixes Reached, RFC 4486), and each time for longer.
    TearDown,
}

/// What becomes of an announced prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is taken.
    Taken,
    /// It is not, and the session stays.
    Refused,
    /// The session ends, and is not to be opened again before the time is over.
    TearDown {
        /// For how long.
        wait: Duration,
    },
}

impl Quota {
    /// No prefixes.
    pub const fn new(limit: usize, excess: Excess) -> Self {
        let held = BTreeSet::new();
        Self { limit, excess, held, refused: false, began: Time::ZERO, strikes: 0 }
    }

    /// A session begins: it has no prefixes.
    pub fn begin(&mut self, now: Time) {
        self.held.clear();
        self.refused = false;
        self.began = now;
    }

    /// The session is over: it has the prefixes alone that are kept while the peer restarts.
    pub fn retain(&mut self, keeps: impl Fn(IpNet) -> bool) {
        self.held.retain(|prefix| keeps(*prefix));
    }

    /// Takes another limit for what is announced from here on.
    pub const fn set_limit(&mut self, limit: usize, excess: Excess) {
        (self.limit, self.excess) = (limit, excess);
    }

    /// How many prefixes it may have.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Takes an announced prefix; one that is there already takes no room.
    pub fn announce(&mut self, now: Time, prefix: IpNet) -> Admission {
        if self.held.contains(&prefix) {
            return Admission::Taken;
        }
        if self.held.len() < self.limit {
            self.held.insert(prefix);
            return Admission::Taken;
        }
        self.refused = true;
        match self.excess {
            Excess::Keep => Admission::Refused,
            Excess::TearDown => Admission::TearDown { wait: self.strike(now) },
        }
    }

    /// Takes a withdrawn prefix. True if there is room for what was refused before: a route refresh (RFC 2918) brings it.
    /// It is asked for once, and only when a quarter is free, so that a peer at its limit is not asked over and over.
    pub fn withdraw(&mut self, prefix: &IpNet) -> bool {
        let removed = self.held.remove(prefix);
        let roomy = self.held.len() <= self.limit.saturating_sub(self.limit / 4 + 1);
        let ask = removed && roomy && self.refused;
        self.refused &= !ask;
        ask
    }

    /// Prefixes that are taken.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn strike(&mut self, now: Time) -> Duration {
        if now.saturating_since(self.began) >= FORGIVEN {
            self.strikes = 0;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << self.strikes.min(MOST_DOUBLINGS)).min(LONGEST_WAIT);
        self.strikes = self.strikes.saturating_add(1);
        wait
    }
}

/// Where nothing else is configured: more than AWS (100 advertised by a VGW) and most networks announce, and some hundred
/// kilobytes.
pub const DEFAULT_LIMIT: usize = 1000;
/// The first time that a session is torn down it stays so for as long.
pub const FIRST_WAIT: Duration = Duration::from_mins(1);
/// However often it was.
pub const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// A session that held for so long begins with the first wait again.
const FORGIVEN: Duration = Duration::from_hours(1);
/// Enough to pass the longest wait, few enough not to overflow.
const MOST_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn net(number: u8) -> IpNet {
        format!("10.{number}.0.0/16").parse().expect("a prefix")
    }

    fn at(minutes: u64) -> Time {
        Time::from_epoch(Duration::from_mins(minutes))
    }

    fn full(excess: Excess) -> Quota {
        let mut quota = Quota::new(4, excess);
        quota.begin(at(0));
        for number in 0..4 {
            assert_eq!(quota.announce(at(0), net(number)), Admission::Taken);
        }
        quota
    }

    #[test]
    fn above_the_limit_what_is_there_stays_and_may_change() {
        let mut quota = full(Excess::Keep);
        assert_eq!(quota.announce(at(0), net(9)), Admission::Refused);
        assert_eq!(quota.announce(at(0), net(1)), Admission::Taken);
        assert_eq!(quota.len(), 4);
    }

    #[test]
    fn a_refresh_is_asked_for_once_when_there_is_room_for_what_was_refused() {
        let mut quota = full(Excess::Keep);
        assert!(!quota.withdraw(&net(0)), "nothing was refused");
        quota.announce(at(0), net(0));
        quota.announce(at(0), net(9));
        assert!(!quota.withdraw(&net(7)), "it is not there");
        assert!(!quota.withdraw(&net(0)), "a quarter must be free, and one more");
        assert!(quota.withdraw(&net(1)));
        assert!(!quota.withdraw(&net(2)), "it was asked for");
    }

    #[test]
    fn a_session_that_is_torn_down_again_and_again_stays_so_for_longer_each_time() {
        let mut quota = full(Excess::TearDown);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let Admission::TearDown { wait } = quota.announce(at(1), net(9)) else { panic!("no room") };
            waits.push(wait.as_secs() / 60);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(quota.announce(at(60), net(9)), Admission::TearDown { wait: FIRST_WAIT });
    }

    #[test]
    fn a_million_announcements_leave_no_more_than_the_limit() {
        let mut quota = Quota::new(100, Excess::Keep);
        for number in 0..1_000_000_u32 {
            let prefix = ipnet::Ipv4Net::new_assert(number.to_be_bytes().into(), 32);
            quota.announce(at(0), prefix.into());
        }
        assert_eq!(quota.len(), 100);
        quota.begin(at(1));
        assert!(quota.is_empty());
    }
}

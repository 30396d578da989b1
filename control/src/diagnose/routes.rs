//! A BGP session that is established and leads nowhere: "IKE up, BGP up, no routes".

use core::time::Duration;

use gotthard_ike::Time;
use ipnet::IpNet;

use super::finding::Finding;

/// What an established session has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Since when it is established.
    pub since: Time,
    /// Prefixes of the peer that are taken.
    pub taken: usize,
    /// Prefixes of ours that the peer was told.
    pub told: usize,
}

/// A prefix of the peer that is not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub prefix: IpNet,
    /// Stable code of the reason.
    pub code: &'static str,
    /// The reason.
    pub why: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// What is missing. `refused` is the first prefix that was not taken.
pub fn findings(now: Time, session: Session, refused: Option<Refused>) -> Vec<Finding> {
    if now.saturating_since(session.since) < TELLING {
        return Vec::new();
    }
    let missing = match refused {
        Some(refused) if session.taken == 0 => Some(Finding::NoneTaken(refused)),
        None if session.taken == 0 => Some(Finding::NoPrefix),
        Some(_) | None => None,
    };
    missing.into_iter().chain((session.told == 0).then_some(Finding::NothingOffered)).collect()
}

/// A peer tells its prefixes within this time.
const TELLING: Duration = Duration::from_secs(10);

//! Rekeys that cross, and what else two ends may do at once (RFC 7296 §2.8, §2.25): each case a ladder, from both ends.
//!
//! Packets flow both ways through all of it. At the end of every case one IKE SA with one child is left, both ends
//! agree on it, every request is answered, and no packet was lost.
//!
//! In the ladders `x` and `y` are the two ends, each of them once; a message that is held is drawn where it arrives.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a failed test is what a panic is for"
)]

#[path = "../support/mod.rs"]
mod support;

mod child_collisions;
mod child_rekey;
mod crossed;
mod durations;
mod erring_peer;
mod ike_collisions;
mod ike_rekey;
mod initiation;

use core::time::Duration;

use gotthard_ike::config::PeerConfig;

use support::link::Weather;
use support::pair::Pair;
use support::side::End;

/// A pair that is up, with packets both ways.
fn busy() -> Pair {
    busy_with(|_, _| {})
}

/// As [`busy`], with configurations that are changed before they are used: x's, then y's.
fn busy_with(change: impl FnOnce(&mut PeerConfig, &mut PeerConfig)) -> Pair {
    let mut pair = Pair::with(1, Weather::FAIR, change);
    pair.initiate(End::A);
    pair.run_for(Duration::from_secs(1));
    pair.start_traffic(Duration::from_millis(5));
    pair.run_for(Duration::from_millis(100));
    pair.assert_one_tunnel();
    pair
}

/// Runs a case with each of the ends as x.
fn from_both_ends(case: impl Fn(Pair, End, End)) {
    for x in End::BOTH {
        case(busy(), x, x.other());
    }
}

/// Runs a collision with each of the ends as x, and with the lowest nonce in the exchange of each of them.
fn with_each_loser(case: impl Fn(Pair, End, End)) {
    for x in End::BOTH {
        for loser in End::BOTH {
            let mut pair = busy();
            lead_nonces(&mut pair, loser);
            case(pair, x, x.other());
        }
    }
}

/// The lowest of all nonces is the one that `loser` sends with its request.
fn lead_nonces(pair: &mut Pair, loser: End) {
    pair.side(loser).nonces.set(LOWEST);
    pair.side(loser.other()).nonces.set(HIGHER);
}

/// Requests are on their way: whatever nonce follows is higher than theirs.
fn lead_nonces_of_answers(pair: &mut Pair) {
    for end in End::BOTH {
        pair.side(end).nonces.set(HIGHEST);
    }
}

/// Both ends start to rekey before they hear of each other.
fn cross(pair: &mut Pair, start: fn(&mut Pair, End)) {
    for end in End::BOTH {
        start(pair, end);
    }
    lead_nonces_of_answers(pair);
}

/// Longer than a message takes, shorter than it is waited for.
const SOON: Duration = Duration::from_millis(100);

/// Longer than a request that was lost takes to be sent again.
const AGAIN: Duration = Duration::from_millis(800);

/// Shorter than a peer is given up, longer than the switch of a responder waits.
const LONG: Duration = Duration::from_secs(7);

const LOWEST: u8 = 0x01;
const HIGHER: u8 = 0x40;
const HIGHEST: u8 = 0x80;

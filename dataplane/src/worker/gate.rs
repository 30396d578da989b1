//! How many IKE messages reach the control plane: peers with an established tunnel have a budget of their own, so that a
//! flood from elsewhere does not shut them out.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::rate::TokenBucket;

/// The two budgets.
pub(super) struct IkeGate {
    /// Sorted.
    peers: Vec<IpAddr>,
    known: TokenBucket,
    others: TokenBucket,
}

impl IkeGate {
    pub(super) fn new(now: Instant) -> Self {
        let bucket = || TokenBucket::new(BURST, INTERVAL, now);
        Self { peers: Vec::new(), known: bucket(), others: bucket() }
    }

    pub(super) fn set_peers(&mut self, peers: impl Iterator<Item = IpAddr>) {
        self.peers.clear();
        self.peers.extend(peers);
        self.peers.sort_unstable();
        self.peers.dedup();
    }

    /// Whether a message from this address goes on.
    pub(super) fn admits(&mut self, remote: IpAddr, now: Instant) -> bool {
        let known = self.peers.binary_search(&remote).is_ok();
        if known { self.known.take(now) } else { self.others.take(now) }
    }
}

/// Messages at once: those of a handshake with each of a few hundred tunnels.
const BURST: u32 = 1024;

/// And 2,000 a second after that.
const INTERVAL: Duration = Duration::from_micros(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_does_not_take_the_peers_budget() {
        let now = Instant::now();
        let mut gate = IkeGate::new(now);
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        gate.set_peers([peer, peer].into_iter());
        let admitted = (0..10_000_u32).filter(|n| gate.admits(IpAddr::from(n.to_be_bytes()), now)).count();
        assert_eq!(admitted, 1024);
        assert!(gate.admits(peer, now));
    }
}

//! What must hold when all is quiet, whatever went before: one tunnel, at both ends the same, and nothing else.

use core::time::Duration;

use gotthard_ike::Time;
use gotthard_ike::event::Event;

use super::pair::Pair;
use super::side::End;

impl Pair {
    /// Waits until everything that was replaced is gone, and asserts that one tunnel is left which was never down and
    /// lost no packet.
    #[track_caller]
    pub(crate) fn assert_settled(&mut self) {
        self.run_for(QUIET);
        self.assert_one_tunnel();
        for end in End::BOTH {
            let side = self.side(end);
            let bad = |event: &&Event| {
                matches!(event, Event::Failed { .. } | Event::IkeDown { .. } | Event::ChildDown { .. })
            };
            let bad: Vec<_> = side.events.iter().filter(bad).collect();
            assert!(bad.is_empty(), "seed {}: {end:?}: {bad:?}", self.seed);
            assert!(side.esp_taken > 0, "seed {}: {end:?} receives packets", self.seed);
            assert_eq!(side.esp_lost, 0, "seed {}: {end:?} lost packets", self.seed);
        }
        let settled = Time::from_epoch(self.now().since_epoch().saturating_sub(GRACE));
        let open = self.link.watch.as_ref().unwrap().unanswered(self.a.ike_spis().unwrap(), settled);
        assert!(open.is_empty(), "seed {}: no answer to {open:?}", self.seed);
    }

    /// Both ends have one IKE SA with one child, and agree on it.
    #[track_caller]
    pub(crate) fn assert_one_tunnel(&self) {
        self.assert_up();
        assert_eq!(self.a.ike_spis(), self.b.ike_spis(), "seed {}", self.seed);
        for end in End::BOTH {
            let side = self.side(end);
            assert_eq!(side.inbound.len(), 1, "inbound SAs: seed {}: {end:?}", self.seed);
            assert_eq!(side.endpoint.ike_sas(), 1, "IKE SAs: seed {}: {end:?}", self.seed);
        }
    }

    /// The only child SA is one each end: the same that [`Self::assert_one_tunnel`] asks for, without the panic.
    pub(crate) fn is_settled(&self) -> bool {
        let one = |end| self.side(end).inbound.len() == 1 && self.side(end).endpoint.ike_sas() == 1;
        let heard = |end: End| {
            let outbound = self.side(end).outbound.as_ref();
            outbound.is_some_and(|sa| self.side(end.other()).inbound.contains_key(&sa.spi))
        };
        End::BOTH.into_iter().all(|end| one(end) && heard(end))
    }
}

/// Longer than any SA outlives its end: 30 s for a Delete that does not come, its answer, and 10 s for retransmissions.
const QUIET: Duration = Duration::from_secs(50);

/// Longer than an answer takes.
const GRACE: Duration = Duration::from_secs(5);

//! What must hold at every moment, not only in the end.

use std::collections::BTreeSet;

use crate::support::pair::Pair;
use crate::support::side::End;

/// Watches both ends at every step.
#[derive(Default)]
pub(crate) struct Witness {
    /// How each end sends.
    a: Sending,
    b: Sending,
}

#[derive(Default)]
struct Sending {
    spi: Option<u32>,
    /// SPIs which the other end was seen to receive with.
    received: BTreeSet<u32>,
    /// SPIs with which it began to send when it had nothing better: the other end's first child, of which the answer
    /// may be under way.
    early: BTreeSet<u32>,
}

impl Witness {
    /// Panics where something does not hold.
    pub(crate) fn check(&mut self, pair: &Pair) {
        for end in End::BOTH {
            self.check_receivable(pair, end);
            let inbound = pair.side(end).inbound.len();
            assert!(inbound <= INBOUND, "seed {}: {end:?} receives with {inbound} SPIs", pair.seed);
        }
    }

    /// Nothing is sent with an SPI that the other end cannot receive, except where one of the two was down, and has said
    /// so to its operator, or restarted; or where it is the first child, and its answer is under way.
    fn check_receivable(&mut self, pair: &Pair, end: End) {
        let (sender, receiver) = (pair.side(end), pair.side(end.other()));
        let sending = match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        };
        let before = sending.spi;
        sending.spi = sender.outbound.as_ref().map(|sa| sa.spi);
        let Some(spi) = sending.spi else { return };
        if receiver.inbound.contains_key(&spi) {
            sending.received.insert(spi);
            return;
        }
        if receiver.ended.contains(&spi) || sender.is_down() {
            return;
        }
        let good = |spi: &u32| receiver.inbound.contains_key(spi) && !receiver.ended.contains(spi);
        let better = before.filter(good);
        if sending.spi != before && better.is_none() {
            sending.early.insert(spi);
        }
        let early = sending.early.contains(&spi) && !sending.received.contains(&spi);
        assert!(
            early,
            "seed {}: at {:?} {end:?} sends with {spi:08x}, the other end receives with {:08x?}",
            pair.seed,
            pair.now(),
            receiver.inbound.keys(),
        );
    }
}

/// More than an end receives with here: what is in use, and what was replaced within the grace, for which a run starts
/// no more than two bursts of rekeys.
const INBOUND: usize = 32;

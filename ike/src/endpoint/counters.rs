//! Datagrams of which nothing came, by reason: nothing is silent.

use crate::error::Refusal;

/// Of how many datagrams nothing came, by [`Refusal`]. They only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    refused: [u64; Refusal::ALL.len()],
}

impl Counters {
    pub(super) fn count(&mut self, refusal: Refusal) {
        let counter = &mut self.refused[refusal as usize];
        *counter = counter.saturating_add(1);
    }

    /// How many were dropped for this reason.
    pub const fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.into_iter().map(|refusal| (refusal, self.refused(refusal)))
    }
}

//! Virtual time, and randomness that a seed repeats.

use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use std::sync::Arc;

use gotthard_ike::Time;
use gotthard_ike::crypto::Random;

/// Time that moves only when the test moves it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock(Time);

impl Clock {
    pub(crate) const fn now(self) -> Time {
        self.0
    }

    /// Never goes back.
    pub(crate) fn advance_to(&mut self, at: Time) {
        self.0 = self.0.max(at);
    }
}

/// SplitMix64: enough for tests, and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True with this probability in a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// A time below `bound`.
    pub(crate) fn below(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.next() % nanos)
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = usize::try_from(self.next() % (end as u64 + 1)).unwrap();
            items.swap(end, other);
        }
    }
}

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let octets = self.next().to_be_bytes();
            chunk.copy_from_slice(&octets[..chunk.len()]);
        }
    }
}

/// What the nonces of an end begin with, so that a test decides which is the lowest (RFC 7296 §2.8.1).
#[derive(Clone, Debug, Default)]
pub(crate) struct NonceLead(Arc<AtomicU8>);

impl NonceLead {
    /// From here on; 0 leaves the nonces to chance.
    pub(crate) fn set(&self, octet: u8) {
        self.0.store(octet, Ordering::Relaxed);
    }
}

/// Seeded randomness whose draws of a nonce's length begin as the test says. An X25519 secret of that length minds as
/// little as any other.
pub(crate) struct Led {
    seeded: Seeded,
    lead: NonceLead,
}

impl Led {
    pub(crate) const fn new(seed: u64, lead: NonceLead) -> Self {
        Self { seeded: Seeded::new(seed), lead }
    }
}

impl Random for Led {
    fn fill(&mut self, out: &mut [u8]) {
        self.seeded.fill(out);
        let lead = self.lead.0.load(Ordering::Relaxed);
        if out.len() == NONCE_LEN && lead != 0 {
            out[0] = lead;
        }
    }
}

const NONCE_LEN: usize = 32;

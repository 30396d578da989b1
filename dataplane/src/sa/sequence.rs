//! The sequence numbers of an outbound SA (RFC 4303 §3.3.3): taken by the batch, never twice, and not beyond the end.

use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::drop_reason::DropReason;
use crate::esp::transform::Transform;

/// The counter, alone on its cache lines: every worker writes it once a batch.
#[derive(Debug)]
#[repr(align(128))]
pub struct Sequence {
    /// The next number to be handed out.
    next: AtomicU64,
    /// The last number that may be used.
    last: u64,
    /// At this number the SA should be replaced.
    soft: u64,
}

/// Consecutive sequence numbers that nobody else has, to be used once each.
pub type Sequences = RangeInclusive<u64>;

/// How far an SA is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitState {
    /// Nothing to be done.
    Fresh,
    /// Three quarters of the sequence numbers, or what the cipher should protect under one key, are used: replace it.
    Soft,
    /// No number is left: nothing more is sent.
    Hard,
}

impl Sequence {
    /// The numbers of a fresh SA: 1 and up.
    pub fn new(transform: Transform, esn: bool) -> Self {
        Self::starting_at(1, transform, esn)
    }

    pub(super) fn starting_at(next: u64, transform: Transform, esn: bool) -> Self {
        let last = if esn { LAST_ESN } else { u64::from(u32::MAX) };
        let soft = (last / 4 * 3).min(cipher_limit(transform));
        Self { next: AtomicU64::new(next), last, soft }
    }

    /// Takes the next `n` numbers, `n` at most 65,536, or as many as are left.
    ///
    /// [`DropReason::SequenceExhausted`] when none is left. What is taken and not used is lost, which the receiver
    /// sees as a gap and nothing more.
    #[inline]
    pub fn take(&self, n: u64) -> Result<Sequences, DropReason> {
        debug_assert!((1..=MAX_TAKE).contains(&n), "one batch at a time");
        // Once the end is passed the counter rests, so that it cannot come round to 0: a load and an add of other
        // workers may lie between, which the distance of LAST_ESN to the end of the type allows for.
        if self.next.load(Ordering::Relaxed) > self.last {
            return Err(DropReason::SequenceExhausted);
        }
        let n = n.clamp(1, MAX_TAKE);
        let first = self.next.fetch_add(n, Ordering::Relaxed);
        if first > self.last {
            return Err(DropReason::SequenceExhausted);
        }
        Ok(first..=first.saturating_add(n - 1).min(self.last))
    }

    /// How far the numbers are used up.
    #[inline]
    pub fn limit_state(&self) -> LimitState {
        let next = self.next.load(Ordering::Relaxed);
        if next > self.last {
            LimitState::Hard
        } else if next > self.soft {
            LimitState::Soft
        } else {
            LimitState::Fresh
        }
    }
}

/// Packets under one key. 2^34 packets of 1500 octets are 2^41 AES blocks: an advantage below 2^-46 in distinguishing
/// AES-GCM or AES-CBC from random (the birthday bound σ²/2^129), and 10 hours at 5 Gbps. ChaCha20 has no such bound.
const fn cipher_limit(transform: Transform) -> u64 {
    match transform {
        Transform::ChaCha20Poly1305 => u64::MAX,
        Transform::Aes128Gcm16
        | Transform::Aes256Gcm16
        | Transform::Aes128Cbc(_)
        | Transform::Aes256Cbc(_) => 1 << 34,
    }
}

/// The largest batch.
const MAX_TAKE: u64 = 1 << 16;

/// The last number with ESN: 2^32 short of the type's end, room for 65,536 workers that pass the end together.
const LAST_ESN: u64 = u64::MAX - (1 << 32);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const GCM: Transform = Transform::Aes256Gcm16;

    #[test]
    fn the_first_number_is_one_and_batches_follow_each_other() {
        let sequence = Sequence::new(GCM, false);
        assert_eq!(sequence.take(1), Ok(1..=1));
        assert_eq!(sequence.take(64), Ok(2..=65));
        assert_eq!(sequence.take(1), Ok(66..=66));
    }

    #[test]
    fn the_last_number_is_used_once_and_then_nothing_leaves() {
        let sequence = Sequence::starting_at(u64::from(u32::MAX) - 2, GCM, false);
        assert_eq!(sequence.take(64), Ok(0xffff_fffd..=0xffff_ffff));
        for _ in 0..10_000 {
            assert_eq!(sequence.take(64), Err(DropReason::SequenceExhausted));
        }
        assert_eq!(sequence.limit_state(), LimitState::Hard);
        assert!(sequence.next.load(Ordering::Relaxed) < 1 << 33, "the counter rests");

        let sequence = Sequence::starting_at(LAST_ESN, GCM, true);
        assert_eq!(sequence.take(2), Ok(LAST_ESN..=LAST_ESN));
        assert_eq!(sequence.take(1), Err(DropReason::SequenceExhausted));
    }

    #[test]
    fn the_soft_limit_is_three_quarters_of_the_numbers_or_the_ciphers() {
        let soft = u64::from(u32::MAX) / 4 * 3;
        let sequence = Sequence::starting_at(soft, GCM, false);
        assert_eq!(sequence.limit_state(), LimitState::Fresh);
        sequence.take(1).unwrap();
        assert_eq!(sequence.limit_state(), LimitState::Soft);

        let sequence = Sequence::starting_at(1 << 34, GCM, true);
        sequence.take(1).unwrap();
        assert_eq!(sequence.limit_state(), LimitState::Soft);
        let sequence = Sequence::starting_at(1 << 40, Transform::ChaCha20Poly1305, true);
        assert_eq!(sequence.limit_state(), LimitState::Fresh);
    }

    #[test]
    fn workers_never_share_a_number_up_to_the_very_end() {
        let sequence = Sequence::starting_at(u64::from(u32::MAX) - 20_000, GCM, false);
        let taken: Vec<u64> = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..=4)
                .map(|n| {
                    let sequence = &sequence;
                    scope.spawn(move || {
                        std::iter::from_fn(|| sequence.take(n * 7).ok()).flatten().collect::<Vec<_>>()
                    })
                })
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), 20_001);
        assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len());
        assert_eq!(taken.iter().max(), Some(&u64::from(u32::MAX)));
    }
}

//! The sequence numbers of an outbound SA (RFC 4303 §3.3.3): taken by the batch, never twice, and not beyond the end.

use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicU64, Ordering};

use super::in_flight::InFlight;
use super::lifetime::{self, LimitState};
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
    in_flight: InFlight,
}

/// Consecutive sequence numbers, held until their packets are sent.
#[derive(Debug)]
pub struct Reservation<'s> {
    sequences: Sequences,
    worker: usize,
    in_flight: &'s InFlight,
}

/// Consecutive sequence numbers that nobody else has, to be used once each.
pub type Sequences = RangeInclusive<u64>;

impl Sequence {
    /// The numbers of a fresh SA: 1 and up, `packets` of them at most.
    pub fn new(transform: Transform, esn: bool, peer_window: u32, packets: u64) -> Self {
        let last = if esn { LAST_ESN } else { u64::from(u32::MAX) }.min(packets);
        let soft = lifetime::soft(last).min(cipher_limit(transform));
        Self { next: AtomicU64::new(1), last, soft, in_flight: InFlight::new(peer_window) }
    }

    /// As [`Self::take`], for worker number `worker` of several that send with this SA beside each other: waits while that
    /// would put these packets further ahead of another's than the peer's replay window bears.
    ///
    /// What is waited for is a worker that seals and sends one batch and never blocks.
    #[inline]
    pub fn reserve(&self, worker: usize, n: u64) -> Result<Reservation<'_>, DropReason> {
        let n = n.clamp(1, MAX_TAKE);
        loop {
            let first = self.next.load(Ordering::SeqCst);
            if first > self.last {
                return Err(DropReason::SequenceExhausted);
            }
            if !self.in_flight.admits(worker, first.saturating_add(n)) {
                // The one that is behind may have lost its core to this worker.
                std::thread::yield_now();
                continue;
            }
            // Every batch that began before `first` was in the table before `next` came to `first`, so it was seen above;
            // one that began since has moved `next`, and then the exchange fails.
            self.in_flight.enter(worker, first);
            let end = first.saturating_add(n);
            if self.next.compare_exchange(first, end, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                let sequences = first..=(end - 1).min(self.last);
                return Ok(Reservation { sequences, worker, in_flight: &self.in_flight });
            }
            self.in_flight.leave(worker);
        }
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

impl Reservation<'_> {
    /// The numbers.
    pub fn sequences(&self) -> Sequences {
        self.sequences.clone()
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.in_flight.leave(self.worker);
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
    const WINDOW: u32 = 1024;

    /// As it is after the numbers before `next`.
    fn starting_at(next: u64, transform: Transform, esn: bool, peer_window: u32) -> Sequence {
        let fresh = Sequence::new(transform, esn, peer_window, u64::MAX);
        Sequence { next: AtomicU64::new(next), ..fresh }
    }

    #[test]
    fn the_first_number_is_one_and_batches_follow_each_other() {
        let sequence = Sequence::new(GCM, false, WINDOW, u64::MAX);
        assert_eq!(sequence.take(1), Ok(1..=1));
        assert_eq!(sequence.take(64), Ok(2..=65));
        assert_eq!(sequence.take(1), Ok(66..=66));
    }

    #[test]
    fn the_last_number_is_used_once_and_then_nothing_leaves() {
        let sequence = starting_at(u64::from(u32::MAX) - 2, GCM, false, WINDOW);
        assert_eq!(sequence.take(64), Ok(0xffff_fffd..=0xffff_ffff));
        for _ in 0..10_000 {
            assert_eq!(sequence.take(64), Err(DropReason::SequenceExhausted));
        }
        assert_eq!(sequence.limit_state(), LimitState::Hard);
        assert!(sequence.next.load(Ordering::Relaxed) < 1 << 33, "the counter rests");

        let sequence = starting_at(LAST_ESN, GCM, true, WINDOW);
        assert_eq!(sequence.take(2), Ok(LAST_ESN..=LAST_ESN));
        assert_eq!(sequence.take(1), Err(DropReason::SequenceExhausted));
    }

    #[test]
    fn the_soft_limit_is_three_quarters_of_the_numbers_or_the_ciphers() {
        let soft = u64::from(u32::MAX) / 4 * 3;
        let sequence = starting_at(soft, GCM, false, WINDOW);
        assert_eq!(sequence.limit_state(), LimitState::Fresh);
        sequence.take(1).unwrap();
        assert_eq!(sequence.limit_state(), LimitState::Soft);

        let sequence = starting_at(1 << 34, GCM, true, WINDOW);
        sequence.take(1).unwrap();
        assert_eq!(sequence.limit_state(), LimitState::Soft);
        let sequence = starting_at(1 << 40, Transform::ChaCha20Poly1305, true, WINDOW);
        assert_eq!(sequence.limit_state(), LimitState::Fresh);
    }

    #[test]
    fn fewer_packets_than_numbers_end_the_sequence_sooner() {
        let sequence = Sequence::new(GCM, true, WINDOW, 1000);
        sequence.take(749).unwrap();
        assert_eq!(sequence.limit_state(), LimitState::Fresh);
        sequence.take(1).unwrap();
        assert_eq!(sequence.limit_state(), LimitState::Soft);
        assert_eq!(sequence.take(1000), Ok(751..=1000));
        assert_eq!(sequence.limit_state(), LimitState::Hard);
        let sequence = Sequence::new(GCM, false, WINDOW, u64::MAX / 2);
        assert_eq!(sequence.last, u64::from(u32::MAX), "there are no more than that");
    }

    #[test]
    fn workers_never_share_a_number_up_to_the_very_end() {
        let sequence = starting_at(u64::from(u32::MAX) - 20_000, GCM, false, WINDOW);
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

    /// What leaves at one moment never lies further apart than the span, whatever the scheduler does.
    #[test]
    fn batches_in_flight_stay_within_a_quarter_of_the_peers_window() {
        for (window, batch) in [(128, 64), (1024, 64), (1024, 7), (8192, 64)] {
            let sequence = starting_at(u64::from(u32::MAX) - 100_000, GCM, false, window);
            // The highest number that any worker has sent.
            let sent = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for worker in 0..4 {
                    let (sequence, sent) = (&sequence, &sent);
                    scope.spawn(move || {
                        while let Ok(reservation) = sequence.reserve(worker, batch) {
                            let (first, last) = reservation.sequences().into_inner();
                            if first % 3 == 0 {
                                std::thread::yield_now();
                            }
                            let highest = sent.fetch_max(last, Ordering::SeqCst);
                            let span = u64::from(window / 4).max(batch);
                            assert!(
                                highest < first + span,
                                "{first} follows {highest} at a window of {window}"
                            );
                        }
                    });
                }
            });
            assert_eq!(sent.into_inner(), u64::from(u32::MAX));
        }
    }
}

//! The batches of one SA that have their sequence numbers and are not yet sent. Of several workers that seal beside each
//! other, none runs so far ahead that the peer's replay window (RFC 4303 §3.4.3) leaves another's batch behind.

use core::sync::atomic::{AtomicU64, Ordering};

/// The first number of each worker's batch.
#[derive(Debug)]
pub(super) struct InFlight {
    firsts: [AtomicU64; WORKERS],
    /// How far the numbers of two batches in flight may lie apart.
    span: u64,
}

impl InFlight {
    /// No batch. A quarter of the peer's window for what overtakes here leaves three for what the path reorders.
    pub(super) fn new(peer_window: u32) -> Self {
        Self { firsts: [const { AtomicU64::new(NONE) }; WORKERS], span: u64::from(peer_window / 4) }
    }

    /// Whether a batch that would end before `end` may start now.
    #[inline]
    pub(super) fn admits(&self, worker: usize, end: u64) -> bool {
        let others = self.firsts.iter().enumerate().filter(|(index, _)| *index != worker);
        let oldest = others.map(|(_, first)| first.load(Ordering::SeqCst)).min().unwrap_or(NONE);
        oldest == NONE || end.saturating_sub(oldest) <= self.span
    }

    /// The worker's batch starts at `first`, or soon behind it.
    #[inline]
    pub(super) fn enter(&self, worker: usize, first: u64) {
        if let Some(place) = self.firsts.get(worker) {
            place.store(first, Ordering::SeqCst);
        }
    }

    /// The worker's batch is sent, or was given up.
    #[inline]
    pub(super) fn leave(&self, worker: usize) {
        self.enter(worker, NONE);
    }
}

/// The most workers that can send with one SA.
pub const WORKERS: usize = 32;

/// No batch in flight: above every sequence number.
const NONE: u64 = u64::MAX;

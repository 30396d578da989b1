//! Durations in buckets. Plain numbers: a page copies thousands of them out of a lock.

use core::time::Duration;

/// How often something took up to each bound, and above the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Histogram<const BOUNDS: usize> {
    /// Upper bounds in seconds, ascending.
    bounds: &'static [f64; BOUNDS],
    /// What lies between a bound and the one before it.
    counts: [u64; BOUNDS],
    /// How often at all.
    count: u64,
    sum: f64,
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    pub(super) const fn new(bounds: &'static [f64; BOUNDS]) -> Self {
        Self { bounds, counts: [0; BOUNDS], count: 0, sum: 0.0 }
    }

    /// It took so long once more.
    pub(super) fn observe(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        let mut places = self.bounds.iter().zip(&mut self.counts);
        if let Some((_, count)) = places.find(|(bound, _)| took <= **bound) {
            *count = count.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        self.sum += took;
    }

    /// Each bound, and how often it took no longer.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        self.bounds.iter().zip(&self.counts).scan(0_u64, |below, (bound, count)| {
            *below = below.saturating_add(*count);
            Some((*bound, *below))
        })
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// All of them together, in seconds.
    pub(super) const fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_took_no_longer_than_its_bound() {
        let mut histogram = Histogram::new(&[0.25, 1.0]);
        for millis in [0, 250, 251, 1000, 1001, 5000] {
            histogram.observe(Duration::from_millis(millis));
        }
        assert_eq!(histogram.buckets().collect::<Vec<_>>(), [(0.25, 2), (1.0, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (6, 7.502));
    }
}

//! Messages and requests that wait for a value which is being computed: at most one of a kind of an IKE SA.

use std::collections::BTreeMap;

use crate::Time;
use crate::codec::header::Header;
use crate::crypto::job::{JobId, Value};
use crate::limits;
use crate::sa::Path;
use crate::sa::channel::Opened;

/// All that waits.
#[derive(Default)]
pub(super) struct Parked {
    last_job: u64,
    by_job: BTreeMap<JobId, Place>,
    waiting: BTreeMap<Place, Waiting>,
}

/// Where something waits: an IKE SA, by our SPI, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) spi: u64,
    pub(super) wait: Wait,
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    /// Our next request.
    Request,
    /// The answer to our request in flight.
    Answer,
    /// The peer's request.
    PeersRequest,
}

struct Waiting {
    job: JobId,
    known: Vec<Value>,
    item: Item,
}

/// What is taken again when the value is there.
pub(super) enum Item {
    /// A request of ours.
    Request,
    /// A message in the clear.
    Clear { path: Path, datagram: Vec<u8> },
    /// What was inside a protected message, and when it came.
    Protected { header: Header, opened: Opened, came: Time },
}

impl Wait {
    pub(super) const fn of(header: &Header) -> Self {
        if header.flags.response { Self::Answer } else { Self::PeersRequest }
    }
}

impl Item {
    pub(super) fn clear(path: Path, datagram: &[u8]) -> Self {
        Self::Clear { path, datagram: datagram.to_vec() }
    }
}

impl Parked {
    /// Keeps `item` until the value of a job is there, of which it gives the name. `None`: there are too many messages.
    /// Requests of our own always have room: they are as many as we want tunnels.
    pub(super) fn park(&mut self, place: Place, known: Vec<Value>, item: Item) -> Option<JobId> {
        let full = self.waiting.len() >= limits::PARKED && !matches!(item, Item::Request);
        if full || self.holds(place) {
            return None;
        }
        self.last_job = self.last_job.wrapping_add(1);
        let job = JobId(self.last_job);
        self.by_job.insert(job, place);
        self.waiting.insert(place, Waiting { job, known, item });
        Some(job)
    }

    /// Takes out what waits for this job, with all values that it knows.
    pub(super) fn take(&mut self, job: JobId, value: Value) -> Option<(Place, Vec<Value>, Item)> {
        let place = self.by_job.remove(&job)?;
        let Waiting { mut known, item, .. } = self.waiting.remove(&place)?;
        known.push(value);
        Some((place, known, item))
    }

    /// Something waits here.
    pub(super) fn holds(&self, place: Place) -> bool {
        self.waiting.contains_key(&place)
    }

    /// The IKE SA is gone.
    pub(super) fn forget(&mut self, spi: u64) {
        for wait in [Wait::Request, Wait::Answer, Wait::PeersRequest] {
            if let Some(waiting) = self.waiting.remove(&Place { spi, wait }) {
                self.by_job.remove(&waiting.job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::iana::Group;
    use crate::crypto::Random;
    use crate::crypto::dh::DhSecret;

    struct Ones;

    impl Random for Ones {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(1);
        }
    }

    fn value() -> Value {
        Value::Generated(Arc::new(DhSecret::generate(Group::CURVE25519, &mut Ones).unwrap()))
    }

    fn place(spi: u64) -> Place {
        Place { spi, wait: Wait::PeersRequest }
    }

    #[test]
    fn one_of_a_kind_waits() {
        let mut parked = Parked::default();
        let job = parked.park(place(1), Vec::new(), Item::Request).unwrap();
        assert!(parked.holds(place(1)) && !parked.holds(place(2)));
        assert!(parked.park(place(1), Vec::new(), Item::Request).is_none());
        assert!(parked.park(Place { spi: 1, wait: Wait::Answer }, Vec::new(), Item::Request).is_some());
        let (taken, known, _) = parked.take(job, value()).unwrap();
        assert_eq!((taken, known.len()), (place(1), 1));
        assert!(!parked.holds(place(1)));
        assert!(parked.take(job, value()).is_none(), "a job has one result");
    }

    #[test]
    fn what_is_forgotten_has_no_use_for_its_result() {
        let mut parked = Parked::default();
        let job = parked.park(place(1), Vec::new(), Item::Request).unwrap();
        parked.forget(1);
        assert!(parked.take(job, value()).is_none());
        assert!(parked.by_job.is_empty() && parked.waiting.is_empty());
    }

    #[test]
    fn messages_of_all_sas_together_have_a_bound() {
        let mut parked = Parked::default();
        let address = "192.0.2.1:500".parse().unwrap();
        let path = Path { local: address, remote: address };
        let mut fits = |spi| parked.park(place(spi), Vec::new(), Item::clear(path, &[])).is_some();
        let bound = limits::PARKED as u64;
        assert!((0..bound).all(&mut fits) && !fits(bound));
        assert!(parked.park(place(u64::MAX), Vec::new(), Item::Request).is_some(), "it is our own");
    }
}

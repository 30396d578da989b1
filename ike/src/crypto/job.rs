//! Computations that take longer than a message may: they can be run apart from the state that waits for them.
//!
//! A job holds all that it needs and gives its result back by value, so that any thread may run it. What it holds of
//! secrets is wiped when it and its result are dropped.

use std::sync::Arc;

use super::dh::{DhError, DhSecret, Drawn, SharedSecret};

/// Names a job among those of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub(crate) u64);

/// A computation to be run, and its result to be handed back.
pub struct Job {
    id: JobId,
    work: Work,
}

impl Job {
    pub(crate) const fn new(id: JobId, work: Work) -> Self {
        Self { id, work }
    }

    /// Its name.
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// Computes: up to a few milliseconds, without waiting for anything.
    pub fn run(self) -> Done {
        Done { id: self.id, value: self.work.run() }
    }
}

impl core::fmt::Debug for Job {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Job").field(&self.id).finish()
    }
}

/// The result of a job.
pub struct Done {
    pub(crate) id: JobId,
    pub(crate) value: Value,
}

impl core::fmt::Debug for Done {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Done").field(&self.id).finish()
    }
}

/// What is to be computed.
pub(crate) enum Work {
    /// Our public value.
    Generate(Drawn),
    /// Our public value, and what it makes with the peer's.
    Exchange { drawn: Drawn, peer: Vec<u8> },
    /// What a secret of ours makes with the peer's public value.
    Agree { secret: Arc<DhSecret>, peer: Vec<u8> },
}

impl Work {
    fn run(self) -> Value {
        match self {
            Self::Generate(drawn) => Value::Generated(Arc::new(drawn.into_secret())),
            Self::Exchange { drawn, peer } => {
                Value::Exchanged(Arc::new(Exchanged::new(Arc::new(drawn.into_secret()), &peer)))
            }
            Self::Agree { secret, peer } => Value::Exchanged(Arc::new(Exchanged::new(secret, &peer))),
        }
    }
}

/// What was computed, with the inputs by which it is found again.
#[derive(Clone)]
pub(crate) enum Value {
    Generated(Arc<DhSecret>),
    Exchanged(Arc<Exchanged>),
}

/// Both ends' values of a key exchange.
pub(crate) struct Exchanged {
    /// Ours.
    pub(crate) secret: Arc<DhSecret>,
    /// The peer's public value.
    pub(crate) peer: Vec<u8>,
    /// g^ir, unless the peer's value is one that its group excludes.
    pub(crate) shared: Result<SharedSecret, DhError>,
}

impl Exchanged {
    /// Computes g^ir.
    pub(crate) fn new(secret: Arc<DhSecret>, peer: &[u8]) -> Self {
        let shared = secret.agree(peer);
        Self { secret, peer: peer.to_vec(), shared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::iana::Group;
    use crate::crypto::Random;

    struct Octets(u8);

    impl Random for Octets {
        fn fill(&mut self, out: &mut [u8]) {
            for octet in out {
                self.0 = self.0.wrapping_mul(5).wrapping_add(113);
                *octet = self.0;
            }
        }
    }

    #[test]
    fn a_job_runs_on_another_thread() {
        let theirs = DhSecret::generate(Group::ECP_256, &mut Octets(1)).unwrap();
        let drawn = Drawn::new(Group::ECP_256, &mut Octets(2)).unwrap();
        let job = Job::new(JobId(7), Work::Exchange { drawn, peer: theirs.public().to_vec() });
        let done = std::thread::scope(|scope| scope.spawn(|| job.run()).join().unwrap());
        assert_eq!(done.id, JobId(7));
        let Value::Exchanged(exchanged) = done.value else { panic!("not a key exchange") };
        let shared = theirs.agree(exchanged.secret.public()).unwrap();
        assert_eq!(exchanged.shared.as_ref().unwrap().as_bytes(), shared.as_bytes());
    }
}

//! Threads that compute key exchanges and signatures, below the priority of everything else: a storm of handshakes keeps
//! neither packets nor liveness waiting.

use std::io;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};
use std::thread;

use gotthard_ike::{Done, Job};
use rustix::process::nice;
use tokio::sync::mpsc;
use tracing::debug;

/// The threads, with what they have to do and what they have done. They end when it is dropped.
pub(super) struct Computers {
    jobs: blocking::SyncSender<Job>,
    done: mpsc::UnboundedReceiver<Done>,
}

impl Computers {
    /// One thread a core but one, which is left to the loop; at least one.
    pub(super) fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let (jobs, queue) = blocking::sync_channel(QUEUE);
        // What is done is taken by the loop that hands jobs out: it is no more than was in the queue.
        let (tell, done) = mpsc::unbounded_channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 1..cores.max(2) {
            let (queue, tell) = (Arc::clone(&queue), tell.clone());
            thread::Builder::new()
                .name(format!("ike-compute-{number}"))
                .spawn(move || compute(&queue, &tell))?;
        }
        Ok(Self { jobs, done })
    }

    /// Has a job computed. Gives its result where that is there at once: who is so far behind that the queue is full
    /// computes itself, which slows down what makes more jobs.
    pub(super) fn compute(&self, job: Job) -> Option<Done> {
        match self.jobs.try_send(job) {
            Ok(()) => None,
            Err(blocking::TrySendError::Full(job) | blocking::TrySendError::Disconnected(job)) => {
                Some(job.run())
            }
        }
    }

    /// The next result. Waits for ever while nothing is computed.
    pub(super) async fn done(&mut self) -> Option<Done> {
        self.done.recv().await
    }
}

fn compute(queue: &Mutex<blocking::Receiver<Job>>, tell: &mpsc::UnboundedSender<Done>) {
    // On Linux it is the thread's own.
    if let Err(error) = nice(NICE) {
        debug!(%error, "key exchanges are computed at the priority of the rest");
    }
    loop {
        // A thread that panicked held no job while it held the lock.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        if tell.send(job.run()).is_err() {
            return;
        }
    }
}

/// Jobs that wait for a thread: more than messages may wait for them, since those of IKE SAs that are gone stay.
const QUEUE: usize = 2 * gotthard_ike::limits::PARKED;
/// A quarter of the share of what runs at the usual priority.
const NICE: i32 = 6;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{IpAddr, Ipv4Addr};

    use gotthard_ike::config::{Auth, PeerConfig, PeerId};
    use gotthard_ike::{Endpoint, Output, Time};

    use super::super::SystemRandom;
    use super::*;

    fn config(number: u8) -> PeerConfig {
        let local = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let remote = IpAddr::V4(Ipv4Addr::new(198, 51, 100, number));
        PeerConfig {
            ike_suites: vec!["aes256gcm16-sha256-ecp256".parse().expect("a suite")],
            esp_suites: vec!["aes256gcm16".parse().expect("a suite")],
            ..PeerConfig::new(local, remote, Auth::psk(b"correct horse battery staple"))
        }
    }

    #[tokio::test]
    async fn every_job_comes_back_and_its_request_leaves() {
        let mut endpoint = Endpoint::new(Box::new(SystemRandom));
        endpoint.hand_out_jobs(true);
        let mut computers = Computers::start().expect("threads");
        let numbers = 1..=20_u8;
        for number in numbers.clone() {
            endpoint.add_peer(PeerId(number.into()), config(number));
            endpoint.initiate(Time::ZERO, PeerId(number.into()));
        }
        let mut asked = BTreeSet::new();
        while asked.len() < numbers.len() {
            match endpoint.poll_output() {
                Output::Compute(job) => assert!(computers.compute(job).is_none(), "the queue has room"),
                Output::Transmit(transmit) => assert!(asked.insert(transmit.remote)),
                Output::Timeout { .. } => {
                    let done = computers.done().await.expect("a thread lives");
                    endpoint.handle_computed(Time::ZERO, done);
                }
                Output::Install(_) | Output::Event(_) | Output::Keepalive { .. } | Output::Keys(_) => {}
            }
        }
    }
}

//! Opening beside each other: the worker that receives lends whole receives to workers that have nothing else to do. It
//! alone owns the replay windows and commits in order, so the packets of an SA come out as one worker would bring them.
//!
//! Buffers pass by value. What nobody has taken when the owner has opened its own share it opens itself, so a helper that
//! does not get a core costs nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::inbound::{Arrival, lend, open_arrivals};
use crate::esp::decapsulate::Opened;
use crate::io::Datagram;
use crate::replay::ReplayWindow;
use crate::sa::inbound::InboundSa;
use crate::sys::wake::Waker;

/// The workers that help, and what there is to do.
pub struct Crew {
    board: Mutex<VecDeque<Posted>>,
    /// How many jobs are on the board, or will be in a moment.
    posted: AtomicUsize,
    helpers: Vec<Helper>,
    /// How long a helper looks for the next job before it rests.
    patience: Duration,
}

struct Helper {
    worker: usize,
    waker: Waker,
    rests: AtomicBool,
}

/// One receive whose packets are all of one SA.
pub(super) struct Job {
    /// Which group of the burst it is.
    pub(super) group: usize,
    pub(super) sa: Arc<InboundSa>,
    /// As it was before the burst.
    pub(super) window: ReplayWindow,
    pub(super) datagram: Datagram,
    /// Its packets; their place in the burst means nothing here.
    pub(super) arrivals: Vec<Arrival>,
    /// What came of them.
    pub(super) opened: Opened,
}

struct Posted {
    job: Job,
    done: Sender<Job>,
}

impl Crew {
    /// Workers that help, by number, each with what wakes it. With `cores_to_spare` a helper stays awake between the bursts
    /// of a stream: to be woken takes it longer than to open a receive.
    pub fn new(helpers: impl IntoIterator<Item = (usize, Waker)>, cores_to_spare: bool) -> Self {
        let helper = |(worker, waker)| Helper { worker, waker, rests: AtomicBool::new(false) };
        Self {
            board: Mutex::default(),
            posted: AtomicUsize::new(0),
            helpers: helpers.into_iter().map(helper).collect(),
            patience: if cores_to_spare { PATIENCE } else { Duration::ZERO },
        }
    }

    /// Opens what each job holds, with whoever has nothing to do. A job whose helper died does not come back.
    pub(super) fn open(&self, jobs: &mut Vec<Job>) {
        let (done, results) = mpsc::channel();
        let mut own = jobs.pop();
        let posted = jobs.len();
        self.posted.fetch_add(posted, Ordering::Relaxed);
        self.board().extend(jobs.drain(..).map(|job| Posted { job, done: done.clone() }));
        drop(done);
        self.wake(posted);
        while let Some(mut job) = own.take() {
            job.run();
            jobs.push(job);
            own = self.take().map(|posted| posted.job);
        }
        // Their helpers are at work: each holds the other end of the channel until it is done.
        jobs.extend(results);
    }

    /// Works on what there is to do, and for a moment on what comes next; not for long, since the helper has queues of its
    /// own.
    pub(super) fn help(&self) {
        let Some(first) = self.take() else { return };
        let start = Instant::now();
        first.run();
        let mut last = Instant::now();
        while last.duration_since(start) < LONGEST_HELP {
            match self.take() {
                Some(posted) => {
                    posted.run();
                    last = Instant::now();
                }
                None if last.elapsed() >= self.patience => return,
                None => std::hint::spin_loop(),
            }
        }
    }

    /// Worker number `worker` waits for something to do, or no longer does.
    pub(super) fn rest(&self, worker: usize, rests: bool) {
        if let Some(helper) = self.helpers.iter().find(|helper| helper.worker == worker) {
            helper.rests.store(rests, Ordering::Relaxed);
        }
    }

    fn wake(&self, jobs: usize) {
        let resting = self.helpers.iter().filter(|helper| helper.rests.swap(false, Ordering::Relaxed));
        resting.take(jobs).for_each(|helper| helper.waker.wake());
    }

    fn take(&self) -> Option<Posted> {
        if self.posted.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let posted = self.board().pop_front()?;
        self.posted.fetch_sub(1, Ordering::Relaxed);
        Some(posted)
    }

    fn board(&self) -> MutexGuard<'_, VecDeque<Posted>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Posted {
    fn run(mut self) {
        self.job.run();
        // The owner waits for it; if it died, so does the job.
        let _ = self.done.send(self.job);
    }
}

impl Job {
    fn run(&mut self) {
        let datagram = std::slice::from_mut(&mut self.datagram);
        self.opened = open_arrivals(&self.sa, &self.window, lend(datagram, &self.arrivals));
    }
}

/// Longer than the receiver takes from one burst of a stream at full rate to the next.
const PATIENCE: Duration = Duration::from_micros(100);

/// A queue of the helper's own fills up in several times this.
const LONGEST_HELP: Duration = Duration::from_micros(500);

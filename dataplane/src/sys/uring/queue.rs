//! The two queues that a ring shares with the kernel, and the count of what is under way between them.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, Submitter, cqueue, squeue};

/// The submission and the completion queue.
pub(super) struct Queue {
    uring: IoUring,
    /// Completions that were taken from the queue.
    done: VecDeque<Done>,
    /// Requests whose last completion is still to be taken.
    pending: usize,
}

/// A completion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) user_data: u64,
    pub(super) result: i32,
    flags: u32,
}

impl Done {
    /// The request goes on, and completes again.
    pub(super) fn more(self) -> bool {
        cqueue::more(self.flags)
    }

    /// The buffer that the kernel picked.
    pub(super) fn buffer(self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }
}

impl Queue {
    /// Rings for the calling thread alone: what completes is noticed when it asks, and never interrupts it.
    pub(super) fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        Ok(Self { uring, done: VecDeque::new(), pending: 0 })
    }

    /// For registrations.
    pub(super) fn submitter(&self) -> Submitter<'_> {
        self.uring.submitter()
    }

    /// Requests whose last completion is still to be taken.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Queues a request. One that the kernel does not take completes as refused.
    ///
    /// # Safety
    ///
    /// What the request points to must stay valid, and what the kernel writes untouched, until its last completion was
    /// taken, or the queue is dropped with nothing pending.
    pub(super) unsafe fn push(&mut self, request: &squeue::Entry) {
        self.pending += 1;
        for _ in 0..TRIES {
            // SAFETY: as the caller promised.
            if unsafe { self.uring.submission().push(request) }.is_ok() {
                return;
            }
            // Full: what is queued goes to the kernel, for which there must be room in the other queue.
            if self.enter(0, None).is_err() {
                break;
            }
            self.collect();
        }
        self.done.push_back(Done { user_data: request.get_user_data(), result: -libc::ENOBUFS, flags: 0 });
    }

    /// Gives the kernel all requests, and waits for `want` completions, at most for `timeout`. Fewer are no error; there is no
    /// wait while some are here.
    pub(super) fn enter(&mut self, want: usize, timeout: Option<Duration>) -> io::Result<()> {
        let want = if self.done.is_empty() { want } else { 0 };
        let submitter = self.uring.submitter();
        let result = match timeout {
            None => submitter.submit_and_wait(want),
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                submitter.submit_with_args(want, &SubmitArgs::new().timespec(&timeout))
            }
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // A signal; no memory for a request just now; completions to be taken first; the timeout.
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ETIME) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Whether the kernel has something to be given, or to do.
    pub(super) fn has_work(&mut self) -> bool {
        let queue = self.uring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// The next completion.
    pub(super) fn completion(&mut self) -> Option<Done> {
        if self.done.is_empty() {
            self.collect();
        }
        let done = self.done.pop_front()?;
        if !done.more() {
            self.pending = self.pending.saturating_sub(1);
        }
        Some(done)
    }

    /// Takes all completions from the queue.
    fn collect(&mut self) {
        let completed = self.uring.completion().map(|entry| Done {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        });
        self.done.extend(completed);
    }
}

/// Requests queued between two system calls; more cost another one.
const SUBMISSIONS: u32 = 256;

/// How often the kernel is asked to take requests, before one is refused: it may have no memory for a moment.
const TRIES: usize = 100;

/// Completions that the kernel keeps without allocating.
const COMPLETIONS: u32 = 4096;

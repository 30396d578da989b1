//! An eventfd that ends a worker's wait.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

/// Wakes one worker. Clones wake the same one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A new eventfd, non-blocking.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Ends the present wait, or the next one where none is under way.
    pub fn wake(&self) {
        // The only failure is a counter about to overflow, and then the worker is woken already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Takes the wake-ups that have come; whether there was one.
    pub fn take(&self) -> bool {
        let mut count = [0; 8];
        rustix::io::read(&self.0, &mut count).is_ok()
    }

    /// Blocks until a wake-up comes; for a back end that waits on nothing else.
    pub fn wait(&self) -> io::Result<()> {
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
        Ok(())
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! TUN queues, as the registry opens them and the back ends serve them.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::Offloads;
use super::linger::outlast;
use crate::sys::tun::{self, Device};

/// A TUN queue: read by one worker, or written to by the one that receives.
#[derive(Clone, Debug)]
pub struct TunQueue {
    fd: Arc<OwnedFd>,
    reads: bool,
    offloads: Offloads,
}

impl TunQueue {
    /// Creates a TUN device with a queue for each of `workers`, and returns for each what it serves: its own queue to read,
    /// and, where there are several, for the one that `writes` names another behind it to write to.
    ///
    /// Without `offloads`, or where the kernel has none, every frame is one packet.
    pub fn create(name: &str, workers: usize, writes: usize, offloads: bool) -> io::Result<Vec<Vec<Self>>> {
        let Device { queues, writer, offloads } =
            outlast(libc::EBUSY, || tun::create(name, workers, offloads))?;
        let queue = |fd, reads| Self { fd: Arc::new(fd), reads, offloads };
        let mut served: Vec<Vec<Self>> = queues.into_iter().map(|own| vec![queue(own, true)]).collect();
        if let (Some(queues), Some(fd)) = (served.get_mut(writes), writer) {
            queues.push(queue(fd, false));
        }
        Ok(served)
    }

    /// A queue of single packets over any descriptor that keeps packet boundaries; for a test without a TUN device.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd: Arc::new(fd), reads: true, offloads: Offloads::default() }
    }

    /// Gives the host one packet, with a virtio header that says nothing where the queue has headers.
    pub(super) fn answer(&self, packet: &[u8]) -> Result<(), Errno> {
        if self.offloads.header {
            rustix::io::writev(self, &[IoSlice::new(&NO_OFFLOAD), IoSlice::new(packet)])?;
        } else {
            rustix::io::write(self, packet)?;
        }
        Ok(())
    }

    /// Whether this worker reads it.
    pub fn reads(&self) -> bool {
        self.reads
    }

    /// What its device takes and gives.
    pub fn offloads(&self) -> Offloads {
        self.offloads
    }
}

impl AsFd for TunQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A virtio header that says nothing.
const NO_OFFLOAD: [u8; 10] = [0; 10];

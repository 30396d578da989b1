//! An io_uring(7) of one thread: multishot reads and receives into provided buffers, batched sends, gathered writes.
//!
//! Whatever the kernel reads from or writes to is owned by [`Ring`] from the request to its last completion: buffers and
//! batches move in by value and come out by value. No request ever waits on a thread of the kernel's: reads and receives are
//! armed and polled, sends and writes are done at once or fail.

mod probe;
mod queue;
mod received;
mod sends;
#[cfg(test)]
mod tests;
mod writes;

use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fixed};
use io_uring::{opcode, squeue};
use rustix::io::Errno;

pub use self::probe::{Unavailable, available};
use self::queue::{Done, Queue};
pub use self::received::Received;
pub use self::sends::Destination;
use self::sends::Sends;
use self::writes::Writes;
use super::buf_ring::BufRing;
use crate::batch::Batch;
use crate::pool::Buffer;

/// A place in the ring's table of registered files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File(pub u32);

/// Which buffers a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Those of reads.
    Reads,
    /// Those of receives.
    Receives,
}

/// What a request came to. `more`: it goes on.
#[derive(Debug)]
pub enum Completion {
    /// A file is readable.
    Polled {
        /// Which file.
        file: File,
        /// It will be said again.
        more: bool,
    },
    /// A read gave something: the buffer, and how many of its octets.
    Read {
        /// From which file.
        file: File,
        /// What came.
        result: Result<(Buffer, usize), Errno>,
        /// The read goes on.
        more: bool,
    },
    /// A receive gave something: the buffer, and how many of its octets; see [`Received`].
    Received {
        /// From which file.
        file: File,
        /// What came.
        result: Result<(Buffer, usize), Errno>,
        /// The receive goes on.
        more: bool,
    },
    /// Packets of a batch were sent, or were not.
    Sent {
        /// The number that [`Ring::send`] returned.
        flight: usize,
        /// Which packets of the batch.
        packets: Range<usize>,
        /// Whether the kernel took them.
        result: Result<(), Errno>,
        /// Nothing more of this batch is under way.
        last: bool,
    },
    /// A frame was written, or was not.
    Written {
        /// The number that [`Ring::write`] returned.
        flight: usize,
        /// Which frame.
        frame: usize,
        /// Whether the device took it.
        result: Result<(), Errno>,
    },
}

/// A ring. It serves the thread that made it alone.
pub struct Ring {
    /// Dropped first, if nothing is under way any more.
    queue: ManuallyDrop<Queue>,
    /// All that the kernel may touch. Dropped after the queue, or never.
    memory: ManuallyDrop<Memory>,
    multishot_reads: bool,
    /// Sends, writes and cancellations under way.
    at_once: usize,
}

struct Memory {
    reads: BufRing,
    receives: BufRing,
    /// How much of a buffer a receive keeps for the address and the control data.
    template: Box<libc::msghdr>,
    sends: Sends,
    writes: Writes,
}

impl Ring {
    /// A ring with room for `files` registered files.
    pub fn new(files: u32) -> io::Result<Self> {
        let queue = Queue::new()?;
        let submitter = queue.submitter();
        submitter.register_files_sparse(files)?;
        // Nothing here should need a thread of the kernel's; if something does, then no more than one.
        submitter.register_iowq_max_workers(&mut [1, 1])?;
        let multishot_reads = probe::supports(&submitter, opcode::ReadMulti::CODE)?;
        // SAFETY: `Drop` unregisters both before it drops them; on the way out below, `queue` is dropped with nothing pending
        // before the memory is.
        let (reads, receives) = unsafe {
            let reads = BufRing::register(&submitter, Group::Reads.number(), BUFFERS);
            let receives = BufRing::register(&submitter, Group::Receives.number(), BUFFERS);
            (reads, receives)
        };
        let (reads, receives) = match (reads, receives) {
            (Ok(reads), Ok(receives)) => (reads, receives),
            (reads, receives) => {
                drop(queue);
                return Err(reads.err().or(receives.err()).unwrap_or_else(|| io::ErrorKind::Other.into()));
            }
        };
        let memory = Memory {
            reads,
            receives,
            template: Box::new(received::template()),
            sends: Sends::new(FLIGHTS),
            writes: Writes::new(FLIGHTS),
        };
        Ok(Self {
            queue: ManuallyDrop::new(queue),
            memory: ManuallyDrop::new(memory),
            multishot_reads,
            at_once: 0,
        })
    }

    /// Puts a file into the table.
    pub fn register(&mut self, file: File, fd: impl AsFd) -> io::Result<()> {
        self.queue.submitter().register_files_update(file.0, &[fd.as_fd().as_raw_fd()]).map(drop)
    }

    /// Takes a file out of the table. Requests under way still hold it.
    pub fn unregister(&mut self, file: File) -> io::Result<()> {
        self.queue.submitter().register_files_update(file.0, &[NO_FILE]).map(drop)
    }

    /// Asks to be told whenever a file becomes readable.
    pub fn poll(&mut self, file: File) {
        let flags = u32::from(libc::POLLIN.cast_unsigned());
        let request = opcode::PollAdd::new(Fixed(file.0), flags).multi(true).build();
        // SAFETY: it points to no memory.
        unsafe { self.queue.push(&request.user_data(token(Kind::Poll, file.0 as usize, 0))) }
    }

    /// How many reads a file should have under way. More than one of those that give one packet each, since each costs a turn;
    /// not many more: every packet wakes them all.
    pub fn reads_wanted(&self) -> usize {
        if self.multishot_reads { 1 } else { 4 }
    }

    /// Reads from a file whatever comes, into buffers of [`Group::Reads`].
    pub fn read(&mut self, file: File) {
        let group = self.memory.reads.group();
        let request = if self.multishot_reads {
            // The builder forgets that the file is a registered one.
            opcode::ReadMulti::new(Fixed(file.0), 0, group).build().flags(squeue::Flags::FIXED_FILE)
        } else {
            let read = opcode::Read::new(Fixed(file.0), std::ptr::null_mut(), LONGEST).buf_group(group);
            read.build().flags(squeue::Flags::BUFFER_SELECT)
        };
        // SAFETY: the kernel writes to buffers that `memory.reads` keeps until it names them in a completion.
        unsafe { self.queue.push(&request.user_data(token(Kind::Read, file.0 as usize, 0))) }
    }

    /// Receives from a socket whatever comes, into buffers of [`Group::Receives`].
    pub fn receive(&mut self, file: File) {
        let (header, group) = (&raw const *self.memory.template, self.memory.receives.group());
        let request = opcode::RecvMsgMulti::new(Fixed(file.0), header, group).build();
        // SAFETY: the header lives as long as `memory`, and nothing writes to it. The kernel writes to buffers that
        // `memory.receives` keeps until it names them in a completion.
        unsafe { self.queue.push(&request.user_data(token(Kind::Receive, file.0 as usize, 0))) }
    }

    /// Ends all requests on a file; each still completes.
    pub fn cancel(&mut self, file: File) {
        let request = opcode::AsyncCancel2::new(CancelBuilder::fd(Fixed(file.0)).all()).build();
        self.at_once += 1;
        // SAFETY: it points to no memory.
        unsafe { self.queue.push(&request.user_data(token(Kind::Cancel, 0, 0))) }
    }

    /// Sends a batch, in order and without waiting; returns the number of its flight. All flights taken: it comes back.
    pub fn send(&mut self, destination: &Destination, batch: Batch) -> Result<usize, Batch> {
        let Some(index) = self.memory.sends.free() else { return Err(batch) };
        for request in self.memory.sends.load(index, destination, batch) {
            // SAFETY: the flight keeps all that the request points to in place until it has been told of this completion.
            unsafe { self.queue.push(&request) }
            self.at_once += 1;
        }
        Ok(index)
    }

    /// The batch of a flight.
    pub fn batch(&self, flight: usize) -> Option<&Batch> {
        self.memory.sends.batch(flight)
    }

    /// Takes the batch of a flight of which nothing is under way any more.
    pub fn take_batch(&mut self, flight: usize) -> Option<Batch> {
        self.memory.sends.unload(flight)
    }

    /// Whether there is room for another burst to be written.
    pub fn can_write(&self) -> bool {
        self.memory.writes.free().is_some()
    }

    /// Writes frames, in order and without waiting: each to a file, gathered from parts of `buffers`, by their place. Returns
    /// the number of the flight. The buffers go to [`Group::Receives`] when the last frame is written; when all flights are
    /// taken, at once.
    pub fn write<P>(
        &mut self,
        buffers: impl Iterator<Item = Buffer>,
        frames: impl Iterator<Item = (File, P)>,
    ) -> Option<usize>
    where
        P: Iterator<Item = (usize, Range<usize>)>,
    {
        let Some(index) = self.memory.writes.free() else {
            buffers.for_each(|buffer| self.memory.receives.give(buffer));
            return None;
        };
        let mut none = true;
        for request in self.memory.writes.load(index, buffers, frames) {
            // SAFETY: the flight keeps all that the request points to in place until it has been told of this completion.
            unsafe { self.queue.push(&request) }
            self.at_once += 1;
            none = false;
        }
        if none {
            self.take_buffers(index);
        }
        Some(index)
    }

    /// Takes a buffer back.
    pub fn give(&mut self, group: Group, buffer: Buffer) {
        self.group(group).give(buffer);
    }

    /// How many buffers of a group the kernel shall have.
    pub fn set_depth(&mut self, group: Group, depth: usize) {
        self.group(group).set_depth(depth);
    }

    /// Provides the buffers that were given back; returns how many the kernel has.
    pub fn provide(&mut self, group: Group) -> usize {
        let group = self.group(group);
        group.provide();
        group.provided()
    }

    /// Requests under way that are done as soon as the kernel has them: sends, writes and cancellations.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// Gives the kernel all requests, and waits for `want` completions.
    pub fn wait(&mut self, want: usize) -> io::Result<()> {
        self.queue.enter(want, None)
    }

    /// As [`Self::wait`], but not for longer than `timeout`.
    pub fn wait_for(&mut self, want: usize, timeout: Duration) -> io::Result<()> {
        self.queue.enter(want, Some(timeout))
    }

    /// Gives the kernel all requests, if there are any.
    pub fn submit(&mut self) -> io::Result<()> {
        if self.queue.has_work() { self.queue.enter(0, None) } else { Ok(()) }
    }

    /// The next completion.
    pub fn completion(&mut self) -> Option<Completion> {
        loop {
            let done = self.queue.completion()?;
            if let Some(completion) = self.sort(done) {
                return Some(completion);
            }
        }
    }

    fn sort(&mut self, done: Done) -> Option<Completion> {
        let (kind, index, part) = Kind::of(done.user_data)?;
        let more = done.more();
        let file = File(u32::try_from(index).ok()?);
        if matches!(kind, Kind::Cancel | Kind::Send | Kind::Write) {
            self.at_once = self.at_once.saturating_sub(1);
        }
        Some(match kind {
            Kind::Cancel => return None,
            Kind::Poll => Completion::Polled { file, more },
            Kind::Read => Completion::Read { file, result: self.picked(Group::Reads, done), more },
            Kind::Receive => Completion::Received { file, result: self.picked(Group::Receives, done), more },
            Kind::Send => {
                let (packets, last) = self.memory.sends.landed(index, part)?;
                Completion::Sent { flight: index, packets, result: octets(done.result).map(drop), last }
            }
            Kind::Write => {
                if self.memory.writes.landed(index)? {
                    self.take_buffers(index);
                }
                Completion::Written { flight: index, frame: part, result: octets(done.result).map(drop) }
            }
        })
    }

    /// The buffer that a request was given, and how many octets were put into it.
    fn picked(&mut self, group: Group, done: Done) -> Result<(Buffer, usize), Errno> {
        let buffer = done.buffer().and_then(|id| self.group(group).take(id));
        match (octets(done.result), buffer) {
            (Ok(len), Some(buffer)) => Ok((buffer, len)),
            (result, buffer) => {
                if let Some(buffer) = buffer {
                    self.give(group, buffer);
                }
                Err(result.err().unwrap_or(Errno::IO))
            }
        }
    }

    fn take_buffers(&mut self, flight: usize) {
        let Memory { writes, receives, .. } = &mut *self.memory;
        writes.unload(flight).for_each(|buffer| receives.give(buffer));
    }

    fn group(&mut self, group: Group) -> &mut BufRing {
        match group {
            Group::Reads => &mut self.memory.reads,
            Group::Receives => &mut self.memory.receives,
        }
    }

    /// Ends all requests, and waits until the kernel has let go of all memory.
    fn settle(&mut self) -> io::Result<()> {
        let request = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        // SAFETY: it points to no memory.
        unsafe { self.queue.push(&request.user_data(token(Kind::Cancel, 0, 0))) }
        for _ in 0..SETTLE_ROUNDS {
            while self.queue.completion().is_some() {}
            if self.queue.pending() == 0 {
                let submitter = self.queue.submitter();
                submitter.unregister_buf_ring(Group::Reads.number())?;
                submitter.unregister_buf_ring(Group::Receives.number())?;
                return submitter.unregister_files();
            }
            let pending = self.queue.pending();
            self.queue.enter(pending, Some(SETTLE))?;
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let settled = self.settle().is_ok();
        // SAFETY: neither is used again. The queue is dropped once, here; the memory after it, and only where no request is
        // under way and no group is registered. Otherwise the memory is never freed, so that the kernel cannot write to what
        // became somebody else's.
        unsafe {
            ManuallyDrop::drop(&mut self.queue);
            if settled {
                ManuallyDrop::drop(&mut self.memory);
            }
        }
    }
}

impl Group {
    const fn number(self) -> u16 {
        match self {
            Self::Reads => 0,
            Self::Receives => 1,
        }
    }
}

/// What a request is, as its completion tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Cancel,
    Poll,
    Read,
    Receive,
    Send,
    Write,
}

impl Kind {
    /// The kind, the file or flight, and which part of the flight.
    fn of(token: u64) -> Option<(Self, usize, usize)> {
        let kinds = [Self::Cancel, Self::Poll, Self::Read, Self::Receive, Self::Send, Self::Write];
        let [kind, i0, i1, i2, i3, p0, p1, p2] = token.to_be_bytes();
        let kind = kinds.into_iter().find(|k| *k as u8 == kind)?;
        let (index, part) = (u32::from_be_bytes([i0, i1, i2, i3]), u32::from_be_bytes([0, p0, p1, p2]));
        Some((kind, index as usize, part as usize))
    }
}

fn token(kind: Kind, index: usize, part: usize) -> u64 {
    (kind as u64) << 56 | (index as u64) << 24 | part as u64
}

/// The kernel's result of a transfer.
fn octets(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}

fn empty_header() -> libc::msghdr {
    // SAFETY: `msghdr` is a C struct of integers and pointers; all zeros is a valid value of each.
    unsafe { std::mem::zeroed() }
}

/// Buffers of each group.
const BUFFERS: u16 = 64;

/// Batches, and bursts, under way at a time.
pub const FLIGHTS: usize = 8;

/// A read takes what its buffer holds; more is never asked for.
const LONGEST: u32 = u32::MAX >> 1;

/// How an empty place of the file table is written.
const NO_FILE: i32 = -1;

/// Everything under way is done, or can be ended at once; this is for a kernel that has other things to do.
const SETTLE: Duration = Duration::from_millis(100);
const SETTLE_ROUNDS: usize = 20;

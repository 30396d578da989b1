//! The back end of io_uring(7): one system call a turn gives the kernel all sends and writes, and brings all that came.
//!
//! Reads and receives stay armed, and what they bring is stashed until the worker asks for it; a turn never blocks while
//! something is. A source that ended for want of buffers is armed again when there are some.

mod completions;
mod stash;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use self::stash::Stash;
use super::send::send_datagram;
use super::sockets::Sockets;
use super::tun::TunQueue;
use super::{
    Backend, Datagram, Frame, Offloads, Outcome, Piece, QueueId, Route, Sent, SocketId, Source, Wire, Writes,
};
use crate::batch::{self, Batch};
use crate::pool::Buffer;
use crate::sys::mmsg::Sender;
use crate::sys::uring::{Destination, FLIGHTS, File, Group, Ring};
pub use crate::sys::uring::{Unavailable, available};
use crate::sys::wake::Waker;

/// An io_uring. It serves the thread that makes it.
pub struct Uring {
    ring: Ring,
    waker: Waker,
    woken: bool,
    sockets: Arc<Sockets>,
    /// By the number of their socket.
    datagrams: Vec<Stash<Datagram>>,
    queues: Vec<Option<Queue>>,
    /// Sources to be armed, in order.
    unarmed: VecDeque<Source>,
    /// Sources with something in their stash.
    ready: Vec<Source>,
    batches: Vec<Batch>,
    /// By the number of their flight.
    sending: Vec<Option<Sending>>,
    /// By the number of their flight: the queue and the packets of each frame.
    writing: Vec<Vec<(QueueId, u64)>>,
    sender: Sender,
    outcomes: Vec<Outcome>,
}

struct Queue {
    tun: TunQueue,
    frames: Stash<Frame>,
    /// Requests are being ended; the number is not to be used before they are.
    closing: bool,
}

/// A batch on its way.
struct Sending {
    queue: QueueId,
    route: Route,
    sent: Sent,
}

impl Uring {
    /// Serves `sockets` if `receives`, and the TUN queues attached later.
    pub fn new(sockets: Arc<Sockets>, receives: bool, waker: Waker) -> io::Result<Self> {
        let mut ring = Ring::new(file_table())?;
        ring.register(WAKER, &waker)?;
        ring.poll(WAKER);
        let mut unarmed = VecDeque::new();
        let mut datagrams = Vec::new();
        for (id, socket) in sockets.iter() {
            ring.register(socket_file(id), socket)?;
            datagrams.push(Stash::new());
            if receives {
                unarmed.push_back(Source::Socket(id));
            }
        }
        Ok(Self {
            ring,
            waker,
            woken: false,
            sockets,
            datagrams,
            queues: Vec::new(),
            unarmed,
            ready: Vec::new(),
            batches: (0..FLIGHTS).map(|_| Batch::new()).collect(),
            sending: (0..FLIGHTS).map(|_| None).collect(),
            writing: vec![Vec::new(); FLIGHTS],
            sender: Sender::new(),
            outcomes: Vec::new(),
        })
    }

    /// Begins reads and receives where there are buffers for them.
    fn arm(&mut self) {
        let reads = self.ring.provide(Group::Reads);
        let receives = self.ring.provide(Group::Receives);
        for _ in 0..self.unarmed.len() {
            let Some(source) = self.unarmed.pop_front() else { break };
            let buffers = if matches!(source, Source::Socket(_)) { receives } else { reads };
            if buffers < ENOUGH {
                self.unarmed.push_back(source);
                continue;
            }
            match source {
                Source::Mailbox => {}
                Source::Socket(id) => {
                    if let Some(stash) = self.datagrams.get_mut(id.0) {
                        stash.unarmed = false;
                        stash.arm();
                        self.ring.receive(socket_file(id));
                    }
                }
                Source::Tun(id) => {
                    let file = self.queue_file(id);
                    if let Some(Some(queue)) = self.queues.get_mut(id.0) {
                        queue.frames.unarmed = false;
                        while queue.frames.armed() < self.ring.reads_wanted() {
                            queue.frames.arm();
                            self.ring.read(file);
                        }
                    }
                }
            }
        }
    }

    /// How many completions to wait for: all that come at once, and one that is news. Where a source waits for buffers, news
    /// may not come before those are back.
    fn wanted(&self) -> usize {
        let at_once = self.ring.at_once();
        if self.unarmed.is_empty() { at_once + 1 } else { at_once.max(1) }
    }

    /// Waits until nothing more is under way on a queue, nor any write.
    fn drain(&mut self, queue: QueueId) -> io::Result<()> {
        for _ in 0..DRAIN_ROUNDS {
            let armed = self.queues.get(queue.0).and_then(Option::as_ref).map_or(0, |q| q.frames.armed());
            let at_once = self.ring.at_once();
            if armed == 0 && at_once == 0 {
                break;
            }
            self.ring.wait_for(at_once.max(1), DRAIN)?;
            self.reap();
        }
        Ok(())
    }

    /// Lets go of a queue that is closing when nothing is under way on it.
    fn close(&mut self, queue: QueueId) {
        let file = self.queue_file(queue);
        if let Some(place) = self.queues.get_mut(queue.0)
            && place.as_ref().is_some_and(|queue| queue.closing && queue.frames.armed() == 0)
            && self.ring.unregister(file).is_ok()
        {
            *place = None;
        }
    }

    /// Leaves the sources that have something in the list of those that are ready.
    fn forget_drained(&mut self) {
        let Self { ready, datagrams, queues, .. } = self;
        ready.retain(|source| match *source {
            Source::Mailbox => false,
            Source::Socket(id) => datagrams.get_mut(id.0).is_some_and(Stash::stays_listed),
            Source::Tun(id) => queues
                .get_mut(id.0)
                .is_some_and(|queue| queue.as_mut().is_some_and(|queue| queue.frames.stays_listed())),
        });
    }

    fn queue_file(&self, queue: QueueId) -> File {
        queue_file(self.datagrams.len(), queue)
    }
}

impl Backend for Uring {
    type Tun = TunQueue;

    fn wait(&mut self, ready: &mut Vec<Source>) -> io::Result<()> {
        self.forget_drained();
        loop {
            self.arm();
            if self.woken || !self.ready.is_empty() {
                self.ring.submit()?;
            } else {
                self.ring.wait(self.wanted())?;
            }
            self.reap();
            if self.woken || !self.ready.is_empty() {
                break;
            }
        }
        ready.clear();
        if std::mem::take(&mut self.woken) {
            self.waker.take();
            ready.push(Source::Mailbox);
        }
        ready.extend_from_slice(&self.ready);
        Ok(())
    }

    fn attach(&mut self, tun: TunQueue) -> io::Result<QueueId> {
        let free = self.queues.iter().position(Option::is_none);
        let queue = QueueId(free.unwrap_or(self.queues.len()));
        self.ring.register(self.queue_file(queue), &tun)?;
        let mut frames = Stash::new();
        if tun.reads() {
            rearm(&mut frames, Source::Tun(queue), &mut self.unarmed);
        }
        let place = Some(Queue { tun, frames, closing: false });
        match self.queues.get_mut(queue.0) {
            Some(free) => *free = place,
            None => self.queues.push(place),
        }
        Ok(queue)
    }

    fn detach(&mut self, queue: QueueId) {
        let Some(Some(place)) = self.queues.get_mut(queue.0) else { return };
        place.closing = true;
        while let Ok(Some(frame)) = place.frames.take() {
            self.ring.give(Group::Reads, frame.buffer);
        }
        let source = Source::Tun(queue);
        self.unarmed.retain(|unarmed| *unarmed != source);
        self.ready.retain(|ready| *ready != source);
        let file = self.queue_file(queue);
        self.ring.cancel(file);
        // The device ends with the last request and the last descriptor: both before its name may be used again.
        if let Err(error) = self.drain(queue) {
            tracing::debug!(%error, "ending the requests on a TUN queue");
        }
        self.close(queue);
    }

    fn offloads(&self, queue: QueueId) -> Offloads {
        open_queue(&self.queues, queue).map(TunQueue::offloads).unwrap_or_default()
    }

    fn read_tun(&mut self, queue: QueueId) -> io::Result<Option<Frame>> {
        let queue = self.queues.get_mut(queue.0).and_then(Option::as_mut).ok_or(Errno::BADF)?;
        Ok(queue.frames.take()?)
    }

    fn release(&mut self, buffer: Buffer) {
        self.ring.give(Group::Reads, buffer);
    }

    fn receive(&mut self, socket: SocketId, burst: &mut Vec<Datagram>) -> io::Result<()> {
        let Some(stash) = self.datagrams.get_mut(socket.0) else { return Ok(()) };
        while let Some(datagram) = stash.take()? {
            burst.push(datagram);
        }
        Ok(())
    }

    fn deliver(&mut self, burst: &mut Vec<Datagram>, writes: &Writes) {
        if !self.ring.can_write() {
            // Writes are done when they are submitted.
            let _ = self.ring.submit();
            self.reap();
        }
        let Self { ring, queues, writing, outcomes, .. } = self;
        let open = |queue: QueueId| open_queue(queues, queue).is_some();
        let refused = |queue, packets, full| Outcome::NotWritten { queue, packets, full };
        let gone = writes.iter().filter(|write| !open(write.queue));
        outcomes.extend(gone.map(|write| refused(write.queue, write.packets, false)));

        let buffers = burst.drain(..).map(|datagram| datagram.buffer);
        let sockets = self.datagrams.len();
        let frames = writes.iter().filter(|write| open(write.queue)).map(|write| {
            let parts = write.pieces.iter().map(|Piece { datagram, octets }| (*datagram, octets.clone()));
            (queue_file(sockets, write.queue), parts)
        });
        let flight = ring.write(buffers, frames);
        let named = writes.iter().filter(|write| open(write.queue)).map(|write| (write.queue, write.packets));
        if let Some(writing) = flight.and_then(|flight| writing.get_mut(flight)) {
            writing.clear();
            writing.extend(named);
        } else {
            outcomes.extend(named.map(|(queue, packets)| refused(queue, packets, true)));
        }
    }

    fn answer_tun(&mut self, queue: QueueId, packet: &[u8]) -> io::Result<()> {
        Ok(open_queue(&self.queues, queue).ok_or(Errno::BADF)?.answer(packet)?)
    }

    fn batch(&mut self) -> Option<Batch> {
        if self.batches.is_empty() {
            // Sends are done when they are submitted.
            self.ring.submit().ok()?;
            self.reap();
        }
        self.batches.pop()
    }

    fn put_back(&mut self, mut batch: Batch) {
        batch.clear();
        self.batches.push(batch);
    }

    fn send(&mut self, queue: QueueId, route: &Route, batch: Batch) {
        let count = batch.segments().len() as u64;
        let Some(socket) = self.sockets.socket(route.socket) else {
            self.outcomes.push(Outcome::Sent(queue, Sent { failed: count, ..Sent::default() }));
            return self.put_back(batch);
        };
        let longest = if socket.segments() { batch::PACKETS } else { 1 };
        let file = socket_file(route.socket);
        let destination = Destination { file, from: route.local, to: route.remote, longest };
        match self.ring.send(&destination, batch) {
            Ok(flight) => {
                self.sending[flight] = Some(Sending { queue, route: *route, sent: Sent::default() });
            }
            Err(batch) => {
                self.outcomes.push(Outcome::Sent(queue, Sent { full: count, ..Sent::default() }));
                self.put_back(batch);
            }
        }
    }

    fn submit(&mut self) {
        // What the kernel did not take now, it takes with the next wait, and then the error ends that.
        let _ = self.ring.submit();
    }

    fn outcomes(&mut self, into: &mut Vec<Outcome>) {
        into.append(&mut self.outcomes);
    }

    fn send_datagram(&mut self, route: &Route, payload: &[u8]) -> io::Result<()> {
        let socket = self.sockets.socket(route.socket).ok_or(Errno::NOTSOCK)?;
        send_datagram(&mut self.sender, socket, route, payload)
    }

    fn route(&self, wire: Wire, local: SocketAddr, remote: SocketAddr) -> Option<Route> {
        self.sockets.route(wire, local, remote)
    }

    fn socket(&self, socket: SocketId) -> Option<(u16, Wire)> {
        self.sockets.socket(socket).map(|s| (s.local().port(), s.wire()))
    }
}

/// A queue that is not closing.
fn open_queue(queues: &[Option<Queue>], queue: QueueId) -> Option<&TunQueue> {
    let queue = queues.get(queue.0)?.as_ref()?;
    if queue.closing { None } else { Some(&queue.tun) }
}

/// Puts a source on the list of those to be armed: one that got nothing for want of buffers before those that did, so that no
/// source takes all buffers for ever.
fn rearm<T>(stash: &mut Stash<T>, source: Source, unarmed: &mut VecDeque<Source>) {
    if stash.unarmed {
        return;
    }
    stash.unarmed = true;
    if stash.fed() { unarmed.push_back(source) } else { unarmed.push_front(source) }
}

fn socket_file(socket: SocketId) -> File {
    file(FIRST_SOCKET + socket.0)
}

fn queue_file(sockets: usize, queue: QueueId) -> File {
    file(FIRST_SOCKET + sockets + queue.0)
}

/// A number beyond the table is refused when it is registered.
fn file(number: usize) -> File {
    File(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Places of the file table: the kernel grants as many as the process may have files.
fn file_table() -> u32 {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u32::try_from(limit.min(FILES)).unwrap_or(0)
}

/// The first places of the file table.
const WAKER: File = File(0);
const FIRST_SOCKET: usize = 1;

/// TUN queues of one worker, and a few sockets.
const FILES: u64 = 8192;

/// Buffers that make it worth to begin a read or a receive.
const ENOUGH: usize = 4;

/// Ending a request takes no time; this is for a kernel that has other things to do.
const DRAIN: Duration = Duration::from_millis(100);
const DRAIN_ROUNDS: usize = 20;

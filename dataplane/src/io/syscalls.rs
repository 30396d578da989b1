//! The back end of plain system calls: `epoll`, `read` and `write` on TUN queues, `recvmmsg`, `sendmmsg` with `UDP_SEGMENT`.
//!
//! Runs everywhere. What it is asked is done when the call returns, so its one batch and its buffers come straight back.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::sockets::{Socket, Sockets};
use super::{Backend, Datagram, QueueId, Range, Route, Sent, SocketId, Source, Wire};
use crate::batch::{self, Batch, Run};
use crate::pool::{Buffer, Pool};
use crate::sys::mmsg::{MESSAGES, Message, Receiver, Sender};
use crate::sys::tun;
use crate::sys::wake::Waker;

/// A TUN queue: written by every worker that receives for the tunnel, read by one.
#[derive(Clone, Debug)]
pub struct TunQueue {
    fd: Arc<OwnedFd>,
    reads: bool,
}

impl TunQueue {
    /// Creates a TUN device with a queue for each worker that reads, as `readers` says, and returns for each worker the
    /// queue it uses: one that does not read shares the first, to write to.
    pub fn create(name: &str, readers: &[bool]) -> io::Result<Vec<Self>> {
        let count = readers.iter().filter(|reads| **reads).count();
        let mut queues = tun::create(name, count)?.into_iter().map(Arc::new);
        let Some(first) = queues.next() else { return Ok(Vec::new()) };
        let mut unread = std::iter::once(Arc::clone(&first)).chain(queues);
        let pick = |reads: &bool| {
            let own = if *reads { unread.next() } else { None };
            Self { fd: own.unwrap_or_else(|| Arc::clone(&first)), reads: *reads }
        };
        Ok(readers.iter().map(pick).collect())
    }

    /// A queue over any descriptor that keeps packet boundaries; for a test without a TUN device.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd: Arc::new(fd), reads: true }
    }
}

/// Plain system calls.
pub struct Syscalls {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    waker: Waker,
    sockets: Arc<Sockets>,
    queues: Vec<Option<TunQueue>>,
    receiver: Receiver,
    posted: Vec<Buffer>,
    pool: Pool,
    sender: Sender,
    batch: Option<Batch>,
}

impl Syscalls {
    /// Serves `sockets` if `receives`, and the TUN queues attached later.
    pub fn new(sockets: Arc<Sockets>, receives: bool, waker: Waker) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &waker, epoll::EventData::new_u64(MAILBOX), epoll::EventFlags::IN)?;
        if receives {
            for (id, socket) in sockets.iter() {
                let data = epoll::EventData::new_u64(SOCKET | id.0 as u64);
                epoll::add(&epoll, socket, data, epoll::EventFlags::IN)?;
            }
        }
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS),
            waker,
            sockets,
            queues: Vec::new(),
            receiver: Receiver::new(),
            posted: Vec::with_capacity(MESSAGES),
            pool: Pool::new(if receives { MESSAGES } else { 0 }),
            sender: Sender::new(),
            batch: Some(Batch::new()),
        })
    }

    fn queue(&self, queue: QueueId) -> io::Result<&TunQueue> {
        self.queues.get(queue.0).and_then(Option::as_ref).ok_or_else(|| Errno::BADF.into())
    }
}

impl Backend for Syscalls {
    type Tun = TunQueue;

    fn wait(&mut self, ready: &mut Vec<Source>) -> io::Result<()> {
        ready.clear();
        self.events.clear();
        let none: Option<&Timespec> = None;
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), none) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            let data = event.data.u64();
            let index = usize::try_from(data & INDEX).unwrap_or(usize::MAX);
            ready.push(match data & !INDEX {
                MAILBOX => {
                    self.waker.take();
                    Source::Mailbox
                }
                SOCKET => Source::Socket(SocketId(index)),
                _ => Source::Tun(QueueId(index)),
            });
        }
        Ok(())
    }

    fn attach(&mut self, tun: TunQueue) -> io::Result<QueueId> {
        let free = self.queues.iter().position(Option::is_none);
        let index = free.unwrap_or(self.queues.len());
        if tun.reads {
            let data = epoll::EventData::new_u64(TUN | index as u64);
            epoll::add(&self.epoll, &tun.fd, data, epoll::EventFlags::IN)?;
        }
        match self.queues.get_mut(index) {
            Some(place) => *place = Some(tun),
            None => self.queues.push(Some(tun)),
        }
        Ok(QueueId(index))
    }

    fn detach(&mut self, queue: QueueId) {
        if let Some(tun) = self.queues.get_mut(queue.0).and_then(Option::take)
            && tun.reads
        {
            // It was added, and its descriptor is still open: this cannot fail.
            let _ = epoll::delete(&self.epoll, &tun.fd);
        }
    }

    fn read_tun(&mut self, queue: QueueId, space: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.queue(queue)?.fd, space) {
            Ok(len) => Ok(Some(len)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn write_tun(&mut self, queue: QueueId, buffer: Buffer, packet: Range<usize>) -> io::Result<()> {
        let result = self.answer_tun(queue, buffer.bytes().get(packet).unwrap_or_default());
        self.pool.give(buffer);
        result
    }

    fn answer_tun(&mut self, queue: QueueId, packet: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.queue(queue)?.fd, packet)?;
        Ok(())
    }

    fn receive(&mut self, socket: SocketId, burst: &mut Vec<Datagram>) -> io::Result<()> {
        let Some(socket) = self.sockets.socket(socket) else { return Ok(()) };
        while self.posted.len() < MESSAGES
            && let Some(buffer) = self.pool.take()
        {
            self.posted.push(buffer);
        }
        let buffers = self.posted.iter_mut().map(Buffer::bytes_mut);
        let count = match self.receiver.receive(socket.as_fd(), buffers) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(error) => return Err(error),
        };
        for (index, buffer) in self.posted.drain(..count).enumerate() {
            match self.receiver.arrival(index) {
                Some(arrival) => {
                    let header =
                        if socket.delivers_ip_header() { ipv4_header_len(buffer.bytes()) } else { 0 };
                    let payload = header.min(arrival.len)..arrival.len;
                    let (truncated, remote) = (arrival.truncated, arrival.remote);
                    let (local, tos) = (arrival.local, arrival.tos);
                    burst.push(Datagram { buffer, payload, truncated, remote, local, tos });
                }
                None => self.pool.give(buffer),
            }
        }
        Ok(())
    }

    fn release(&mut self, buffer: Buffer) {
        self.pool.give(buffer);
    }

    fn batch(&mut self) -> Option<Batch> {
        self.batch.take()
    }

    fn put_back(&mut self, mut batch: Batch) {
        batch.clear();
        self.batch = Some(batch);
    }

    fn send(&mut self, route: &Route, batch: Batch) -> Sent {
        let sent = match self.sockets.socket(route.socket) {
            Some(socket) => send_batch(&mut self.sender, socket, route, &batch),
            None => Sent { failed: batch.segments().len() as u64, ..Sent::default() },
        };
        self.put_back(batch);
        sent
    }

    fn send_datagram(&mut self, route: &Route, payload: &[u8]) -> io::Result<()> {
        let socket = self.sockets.socket(route.socket).ok_or(Errno::NOTSOCK)?;
        let message =
            Message { to: route.remote, from: Some(route.local), tos: 0, segment: None, data: payload };
        let mut send = || self.sender.send(socket.as_fd(), [message]);
        let result = match send() {
            // IKE may be longer than the path; in fragments it arrives at all but clouds' gateways (RFC 7383 §1).
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                socket.never_fragment(false)?;
                let result = send();
                socket.never_fragment(true)?;
                result
            }
            result => result,
        };
        result.map(|_| ())
    }

    fn route(&self, wire: Wire, local: SocketAddr, remote: SocketAddr) -> Option<Route> {
        self.sockets.route(wire, local, remote)
    }

    fn socket(&self, socket: SocketId) -> Option<(u16, Wire)> {
        self.sockets.socket(socket).map(|s| (s.local().port(), s.wire()))
    }
}

/// Sends a batch as the fewest messages; where the kernel refuses to cut a message, datagram by datagram.
fn send_batch(sender: &mut Sender, socket: &Socket, route: &Route, batch: &Batch) -> Sent {
    let mut longest = if socket.segments() { batch::PACKETS } else { 1 };
    let segments = batch.segments();
    // Runs and packets that are dealt with.
    let (mut runs, mut done, mut sent) = (0, 0, Sent::default());
    while done < segments.len() {
        let pending = || batch.runs(longest).skip(runs);
        match sender.send(socket.as_fd(), pending().map(|run| message(route, &run))) {
            Ok(0) => break,
            Ok(taken) => {
                let packets: usize = pending().take(taken).map(|run| run.packets).sum();
                sent.packets += packets as u64;
                sent.octets +=
                    segments.iter().skip(done).take(packets).map(|s| s.inner_len as u64).sum::<u64>();
                (runs, done) = (runs + taken, done + packets);
            }
            Err(error) => match error.raw_os_error() {
                // EIO: the device computes no checksums, and never will. EINVAL: these packets do not fit it.
                Some(code @ (libc::EIO | libc::EINVAL)) if longest > 1 => {
                    if code == libc::EIO {
                        socket.stop_segments();
                    }
                    (longest, runs) = (1, done);
                }
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    sent.full += (segments.len() - done) as u64;
                    break;
                }
                _ => {
                    let packets = pending().next().map_or(1, |run| run.packets);
                    sent.failed += packets as u64;
                    (runs, done) = (runs + 1, done + packets);
                }
            },
        }
    }
    sent
}

fn message<'a>(route: &Route, run: &Run<'a>) -> Message<'a> {
    Message { to: route.remote, from: Some(route.local), tos: run.tos, segment: run.segment, data: run.data }
}

fn ipv4_header_len(packet: &[u8]) -> usize {
    packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4)
}

/// What an epoll event's data names: a kind in the upper half, an index in the lower.
const MAILBOX: u64 = 0;
const SOCKET: u64 = 1 << 32;
const TUN: u64 = 2 << 32;
const INDEX: u64 = (1 << 32) - 1;

/// Events taken at a time; the rest come with the next wait.
const EVENTS: usize = 64;

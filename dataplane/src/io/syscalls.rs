//! The back end of plain system calls: `epoll`, `read` and `write` on TUN queues, `recvmmsg`, `sendmmsg` with `UDP_SEGMENT`.
//!
//! Runs everywhere. What it is asked is done when the call returns, so its one batch and its buffers come straight back.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::send::{send_batch, send_datagram};
use super::sockets::Sockets;
use super::tun::TunQueue;
use super::{
    Backend, Datagram, Frame, Offloads, Outcome, Piece, QueueId, Route, Sent, SocketId, Source, Wire, Writes,
};
use crate::batch::Batch;
use crate::pool::{Buffer, Pool};
use crate::sys::mmsg::{MESSAGES, Receiver, Sender};
use crate::sys::wake::Waker;

/// Plain system calls.
pub struct Syscalls {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    waker: Waker,
    sockets: Arc<Sockets>,
    queues: Vec<Option<TunQueue>>,
    receiver: Receiver,
    posted: Vec<Buffer>,
    /// Datagrams of the next burst: few where the kernel puts many together, so that a burst stays in the cache.
    burst: usize,
    pool: Pool,
    sender: Sender,
    batch: Option<Batch>,
    outcomes: Vec<Outcome>,
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
            burst: MESSAGES,
            pool: Pool::new(FRAMES + if receives { MESSAGES } else { 0 }),
            sender: Sender::new(),
            batch: Some(Batch::new()),
            outcomes: Vec::new(),
        })
    }

    fn queue(&self, queue: QueueId) -> Result<&TunQueue, Errno> {
        self.queues.get(queue.0).and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    fn write_tun(&self, queue: QueueId, burst: &[Datagram], pieces: &[Piece]) -> Result<(), Errno> {
        let queue = self.queue(queue)?;
        let octets = |piece: &Piece| {
            let datagram = burst.get(piece.datagram);
            datagram.and_then(|d| d.buffer.bytes().get(piece.octets.clone())).unwrap_or_default()
        };
        match pieces {
            [piece] => rustix::io::write(queue, octets(piece))?,
            pieces => {
                let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(octets(piece))).collect();
                rustix::io::writev(queue, &slices)?
            }
        };
        Ok(())
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
        if tun.reads() {
            let data = epoll::EventData::new_u64(TUN | index as u64);
            epoll::add(&self.epoll, &tun, data, epoll::EventFlags::IN)?;
        }
        match self.queues.get_mut(index) {
            Some(place) => *place = Some(tun),
            None => self.queues.push(Some(tun)),
        }
        Ok(QueueId(index))
    }

    fn detach(&mut self, queue: QueueId) {
        if let Some(tun) = self.queues.get_mut(queue.0).and_then(Option::take)
            && tun.reads()
        {
            // It was added, and its descriptor is still open: this cannot fail.
            let _ = epoll::delete(&self.epoll, &tun);
        }
    }

    fn offloads(&self, queue: QueueId) -> Offloads {
        self.queue(queue).map(TunQueue::offloads).unwrap_or_default()
    }

    fn read_tun(&mut self, queue: QueueId) -> io::Result<Option<Frame>> {
        let Some(mut buffer) = self.pool.take() else { return Ok(None) };
        match rustix::io::read(self.queue(queue)?, buffer.bytes_mut()) {
            Ok(len) => Ok(Some(Frame { buffer, octets: 0..len })),
            Err(error) => {
                self.pool.give(buffer);
                match error {
                    Errno::AGAIN | Errno::INTR => Ok(None),
                    error => Err(error.into()),
                }
            }
        }
    }

    fn release(&mut self, buffer: Buffer) {
        self.pool.give(buffer);
    }

    fn receive(&mut self, socket: SocketId, burst: &mut Vec<Datagram>) -> io::Result<()> {
        let Some(socket) = self.sockets.socket(socket) else { return Ok(()) };
        while self.posted.len() < self.burst
            && let Some(buffer) = self.pool.take()
        {
            self.posted.push(buffer);
        }
        let buffers = self.posted.iter_mut().take(self.burst).map(Buffer::bytes_mut);
        let count = match self.receiver.receive(socket.as_fd(), buffers) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(error) => return Err(error),
        };
        self.burst = MESSAGES;
        for (index, buffer) in self.posted.drain(..count).enumerate() {
            let Some(arrival) = self.receiver.arrival(index) else {
                self.pool.give(buffer);
                continue;
            };
            let payload = socket.header_len(buffer.bytes()).min(arrival.len)..arrival.len;
            let segment = arrival.control.segment.map_or(payload.len(), usize::from);
            if arrival.control.segment.is_some() {
                self.burst = COALESCED;
            }
            burst.push(Datagram {
                buffer,
                payload,
                segment,
                truncated: arrival.truncated,
                remote: arrival.remote,
                local: arrival.control.local,
                tos: arrival.control.tos,
            });
        }
        Ok(())
    }

    fn deliver(&mut self, burst: &mut Vec<Datagram>, writes: &Writes) {
        for write in writes.iter() {
            if let Err(error) = self.write_tun(write.queue, burst, write.pieces) {
                let full = error == Errno::AGAIN;
                let (queue, packets) = (write.queue, write.packets);
                self.outcomes.push(Outcome::NotWritten { queue, packets, full });
            }
        }
        for datagram in burst.drain(..) {
            self.pool.give(datagram.buffer);
        }
    }

    fn answer_tun(&mut self, queue: QueueId, packet: &[u8]) -> io::Result<()> {
        Ok(self.queue(queue)?.answer(packet)?)
    }

    fn batch(&mut self) -> Option<Batch> {
        self.batch.take()
    }

    fn put_back(&mut self, mut batch: Batch) {
        batch.clear();
        self.batch = Some(batch);
    }

    fn send(&mut self, queue: QueueId, route: &Route, batch: Batch) {
        let sent = match self.sockets.socket(route.socket) {
            Some(socket) => send_batch(&mut self.sender, socket, route, &batch),
            None => Sent { failed: batch.segments().len() as u64, ..Sent::default() },
        };
        self.outcomes.push(Outcome::Sent(queue, sent));
        self.put_back(batch);
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

/// What an epoll event's data names: a kind in the upper half, an index in the lower.
const MAILBOX: u64 = 0;
const SOCKET: u64 = 1 << 32;
const TUN: u64 = 2 << 32;
const INDEX: u64 = (1 << 32) - 1;

/// Events taken at a time; the rest come with the next wait.
const EVENTS: usize = 64;

/// Datagrams of a burst where each is some forty put together.
const COALESCED: usize = 4;

/// Frames in work at a time.
const FRAMES: usize = 2;

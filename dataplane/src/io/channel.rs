//! A back end in memory, for tests: what would come from the kernel is put in, what would go to it is taken out.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Backend, Datagram, Frame, Offloads, Outcome, QueueId, Route, Sent, SocketId, Source, Wire, Writes,
};
use crate::batch::Batch;
use crate::pool::{Buffer, Pool};
use crate::sys::wake::Waker;

/// The back end's side.
pub struct Channel {
    far: Far,
    waker: Waker,
    queues: Vec<Option<String>>,
    pool: Pool,
    batch: Option<Batch>,
    outcomes: Vec<Outcome>,
}

/// The side of the test.
#[derive(Clone, Default)]
pub struct Far(Arc<Mutex<Queues>>);

/// What left for the outer network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The way it was sent.
    pub route: Route,
    /// The UDP payload, or the payload of IP protocol 50.
    pub payload: Vec<u8>,
    /// The TOS or traffic class octet of the outer header.
    pub tos: u8,
    /// How many packets one send carried.
    pub run: usize,
}

#[derive(Default)]
struct Queues {
    offloads: Offloads,
    full: bool,
    tun_in: VecDeque<(String, Vec<u8>)>,
    tun_out: Vec<(String, Vec<u8>)>,
    net_in: VecDeque<Arriving>,
    net_out: Vec<Departure>,
}

struct Arriving {
    wire: Wire,
    remote: SocketAddr,
    local: IpAddr,
    tos: u8,
    segment: Option<usize>,
    payload: Vec<u8>,
}

impl Channel {
    /// A back end with `buffers` receive buffers, and the side of the test.
    pub fn new(waker: Waker, buffers: usize) -> (Self, Far) {
        let far = Far::default();
        let near = far.clone();
        (
            Self {
                far: near,
                waker,
                queues: Vec::new(),
                pool: Pool::new(buffers),
                batch: Some(Batch::new()),
                outcomes: Vec::new(),
            },
            far,
        )
    }

    /// Receive buffers that are not in use.
    pub fn free_buffers(&self) -> usize {
        self.pool.available()
    }

    fn name(&self, queue: QueueId) -> io::Result<&String> {
        self.queues.get(queue.0).and_then(Option::as_ref).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Far {
    /// The host sends `packet` into the TUN device `tun`.
    pub fn host_sends(&self, tun: &str, packet: &[u8]) {
        self.queues().tun_in.push_back((tun.to_owned(), packet.to_vec()));
    }

    /// A datagram arrives, on UDP or as protocol 50.
    pub fn net_sends(&self, wire: Wire, remote: SocketAddr, local: IpAddr, tos: u8, payload: &[u8]) {
        let payload = payload.to_vec();
        self.queues().net_in.push_back(Arriving { wire, remote, local, tos, segment: None, payload });
    }

    /// Several datagrams of `segment` octets each, the last may be shorter, arrive on UDP as one.
    pub fn net_sends_coalesced(&self, remote: SocketAddr, local: IpAddr, segment: usize, payload: &[u8]) {
        let (wire, payload, segment) = (Wire::Udp, payload.to_vec(), Some(segment));
        self.queues().net_in.push_back(Arriving { wire, remote, local, tos: 0, segment, payload });
    }

    /// What TUN devices take and give from here on; a frame has a virtio header if these say so.
    pub fn set_offloads(&self, offloads: Offloads) {
        self.queues().offloads = offloads;
    }

    /// The outer network takes nothing from here on, or does again.
    pub fn set_full(&self, full: bool) {
        self.queues().full = full;
    }

    /// What the host received since the last call, with the name of the TUN device.
    pub fn host_received(&self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.queues().tun_out)
    }

    /// What left for the outer network since the last call.
    pub fn net_received(&self) -> Vec<Departure> {
        std::mem::take(&mut self.queues().net_out)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Channel {
    type Tun = String;

    /// Does not block: nothing ready means that the test has had all that it asked for.
    fn wait(&mut self, ready: &mut Vec<Source>) -> io::Result<()> {
        ready.clear();
        if self.waker.take() {
            ready.push(Source::Mailbox);
        }
        let queues = self.far.queues();
        for (index, name) in self.queues.iter().enumerate() {
            if queues.tun_in.iter().any(|(tun, _)| Some(tun) == name.as_ref()) {
                ready.push(Source::Tun(QueueId(index)));
            }
        }
        for (socket, wire) in SOCKETS.iter().enumerate() {
            if queues.net_in.iter().any(|a| a.wire == *wire) {
                ready.push(Source::Socket(SocketId(socket)));
            }
        }
        Ok(())
    }

    fn attach(&mut self, tun: String) -> io::Result<QueueId> {
        self.queues.push(Some(tun));
        Ok(QueueId(self.queues.len() - 1))
    }

    fn detach(&mut self, queue: QueueId) {
        if let Some(place) = self.queues.get_mut(queue.0) {
            *place = None;
        }
    }

    fn offloads(&self, _queue: QueueId) -> Offloads {
        self.far.queues().offloads
    }

    fn read_tun(&mut self, queue: QueueId) -> io::Result<Option<Frame>> {
        let name = self.name(queue)?;
        let mut queues = self.far.queues();
        let Some(index) = queues.tun_in.iter().position(|(tun, _)| tun == name) else { return Ok(None) };
        let Some(mut buffer) = self.pool.take() else { return Ok(None) };
        let Some((_, frame)) = queues.tun_in.remove(index) else { return Ok(None) };
        let octets = 0..copy(&frame, buffer.bytes_mut());
        Ok(Some(Frame { buffer, octets }))
    }

    fn release(&mut self, buffer: Buffer) {
        self.pool.give(buffer);
    }

    fn receive(&mut self, socket: SocketId, burst: &mut Vec<Datagram>) -> io::Result<()> {
        let Some(wire) = SOCKETS.get(socket.0) else { return Ok(()) };
        let mut queues = self.far.queues();
        while let Some(index) = queues.net_in.iter().position(|a| a.wire == *wire)
            && let Some(mut buffer) = self.pool.take()
            && let Some(arriving) = queues.net_in.remove(index)
        {
            let len = copy(&arriving.payload, buffer.bytes_mut());
            burst.push(Datagram {
                buffer,
                payload: 0..len,
                segment: arriving.segment.unwrap_or(len),
                truncated: len < arriving.payload.len(),
                remote: arriving.remote,
                local: Some(arriving.local),
                tos: arriving.tos,
            });
        }
        Ok(())
    }

    fn deliver(&mut self, burst: &mut Vec<Datagram>, writes: &Writes) {
        for write in writes.iter() {
            let octets = write.pieces.iter().map(|piece| {
                let datagram = burst.get(piece.datagram);
                datagram.and_then(|d| d.buffer.bytes().get(piece.octets.clone())).unwrap_or_default()
            });
            let frame = octets.collect::<Vec<_>>().concat();
            if let Ok(name) = self.name(write.queue).cloned() {
                self.far.queues().tun_out.push((name, frame));
            } else {
                let (queue, packets) = (write.queue, write.packets);
                self.outcomes.push(Outcome::NotWritten { queue, packets, full: false });
            }
        }
        for datagram in burst.drain(..) {
            self.pool.give(datagram.buffer);
        }
    }

    fn answer_tun(&mut self, queue: QueueId, packet: &[u8]) -> io::Result<()> {
        let name = self.name(queue)?.clone();
        let mut queues = self.far.queues();
        let header: &[u8] = if queues.offloads.header { &[0; 10] } else { &[] };
        queues.tun_out.push((name, [header, packet].concat()));
        Ok(())
    }

    fn batch(&mut self) -> Option<Batch> {
        if self.far.queues().full { None } else { self.batch.take() }
    }

    fn put_back(&mut self, mut batch: Batch) {
        batch.clear();
        self.batch = Some(batch);
    }

    fn send(&mut self, queue: QueueId, route: &Route, batch: Batch) {
        let mut queues = self.far.queues();
        for run in batch.runs(crate::batch::PACKETS) {
            for packet in run.data.chunks(run.segment.map_or(run.data.len(), usize::from)) {
                let payload = packet.to_vec();
                queues.net_out.push(Departure { route: *route, payload, tos: run.tos, run: run.packets });
            }
        }
        drop(queues);
        let octets = batch.segments().iter().map(|s| s.inner_len as u64).sum();
        let packets = batch.segments().len() as u64;
        self.put_back(batch);
        self.outcomes.push(Outcome::Sent(queue, Sent { packets, octets, ..Sent::default() }));
    }

    fn outcomes(&mut self, into: &mut Vec<Outcome>) {
        into.append(&mut self.outcomes);
    }

    fn send_datagram(&mut self, route: &Route, payload: &[u8]) -> io::Result<()> {
        let departure = Departure { route: *route, payload: payload.to_vec(), tos: 0, run: 1 };
        self.far.queues().net_out.push(departure);
        Ok(())
    }

    fn route(&self, wire: Wire, local: SocketAddr, remote: SocketAddr) -> Option<Route> {
        let socket = SOCKETS.iter().position(|w| *w == wire)?;
        Some(Route { socket: SocketId(socket), local: local.ip(), remote })
    }

    fn socket(&self, socket: SocketId) -> Option<(u16, Wire)> {
        SOCKETS.get(socket.0).map(|wire| (4500, *wire))
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    len
}

/// The sockets of this back end, by number.
const SOCKETS: [Wire; 2] = [Wire::Udp, Wire::Esp];

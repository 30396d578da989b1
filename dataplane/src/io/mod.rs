//! The edge of the data plane: inner packets from and to TUN devices, datagrams from and to the outer network.
//!
//! A [`Backend`] serves one worker and is owned by its thread. Buffers and batches pass by value, so a back end that
//! completes later (a ring) keeps what the kernel still uses, and one that completes at once (system calls) gives it
//! straight back. Nothing here knows what ESP is.

pub mod channel;
mod linger;
mod send;
pub mod sockets;
pub mod syscalls;
pub mod tun;
pub mod uring;
mod writes;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

pub use self::writes::{Piece, Write, Writes};
use crate::batch::Batch;
use crate::pool::Buffer;
pub use crate::sys::tun::Offloads;

/// Names a TUN queue of one back end: small numbers, reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueId(pub usize);

/// Names a socket of one back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketId(pub usize);

/// How datagrams cross the outer network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// In UDP.
    Udp,
    /// As IP protocol 50; ports mean nothing.
    Esp,
}

/// What is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Orders have come.
    Mailbox,
    /// A TUN queue has packets.
    Tun(QueueId),
    /// A socket has datagrams.
    Socket(SocketId),
}

/// What one read of a TUN queue gave: a packet, or a super-packet that is to be cut into several.
#[derive(Debug)]
pub struct Frame {
    /// Holds the octets.
    pub buffer: Buffer,
    /// Where in the buffer they are: the virtio header, where the queue has one, and the IP packet behind it.
    pub octets: Range<usize>,
}

/// What one receive of a socket gave: a datagram, or several of one sender that the kernel put together (`UDP_GRO`).
#[derive(Debug)]
pub struct Datagram {
    /// Holds the octets.
    pub buffer: Buffer,
    /// Where in the buffer the payloads are, back to back: behind the UDP header, or behind the IP header for protocol 50.
    pub payload: Range<usize>,
    /// Octets of each datagram's payload; the last may be shorter.
    pub segment: usize,
    /// It was longer than the buffer.
    pub truncated: bool,
    /// The sender; the port is zero for protocol 50.
    pub remote: SocketAddr,
    /// The address it was sent to, where the kernel says so.
    pub local: Option<IpAddr>,
    /// The TOS or traffic class octet of the outer header.
    pub tos: u8,
}

/// Where a batch goes, resolved once for an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The socket it leaves from.
    pub socket: SocketId,
    /// Source address.
    pub local: IpAddr,
    /// Destination; the port is zero for protocol 50.
    pub remote: SocketAddr,
}

/// What became of the packets of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets that the kernel took.
    pub packets: u64,
    /// Octets of their inner packets.
    pub octets: u64,
    /// Packets that found the send buffer full.
    pub full: u64,
    /// Packets that were refused: no route, a firewall, too long for the device.
    pub failed: u64,
}

impl Sent {
    /// Adds what became of further packets.
    pub fn add(&mut self, more: &Self) {
        self.packets += more.packets;
        self.octets += more.octets;
        self.full += more.full;
        self.failed += more.failed;
    }
}

/// What became of something that was handed over earlier, and which queue's tunnel it counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A batch left, or did not.
    Sent(QueueId, Sent),
    /// Packets that a TUN device did not take.
    NotWritten {
        /// The queue.
        queue: QueueId,
        /// How many packets.
        packets: u64,
        /// The host is behind with reading; otherwise the device is down or gone.
        full: bool,
    },
}

/// The I/O of one worker.
pub trait Backend {
    /// A TUN queue as it is handed over by whoever created the device.
    type Tun: Send;

    /// Waits until something is ready, and replaces the content of `ready` by it.
    fn wait(&mut self, ready: &mut Vec<Source>) -> io::Result<()>;

    /// Serves one more TUN queue.
    fn attach(&mut self, tun: Self::Tun) -> io::Result<QueueId>;

    /// Closes a TUN queue; its number may be given to another.
    fn detach(&mut self, queue: QueueId);

    /// What the queue's device takes and gives.
    fn offloads(&self, queue: QueueId) -> Offloads;

    /// The next frame of the host; `None`: there is none for now. A frame longer than a buffer is cut.
    fn read_tun(&mut self, queue: QueueId) -> io::Result<Option<Frame>>;

    /// Takes back the buffer of a frame.
    fn release(&mut self, buffer: Buffer);

    /// Receives what the socket has, up to one burst, and appends it to `burst`.
    fn receive(&mut self, socket: SocketId, burst: &mut Vec<Datagram>) -> io::Result<()>;

    /// Takes the burst back, and gives the host the frames that `writes` names in it, in order.
    fn deliver(&mut self, burst: &mut Vec<Datagram>, writes: &Writes);

    /// Gives the host a packet of our own making.
    fn answer_tun(&mut self, queue: QueueId, packet: &[u8]) -> io::Result<()>;

    /// An empty batch; `None`: all are on their way.
    fn batch(&mut self) -> Option<Batch>;

    /// Takes back a batch that is not to be sent.
    fn put_back(&mut self, batch: Batch);

    /// Sends the packets of a batch, which came from `queue`, in order. Never waits: what the kernel does not take is lost,
    /// as on any full link.
    fn send(&mut self, queue: QueueId, route: &Route, batch: Batch);

    /// Hands to the kernel what `send` has only noted down, so that other workers' batches come behind it.
    fn submit(&mut self) {}

    /// Appends to `into` what became of batches and writes since the last call.
    fn outcomes(&mut self, into: &mut Vec<Outcome>);

    /// Sends one datagram that is not ESP.
    fn send_datagram(&mut self, route: &Route, payload: &[u8]) -> io::Result<()>;

    /// The way between two addresses; `None`: no socket is open for it.
    fn route(&self, wire: Wire, local: SocketAddr, remote: SocketAddr) -> Option<Route>;

    /// The local port of a socket, and what it carries.
    fn socket(&self, socket: SocketId) -> Option<(u16, Wire)>;
}

//! UDP from the left host to the right at a given rate: this thread sends, another one counts.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::Result;
use gotthard_dataplane::sys::mmsg::{Message, Sender};
use rustix::net::sockopt;

use super::bed::{Bed, INNER_MTU, Side};
use super::cell::Size;

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Addresses of the right host, in turn.
    targets: Vec<Ipv4Addr>,
    /// Octets of the inner packets, in turn.
    sizes: Vec<u16>,
    /// Packets that the host hands over as one super-packet (`UDP_SEGMENT`).
    segments: u16,
    /// Super-packets of a send.
    batch: usize,
}

impl Load {
    /// One flow of single packets.
    pub(super) fn of(size: Size) -> Self {
        Self { targets: vec![Side::Right.inner()], sizes: size.pattern(), segments: 1, batch: 60 }
    }

    /// [`FLOWS`] flows that send a super-packet in turn: no two batches in a row are of one flow.
    pub(super) fn flows() -> Self {
        let targets = (0..FLOWS).map(|flow| flow_address(Side::Right, flow)).collect();
        Self { targets, sizes: vec![INNER_MTU], segments: 44, batch: 4 }
    }
}

/// How many flows [`Load::flows`] has.
pub(crate) const FLOWS: u16 = 1000;

/// The address of a flow's end: one a flow, so that each can have a tunnel of its own.
pub(super) fn flow_address(side: Side, flow: u16) -> Ipv4Addr {
    let [a, b, _, _] = side.inner().octets();
    let [high, low] = (flow + 1).to_be_bytes();
    Ipv4Addr::new(a, b, high + 1, low)
}

/// What one step saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    sent: u64,
    arrived: u64,
    /// How long it was sent for.
    sending: Duration,
    /// From the first packet sent to the last that arrived.
    elapsed: Duration,
    /// Octets of an inner packet, on average.
    size: f64,
}

impl Step {
    /// Of the packets sent, how many did not arrive: 0 to 1.
    pub(super) fn loss(&self) -> f64 {
        1.0 - self.arrived as f64 / self.sent.max(1) as f64
    }

    /// Packets a second that arrived.
    pub(super) fn packets(&self) -> f64 {
        self.arrived as f64 / self.elapsed.as_secs_f64()
    }

    /// Bits of the inner packets that arrived.
    pub(super) fn bits(&self) -> f64 {
        self.arrived as f64 * self.size * 8.0
    }

    /// The same a second.
    pub(super) fn rate(&self) -> f64 {
        self.bits() / self.elapsed.as_secs_f64()
    }

    /// Packets a second that were sent.
    pub(super) fn offered(&self) -> f64 {
        self.sent as f64 / self.sending.as_secs_f64()
    }
}

/// A sender in the left host, and a thread that counts in the right.
pub(super) struct Generator {
    socket: UdpSocket,
    sender: Sender,
    /// The messages of one send, each of `segments` payloads; every payload begins with the step and its own number.
    messages: Vec<Vec<u8>>,
    segments: usize,
    targets: Vec<SocketAddr>,
    /// Octets of an inner packet, on average.
    size: f64,
    /// Payloads sent.
    number: u64,
    /// Messages sent.
    turn: usize,
    shared: Arc<Shared>,
    receiver: Option<JoinHandle<()>>,
}

/// What sender and receiver tell each other.
struct Shared {
    step: AtomicU32,
    arrived: AtomicU64,
    reordered: AtomicU64,
    /// When the last packet of the step arrived, in nanoseconds since `epoch`.
    last: AtomicU64,
    epoch: Instant,
    done: AtomicBool,
}

impl Generator {
    pub(super) fn new(bed: &Bed, load: &Load) -> Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let sink = bed.right.udp(any)?;
        sink.set_read_timeout(Some(QUIET))?;
        // The receiver's queue must not be what loses.
        sockopt::set_socket_recv_buffer_size_force(&sink, BUFFER)?;
        let port = sink.local_addr()?.port();
        let segments = usize::from(load.segments);
        let message = |size: &u16| vec![0; usize::from(*size - HEADERS) * segments];
        let sizes = load.sizes.iter().copied().map(f64::from);
        let shared = Arc::new(Shared::new());
        let counting = Arc::clone(&shared);
        let receiver = thread::Builder::new().name("sink".into()).spawn(move || counting.count(&sink))?;
        Ok(Self {
            socket: bed.left.udp(any)?,
            sender: Sender::new(),
            messages: load.sizes.iter().cycle().take(load.batch).map(message).collect(),
            segments,
            targets: load.targets.iter().map(|ip| SocketAddr::from((*ip, port))).collect(),
            size: sizes.sum::<f64>() / load.sizes.len() as f64,
            number: 0,
            turn: 0,
            shared,
            receiver: Some(receiver),
        })
    }

    /// Sends for [`STEP`] at a rate in packets a second, and waits until the path is empty.
    pub(super) fn step(&mut self, rate: f64) -> Result<Step> {
        self.shared.arrived.store(0, Ordering::Relaxed);
        let step = self.shared.step.fetch_add(1, Ordering::Release) + 1;
        let start = Instant::now();
        let mut sent = 0_u64;
        while start.elapsed() < STEP {
            let due = start.elapsed().as_secs_f64() * rate;
            let taken = if (sent as f64) < due { self.send(step)? } else { 0 };
            sent += taken as u64;
            if taken == 0 {
                thread::sleep(PAUSE);
            }
        }
        let sending = start.elapsed();
        let last = self.drained(sent);
        let elapsed = last.saturating_duration_since(start).max(sending);
        let arrived = self.shared.arrived.load(Ordering::Acquire);
        Ok(Step { sent, arrived, sending, elapsed, size: self.size })
    }

    /// Sends one batch and returns how many packets the host took.
    fn send(&mut self, step: u32) -> Result<usize> {
        for message in &mut self.messages {
            let payload = message.len() / self.segments;
            for payload in message.chunks_mut(payload) {
                self.number += 1;
                let head = step.to_be_bytes().into_iter().chain(self.number.to_be_bytes());
                payload.iter_mut().zip(head).for_each(|(place, octet)| *place = octet);
            }
        }
        let targets = self.targets.iter().cycle().skip(self.turn % self.targets.len());
        let messages = self.messages.iter().zip(targets).map(|(data, to)| Message {
            to: *to,
            from: None,
            tos: 0,
            segment: u16::try_from(data.len() / self.segments).ok().filter(|_| self.segments > 1),
            data,
        });
        let taken = match self.sender.send(self.socket.as_fd(), messages) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        self.turn += taken;
        Ok(taken * self.segments)
    }

    /// Waits until everything has arrived or nothing arrives any more, and says when the last packet did.
    fn drained(&self, sent: u64) -> Instant {
        let end = Instant::now();
        loop {
            let last = self.shared.last_arrival();
            let quiet = last.max(end).elapsed() > QUIET;
            if quiet || self.shared.arrived.load(Ordering::Acquire) >= sent {
                return last;
            }
            thread::sleep(PAUSE);
        }
    }

    /// Packets that came after a later one, in all steps. Where there is one flow only.
    pub(super) fn reordered(&self) -> Option<u64> {
        (self.targets.len() == 1).then(|| self.shared.reordered.load(Ordering::Relaxed))
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        if let Some(receiver) = self.receiver.take() {
            // A panic there has been reported there.
            let _ = receiver.join();
        }
    }
}

impl Shared {
    fn new() -> Self {
        Self {
            step: AtomicU32::new(0),
            arrived: AtomicU64::new(0),
            reordered: AtomicU64::new(0),
            last: AtomicU64::new(0),
            epoch: Instant::now(),
            done: AtomicBool::new(false),
        }
    }

    /// Counts what arrives, until it is told to end.
    fn count(&self, sink: &UdpSocket) {
        let mut payload = [0; 2048];
        let mut newest = 0;
        while !self.done.load(Ordering::Relaxed) {
            match sink.recv(&mut payload) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => return,
            }
            let [s0, s1, s2, s3, n0, n1, n2, n3, n4, n5, n6, n7, ..] = payload;
            let number = u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]);
            if number < newest {
                self.reordered.fetch_add(1, Ordering::Relaxed);
            }
            newest = newest.max(number);
            // What was late for its own step is no part of this one.
            if u32::from_be_bytes([s0, s1, s2, s3]) == self.step.load(Ordering::Acquire) {
                let last = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.last.store(last, Ordering::Relaxed);
                self.arrived.fetch_add(1, Ordering::Release);
            }
        }
    }

    fn last_arrival(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }
}

const STEP: Duration = Duration::from_millis(120);
/// Inner IPv4 and UDP headers.
const HEADERS: u16 = 28;
const BUFFER: usize = 8 << 20;
const QUIET: Duration = Duration::from_millis(30);
const PAUSE: Duration = Duration::from_micros(50);

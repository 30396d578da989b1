//! UDP at the highest rate of which at most 1 % is lost.
//!
//! The generator first sends as fast as it can; then each step halves the interval between the highest rate that
//! passed and the lowest that did not. A step's rate counts what arrived over the time until the last arrival: what a
//! queue holds back does not pass for throughput.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{ErrorKind, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg, sockopt};

use super::bed::{Bed, Side};
use super::cell::Size;
use crate::interrupt;

/// What one step saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    sent: u64,
    arrived: u64,
    /// How long it was sent for.
    sending: Duration,
    /// From the first packet sent to the last that arrived.
    elapsed: Duration,
    /// Packets a second over `elapsed`.
    pub(super) packets: f64,
    /// Octets of the inner packets that arrived.
    pub(super) octets: f64,
}

impl Step {
    /// Of the packets sent, how many did not arrive: 0 to 1.
    pub(super) fn loss(&self) -> f64 {
        1.0 - self.arrived as f64 / self.sent.max(1) as f64
    }

    /// Bits of inner packets a second.
    pub(super) fn rate(&self) -> f64 {
        self.octets * 8.0 / self.elapsed.as_secs_f64()
    }

    fn offered(&self) -> f64 {
        self.sent as f64 / self.sending.as_secs_f64()
    }
}

/// The best step of a search, and what its watcher said before and after it.
pub(super) struct Best<T> {
    pub(super) step: Step,
    pub(super) before: T,
    pub(super) after: T,
    /// Packets that came after a later one, in all steps.
    pub(super) reordered: u64,
}

/// Searches the highest rate from left to right; `watch` is asked before and after each step.
pub(super) fn search<T>(bed: &Bed, size: Size, mut watch: impl FnMut() -> Result<T>) -> Result<Best<T>> {
    let mut generator = Generator::new(bed, size)?;
    let mut best: Option<Best<T>> = None;
    let (mut passed, mut failed) = (0.0, f64::INFINITY);
    let mut asked = f64::INFINITY;
    for _ in 0..STEPS {
        interrupt::check()?;
        let before = watch()?;
        let step = generator.step(asked)?;
        let after = watch()?;
        if step.loss() <= TOLERATED {
            passed = step.offered().max(passed);
            if best.as_ref().is_none_or(|best| step.packets > best.step.packets) {
                best = Some(Best { step, before, after, reordered: 0 });
            }
            if step.offered() < asked * REACHED {
                break;
            }
        } else {
            failed = step.offered().min(failed);
        }
        // What arrives under overload is a first guess; a path that collapses under it may carry less still.
        asked =
            if passed > 0.0 { f64::midpoint(passed, failed) } else { step.packets.min(failed * BACK_OFF) };
    }
    let reordered = generator.reordered();
    let best = best.map(|best| Best { reordered, ..best });
    ensure!(best.is_some(), "more than {} % lost at every rate", TOLERATED * 100.0);
    best.ok_or_else(|| anyhow::anyhow!("no step"))
}

/// A sender in the left host, and a thread that counts in the right.
struct Generator {
    socket: UdpSocket,
    /// One batch of payloads; each begins with the step and the packet's number.
    payloads: Vec<Vec<u8>>,
    /// Octets of an inner packet on average.
    mean: f64,
    number: u64,
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
    fn new(bed: &Bed, size: Size) -> Result<Self> {
        let sink = bed.right.udp(SocketAddr::new(Side::Right.inner().into(), 0))?;
        sink.set_read_timeout(Some(QUIET))?;
        // The receiver's queue must not be what loses.
        sockopt::set_socket_recv_buffer_size_force(&sink, BUFFER)?;
        let socket = bed.left.udp(SocketAddr::new(Side::Left.inner().into(), 0))?;
        socket.connect(sink.local_addr()?)?;
        let pattern = size.pattern();
        let mean = pattern.iter().copied().map(f64::from).sum::<f64>() / pattern.len() as f64;
        let payload = |size: &u16| vec![0; usize::from(*size) - HEADERS];
        let payloads =
            pattern.iter().cycle().take(BATCH / pattern.len() * pattern.len()).map(payload).collect();
        let shared = Arc::new(Shared {
            step: AtomicU32::new(0),
            arrived: AtomicU64::new(0),
            reordered: AtomicU64::new(0),
            last: AtomicU64::new(0),
            epoch: Instant::now(),
            done: AtomicBool::new(false),
        });
        let counting = Arc::clone(&shared);
        let receiver = thread::Builder::new().name("sink".into()).spawn(move || counting.count(&sink))?;
        Ok(Self { socket, payloads, mean, number: 0, shared, receiver: Some(receiver) })
    }

    /// Sends for [`STEP`] at a rate in packets a second, and waits until the path is empty.
    fn step(&mut self, rate: f64) -> Result<Step> {
        self.shared.arrived.store(0, Ordering::Relaxed);
        let step = self.shared.step.fetch_add(1, Ordering::Release) + 1;
        let start = Instant::now();
        let mut sent = 0_u64;
        while start.elapsed() < STEP {
            let due = start.elapsed().as_secs_f64() * rate;
            if (sent as f64) < due {
                sent += self.send(step)?;
            } else {
                thread::sleep(PAUSE);
            }
        }
        let sending = start.elapsed();
        let last = self.drained(sent);
        let elapsed = last.saturating_duration_since(start).max(sending);
        let arrived = self.shared.arrived.load(Ordering::Acquire);
        let packets = arrived as f64 / elapsed.as_secs_f64();
        Ok(Step { sent, arrived, sending, elapsed, packets, octets: arrived as f64 * self.mean })
    }

    /// Sends one batch; what the host itself refuses for want of room counts as sent and lost.
    fn send(&mut self, step: u32) -> Result<u64> {
        for payload in &mut self.payloads {
            self.number += 1;
            let head = step.to_be_bytes().into_iter().chain(self.number.to_be_bytes());
            payload.iter_mut().zip(head).for_each(|(place, octet)| *place = octet);
        }
        let slices: Vec<_> = self.payloads.iter().map(|payload| [IoSlice::new(payload)]).collect();
        let mut control: Vec<_> = slices.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<_> =
            slices.iter().zip(&mut control).map(|(slice, control)| MMsgHdr::new(slice, control)).collect();
        match sendmmsg(&self.socket, &mut messages, SendFlags::empty()) {
            Ok(sent) => Ok(sent as u64),
            Err(Errno::NOBUFS) => Ok(self.payloads.len() as u64),
            Err(error) => Err(error.into()),
        }
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

    fn reordered(&self) -> u64 {
        self.shared.reordered.load(Ordering::Relaxed)
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

const STEPS: usize = 6;
const STEP: Duration = Duration::from_millis(120);
/// Loss at which a rate has passed.
const TOLERATED: f64 = 0.01;
/// A generator that reaches less of what it is asked for is itself the limit.
const REACHED: f64 = 0.97;
const BACK_OFF: f64 = 0.7;
/// Packets of a send.
const BATCH: usize = 60;
/// Inner IPv4 and UDP headers.
const HEADERS: usize = 28;
const BUFFER: usize = 8 << 20;
const QUIET: Duration = Duration::from_millis(30);
const PAUSE: Duration = Duration::from_micros(50);

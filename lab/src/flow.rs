//! A numbered UDP flow: says which packets were lost or came twice.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use rustix::net::sockopt;

use crate::capture::MARKER;
use crate::{Netns, wait};

/// A flow that is under way, until it is finished.
#[derive(Debug)]
pub struct Flow {
    stop: Arc<AtomicBool>,
    start: Instant,
    rate: u32,
    sender: JoinHandle<u64>,
    receivers: Vec<JoinHandle<Arrived>>,
    all_sent: Arc<AtomicBool>,
    arrivals: Arc<AtomicU64>,
}

/// What became of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Packets sent, numbered from 0.
    pub sent: u64,
    /// Numbers that arrived nowhere.
    pub lost: Vec<u64>,
    /// Numbers that arrived more than once.
    pub repeated: Vec<u64>,
    start: Instant,
    rate: u32,
}

impl Flow {
    /// Sends from an address of one host to a socket address that may live on several (two ends of two tunnels), 500
    /// packets a second.
    pub fn start(from: &Netns, source: SocketAddr, to: &[&Netns], target: SocketAddr) -> Result<Self> {
        Self::at(RATE, from, source, to, target)
    }

    /// The same with so many packets a second.
    pub fn at(
        rate: u32,
        from: &Netns,
        source: SocketAddr,
        to: &[&Netns],
        target: SocketAddr,
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let all_sent = Arc::new(AtomicBool::new(false));
        let arrivals = Arc::<AtomicU64>::default();
        let mut receivers = Vec::new();
        for host in to {
            let socket = host.udp(target)?;
            socket.set_read_timeout(Some(QUIET))?;
            // What a busy machine lets wait here is not lost in the tunnel.
            sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER)?;
            let (all_sent, arrivals) = (Arc::clone(&all_sent), Arc::clone(&arrivals));
            receivers.push(thread::spawn(move || receive(&socket, &all_sent, &arrivals)));
        }
        let socket = from.udp(source)?;
        sockopt::set_socket_send_buffer_size_force(&socket, BUFFER)?;
        let start = Instant::now();
        let sender = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || send(&socket, target, start, rate, &stop))
        };
        Ok(Self { stop, start, rate, sender, receivers, all_sent, arrivals })
    }

    /// Waits until so many more packets have arrived.
    pub fn await_arrivals(&self, more: u64, deadline: Duration) -> Result<()> {
        let enough = self.arrivals.load(Ordering::Relaxed) + more;
        wait::until_true(deadline, format!("{more} packets of a flow"), || {
            Ok(self.arrivals.load(Ordering::Relaxed) >= enough)
        })
    }

    /// Stops sending, takes what is still on its way, and counts.
    pub fn finish(self) -> Result<Report> {
        let Self { stop, start, rate, sender, receivers, all_sent, arrivals: _ } = self;
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().map_err(|_| anyhow!("sender panicked"))?;
        all_sent.store(true, Ordering::Relaxed);
        let mut arrived = Arrived::default();
        for receiver in receivers {
            arrived.merge(receiver.join().map_err(|_| anyhow!("receiver panicked"))?);
        }
        let lost = (0..sent).filter(|number| arrived.times(*number) == 0).collect();
        let repeated = (0..sent).filter(|number| arrived.times(*number) > 1).collect();
        Ok(Report { sent, lost, repeated, start, rate })
    }
}

/// How often each number has arrived, one octet a number: flows of millions of packets are counted.
#[derive(Debug, Default)]
struct Arrived(Vec<u8>);

impl Arrived {
    fn count(&mut self, number: u64) {
        let Some(at) = usize::try_from(number).ok().filter(|at| *at < MOST_PACKETS) else { return };
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        if let Some(times) = self.0.get_mut(at) {
            *times = times.saturating_add(1);
        }
    }

    fn times(&self, number: u64) -> u8 {
        usize::try_from(number).ok().and_then(|at| self.0.get(at)).copied().unwrap_or(0)
    }

    fn merge(&mut self, other: Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }
}

impl Report {
    /// The longest time without a packet: that of the longest run of numbers that arrived nowhere. Zero where none is lost.
    pub fn gap(&self) -> Duration {
        let follows = |one: &u64, next: &u64| one + 1 == *next;
        let longest = self.lost.chunk_by(follows).map(<[u64]>::len).max().unwrap_or(0);
        since_start(u64::try_from(longest).unwrap_or(u64::MAX), self.rate)
    }

    /// When the lost packets were sent: one moment for each run of them, at most `most`.
    pub fn moments_of_loss(&self, most: usize) -> Vec<Instant> {
        let apart = |pair: &[u64]| matches!(pair, [one, next] if next - one > u64::from(self.rate) / 100 + 1);
        let first = self.lost.first().into_iter();
        let starts =
            first.chain(self.lost.windows(2).filter(|pair| apart(pair)).filter_map(|pair| pair.last()));
        starts.take(most).map(|number| self.start + since_start(*number, self.rate)).collect()
    }

    /// Fails unless every packet arrived once.
    pub fn expect_whole(&self, what: &str) -> Result<()> {
        let whole = self.lost.is_empty() && self.repeated.is_empty() && self.sent > 0;
        whole.then_some(()).with_context(|| {
            format!(
                "{what}: of {} packets {} lost {:?}, {} repeated",
                self.sent,
                self.lost.len(),
                self.lost.iter().take(10).collect::<Vec<_>>(),
                self.repeated.len()
            )
        })
    }
}

/// Sends what is due, then rests until the next packet is. A packet that the kernel refuses (no route, no buffer)
/// counts as sent and will count as lost.
fn send(socket: &UdpSocket, target: SocketAddr, start: Instant, rate: u32, stop: &AtomicBool) -> u64 {
    let mut packet = MARKER.to_vec();
    packet.resize(PACKET, 0);
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        if let Some(place) = packet.get_mut(MARKER.len()..MARKER.len() + 8) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let _ = socket.send_to(&packet, target);
        number += 1;
        thread::sleep((start + since_start(number, rate)).saturating_duration_since(Instant::now()));
    }
    number
}

/// When a number is due.
fn since_start(number: u64, rate: u32) -> Duration {
    Duration::from_nanos(number.saturating_mul(1_000_000_000) / u64::from(rate.max(1)))
}

fn receive(socket: &UdpSocket, all_sent: &AtomicBool, arrivals: &AtomicU64) -> Arrived {
    let mut arrived = Arrived::default();
    let mut buffer = [0; 2048];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let number = buffer.get(..length).and_then(|packet| packet.strip_prefix(MARKER));
                let number =
                    number.and_then(|rest| rest.first_chunk()).map(|octets| u64::from_be_bytes(*octets));
                if let Some(number) = number {
                    arrived.count(number);
                    arrivals.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if all_sent.load(Ordering::Relaxed) {
                    return arrived;
                }
            }
            Err(_) => return arrived,
        }
    }
}

/// Packets a second where no rate is asked for.
const RATE: u32 = 500;
/// An hour of 80,000 packets a second.
const MOST_PACKETS: usize = 300_000_000;
const BUFFER: usize = 32 << 20;
const PACKET: usize = 400;
const QUIET: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_the_longest_run_of_lost_numbers() {
        let report = |lost: &[u64]| Report {
            sent: 10_000,
            lost: lost.to_vec(),
            repeated: Vec::new(),
            start: Instant::now(),
            rate: 1000,
        };
        assert_eq!(report(&[]).gap(), Duration::ZERO);
        assert_eq!(report(&[7]).gap(), Duration::from_millis(1));
        assert_eq!(report(&[1, 2, 50, 51, 52, 53, 90]).gap(), Duration::from_millis(4));
    }
}

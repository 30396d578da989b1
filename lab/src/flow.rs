//! A numbered UDP flow: says which packets were lost or came twice.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use crate::Netns;
use crate::capture::MARKER;

/// A flow that is under way: one packet every [`PACE`], until it is finished.
#[derive(Debug)]
pub struct Flow {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receivers: Vec<JoinHandle<BTreeMap<u64, u32>>>,
    all_sent: Arc<AtomicBool>,
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
}

impl Flow {
    /// Sends from an address of one host to a socket address that may live on several (two ends of two tunnels).
    pub fn start(from: &Netns, source: SocketAddr, to: &[&Netns], target: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let all_sent = Arc::new(AtomicBool::new(false));
        let mut receivers = Vec::new();
        for host in to {
            let socket = host.udp(target)?;
            socket.set_read_timeout(Some(QUIET))?;
            let all_sent = Arc::clone(&all_sent);
            receivers.push(thread::spawn(move || receive(&socket, &all_sent)));
        }
        let socket = from.udp(source)?;
        let sender = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || send(&socket, target, &stop))
        };
        Ok(Self { stop, sender, receivers, all_sent })
    }

    /// Stops sending, takes what is still on its way, and counts.
    pub fn finish(self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().map_err(|_| anyhow!("sender panicked"))?;
        self.all_sent.store(true, Ordering::Relaxed);
        let mut arrived: BTreeMap<u64, u32> = BTreeMap::new();
        for receiver in self.receivers {
            for (number, times) in receiver.join().map_err(|_| anyhow!("receiver panicked"))? {
                *arrived.entry(number).or_default() += times;
            }
        }
        let lost = (0..sent).filter(|number| !arrived.contains_key(number)).collect();
        let repeated = arrived.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect();
        Ok(Report { sent, lost, repeated })
    }
}

impl Report {
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

/// A packet that the kernel refuses (no route, no buffer) counts as sent and will count as lost.
fn send(socket: &UdpSocket, target: SocketAddr, stop: &AtomicBool) -> u64 {
    let start = Instant::now();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let mut packet = MARKER.to_vec();
        packet.extend(number.to_be_bytes());
        packet.resize(PACKET, 0);
        let _ = socket.send_to(&packet, target);
        number += 1;
        let due = start + PACE.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    number
}

fn receive(socket: &UdpSocket, all_sent: &AtomicBool) -> BTreeMap<u64, u32> {
    let mut arrived = BTreeMap::new();
    let mut buffer = [0; 2048];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let number = buffer.get(..length).and_then(|packet| packet.strip_prefix(MARKER));
                let number =
                    number.and_then(|rest| rest.first_chunk()).map(|octets| u64::from_be_bytes(*octets));
                if let Some(number) = number {
                    *arrived.entry(number).or_default() += 1;
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

/// Time between two packets.
pub const PACE: Duration = Duration::from_millis(2);

const PACKET: usize = 400;
const QUIET: Duration = Duration::from_millis(500);

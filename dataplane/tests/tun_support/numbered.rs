//! Numbered UDP packets through the tunnel, both ways at once.
//!
//! Each end sends as fast as the other receives: a packet that arrives lets the next one go. So the gateways are as
//! busy as the machine permits, no queue overflows, and a gap is their fault.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Hosts, Namespace};

/// What arrived of all flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub sent: u64,
    pub arrived: u64,
    /// Arrived after one with a higher number.
    pub late: u64,
}

impl Seen {
    /// Every packet arrived, each once and in its place.
    pub fn is_whole(&self) -> bool {
        self.sent == self.arrived && self.late == 0
    }

    fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            arrived: self.arrived + other.arrived,
            late: self.late + other.late,
        }
    }
}

/// Sends `packets` each way in each of `flows`; `progress` is called whenever another [`BLOCK`] of them has arrived.
pub fn exchange(hosts: &Hosts, flows: u16, packets: u64, mut progress: impl FnMut()) -> Seen {
    // The first packets would overflow the queue of a neighbour that is not resolved.
    hosts.left.exec(&["ping", "-c", "1", "-W", "5", "10.9.0.2"]).unwrap();
    let (tick, ticks) = mpsc::channel();
    let mut receivers = Vec::new();
    for flow in 0..flows {
        let left = socket(&hosts.left, "10.9.0.1", "10.9.0.2", flow);
        let right = socket(&hosts.right, "10.9.0.2", "10.9.0.1", flow);
        for (from, to) in [(&left, &right), (&right, &left)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let (credit, credits) = mpsc::channel();
            (0..IN_FLIGHT).for_each(|_| credit.send(()).unwrap());
            let tick = tick.clone();
            thread::spawn(move || send(&from, packets, &credits));
            receivers.push(thread::spawn(move || receive(&to, packets, &credit, &tick)));
        }
    }
    drop(tick);
    for () in ticks {
        progress();
    }
    receivers.into_iter().map(|receiver| receiver.join().unwrap()).fold(Seen::default(), Seen::plus)
}

fn socket(host: &Namespace, ours: &str, theirs: &str, flow: u16) -> UdpSocket {
    let [ours, theirs]: [Ipv4Addr; 2] = [ours, theirs].map(|ip| ip.parse().unwrap());
    host.inside(move || {
        let socket = UdpSocket::bind((ours, PORT + flow)).unwrap();
        socket.connect((theirs, PORT + flow)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    })
}

/// Ends early where so many packets were lost that no credit is left.
fn send(socket: &UdpSocket, packets: u64, credits: &mpsc::Receiver<()>) {
    let mut packet = [0; 1300];
    for number in 0..packets {
        if credits.recv().is_err() {
            return;
        }
        packet[..8].copy_from_slice(&number.to_be_bytes());
        // Runs of equal lengths, and breaks in them.
        let len = if number % 5 == 4 { 200 } else { packet.len() };
        assert_eq!(socket.send(&packet[..len]).unwrap(), len);
    }
}

fn receive(socket: &UdpSocket, packets: u64, credit: &mpsc::Sender<()>, tick: &mpsc::Sender<()>) -> Seen {
    let mut seen = Seen { sent: packets, ..Seen::default() };
    let (mut packet, mut highest) = ([0; 2048], None);
    while seen.arrived < packets {
        let Ok(len) = socket.recv(&mut packet) else { break };
        let number = u64::from_be_bytes(*packet[..len].first_chunk().unwrap());
        seen.arrived += 1;
        seen.late += u64::from(highest.is_some_and(|highest| number <= highest));
        highest = highest.max(Some(number));
        // Who sends or counts may have ended.
        let _ = credit.send(());
        if seen.arrived.is_multiple_of(BLOCK) {
            let _ = tick.send(());
        }
    }
    seen
}

/// Packets of one direction of a flow between two calls of `progress`.
pub const BLOCK: u64 = 1000;

/// Packets of one direction of a flow that are on their way at once: all of them together fit in any queue.
const IN_FLIGHT: usize = 32;
const PORT: u16 = 7000;
/// How long nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(3);

//! Bad weather between two hosts: a seeded relay that loses, repeats, delays and overtakes what they send each other.
//!
//! ```text
//! left --- veth --- face that has the right one's address ~ relay ~ face that has the left one's address --- veth --- right
//! ```
//! A face is a namespace of its own. A packet socket takes what arrives there, before the kernel has a say: fragments
//! stay fragments. A raw socket of the other face sends it on, with all of its header. IPv4 only.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read as _};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};

use crate::Netns;
use crate::hostile::Dice;
use crate::run::say;

mod crossing;
pub mod weather;

use crossing::{Crossings, Seen};
use weather::Fate;
pub use weather::Weather;

/// A running relay. It ends when dropped.
#[derive(Debug)]
pub struct Relay {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<Result<Tally>>>,
    crossed: Arc<AtomicU32>,
    _faces: [Netns; 2],
}

/// What became of the packets that arrived, both directions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Arrived.
    pub arrived: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Sent twice on purpose.
    pub repeated: u64,
    /// Sent without the delay of the others.
    pub hurried: u64,
    /// Larger than the path, and dropped without a word.
    pub too_large: u64,
    /// Dropped because too many were waiting.
    pub overflowed: u64,
    /// Refused by the kernel when sent.
    pub refused: u64,
}

impl Relay {
    /// Connects two hosts, which have no device of that name yet, and starts to relay between their addresses.
    pub fn between(
        [left, right]: [&Netns; 2],
        device: &str,
        [left_address, right_address]: [Ipv4Addr; 2],
        weather: Weather,
        seed: u64,
    ) -> Result<Self> {
        say(&format!("lab: relay: {weather:?}, seed {seed} (GOTTHARD_LAB_SEED)"));
        let faces = [Netns::new("face-left")?, Netns::new("face-right")?];
        for (host, face, stands_for) in [(left, &faces[0], right_address), (right, &faces[1], left_address)] {
            connect(host, device, face, stands_for)?;
        }
        let ports = [Port::open(&faces[0], right_address)?, Port::open(&faces[1], left_address)?];
        let (stopped, stop) = std::io::pipe()?;
        let mut dice = Dice::new(seed);
        let crossed = Arc::<AtomicU32>::default();
        let wire = Wire {
            ports,
            weather,
            dice: [Dice::new(dice.word()), Dice::new(dice.word())],
            waiting: BinaryHeap::new(),
            tally: Tally::default(),
            crossings: Crossings::default(),
            crossed: Arc::clone(&crossed),
        };
        let thread = thread::spawn(move || wire.run(&stopped));
        Ok(Self { stop: Some(stop), thread: Some(thread), crossed, _faces: faces })
    }

    /// How many CREATE_CHILD_SA requests have come from one side while one of the other had no response yet.
    pub fn crossed(&self) -> u32 {
        self.crossed.load(Ordering::Relaxed)
    }

    /// Ends it, and says what became of the packets.
    pub fn finish(mut self) -> Result<Tally> {
        drop(self.stop.take());
        let thread = self.thread.take().context("the relay is running")?;
        thread.join().map_err(|_| anyhow!("the relay panicked"))?
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The relay's thread: two ports and the packets that wait for their time.
struct Wire {
    ports: [Port; 2],
    weather: Weather,
    /// One a direction, so that a packet's fate depends on nothing but the seed and its number in its direction.
    dice: [Dice; 2],
    waiting: BinaryHeap<Waiting>,
    tally: Tally,
    crossings: Crossings,
    crossed: Arc<AtomicU32>,
}

impl Wire {
    fn run(mut self, stopped: &PipeReader) -> Result<Tally> {
        let mut buffer = vec![0; LARGEST];
        loop {
            let now = Instant::now();
            self.send_what_is_due(now)?;
            let next = self.waiting.peek().map(|packet| packet.due.saturating_duration_since(now));
            let Some(ready) = self.wait(stopped, next)? else { return Ok(self.tally) };
            for (side, _) in ready.into_iter().enumerate().filter(|(_, ready)| *ready) {
                self.take_all(side, &mut buffer)?;
            }
        }
    }

    /// Waits for packets or for the time of the next one; `None`: the relay is to end.
    fn wait(&self, stopped: &PipeReader, next: Option<Duration>) -> Result<Option<[bool; 2]>> {
        let [left, right] = &self.ports;
        let mut fds = [
            PollFd::new(&left.arrivals, PollFlags::IN),
            PollFd::new(&right.arrivals, PollFlags::IN),
            PollFd::new(stopped, PollFlags::IN),
        ];
        let next = next.map(Timespec::try_from).transpose()?;
        match poll(&mut fds, next.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(Some([false; 2])),
            other => other?,
        };
        let [left, right, stop] = fds.map(|fd| !fd.revents().is_empty());
        Ok((!stop).then_some([left, right]))
    }

    /// Takes what has arrived at one side, and decides on each packet.
    fn take_all(&mut self, side: usize, buffer: &mut [u8]) -> Result<()> {
        while let Some(packet) = self.ports[side].take(buffer)? {
            self.tally.arrived += 1;
            let mut fate = self.weather.fate(packet, &mut self.dice[side]);
            match self.crossings.see(side, packet) {
                Seen::First => fate = fate.held(self.weather.meeting),
                Seen::Crossing => {
                    self.crossed.fetch_add(1, Ordering::Relaxed);
                    self.end_meeting();
                }
                Seen::Other => {}
            }
            self.schedule(1 - side, packet, fate);
        }
        Ok(())
    }

    fn schedule(&mut self, to: usize, packet: &[u8], fate: Fate) {
        let (copies, delay, held) = match fate {
            Fate::TooLarge => return self.tally.too_large += 1,
            Fate::Lost => return self.tally.lost += 1,
            Fate::Sent { copies, delay } => (copies, delay, false),
            Fate::Held { delay } => (1, delay, true),
            Fate::Hurried => {
                self.tally.hurried += 1;
                (1, Duration::ZERO, false)
            }
        };
        self.tally.repeated += u64::from(copies > 1);
        for _ in 0..copies {
            if self.waiting.len() >= MOST_WAITING {
                self.tally.overflowed += 1;
                continue;
            }
            let due = Instant::now() + delay;
            let packet = packet.to_vec();
            self.waiting.push(Waiting { due, number: self.tally.arrived, to, held, packet });
        }
    }

    /// Lets the request go that was held for the one that has come.
    fn end_meeting(&mut self) {
        let now = Instant::now();
        let waiting = core::mem::take(&mut self.waiting).into_iter();
        self.waiting = waiting
            .map(|packet| Waiting { due: if packet.held { now } else { packet.due }, ..packet })
            .collect();
    }

    fn send_what_is_due(&mut self, now: Instant) -> Result<()> {
        while self.waiting.peek().is_some_and(|packet| packet.due <= now) {
            let Some(packet) = self.waiting.pop() else { break };
            self.tally.refused += u64::from(!self.ports[packet.to].send(&packet.packet)?);
        }
        Ok(())
    }
}

/// One face's two sockets.
struct Port {
    /// Every IPv4 packet that arrives, from its network header on.
    arrivals: Socket,
    departures: Socket,
    /// The address that the face stands for.
    address: Ipv4Addr,
}

impl Port {
    fn open(face: &Netns, address: Ipv4Addr) -> Result<Self> {
        let protocol = Protocol::from(i32::from(ETH_P_IP.to_be()));
        let open = || {
            let arrivals = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
            arrivals.set_nonblocking(true)?;
            sockopt::set_socket_recv_buffer_size_force(&arrivals, BUFFER)?;
            let departures = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
            Ok(Self { arrivals, departures, address })
        };
        face.enter(open).with_context(|| format!("sockets of {}", face.name()))
    }

    /// The next packet for the address that the face stands for.
    fn take<'a>(&mut self, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>> {
        loop {
            let length = match self.arrivals.read(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("taking a packet"),
            };
            let destination = buffer.get(16..20).filter(|_| length >= 20);
            if destination == Some(self.address.octets().as_slice()) {
                return Ok(buffer.get(..length));
            }
        }
    }

    /// Sends a packet on to where it goes; false where the kernel refuses it.
    fn send(&self, packet: &[u8]) -> Result<bool> {
        let destination =
            packet.get(16..20).and_then(|octets| octets.first_chunk::<4>()).context("header")?;
        let to = SocketAddrV4::new((*destination).into(), 0);
        Ok(self.departures.send_to(packet, &to.into()).is_ok())
    }
}

/// A packet that waits for its time; the earliest is the greatest.
#[derive(PartialEq, Eq)]
struct Waiting {
    due: Instant,
    number: u64,
    to: usize,
    /// It waits for a request of the other side.
    held: bool,
    packet: Vec<u8>,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Links a host with a face that stands for the other one. The host writes its checksums and cuts its super-packets
/// itself: what the face takes is sent on as it is. The face's kernel answers nothing.
fn connect(host: &Netns, device: &str, face: &Netns, stands_for: Ipv4Addr) -> Result<()> {
    host.link(device, face, FACE)?;
    host.output("ethtool", &["-K", device, "tx", "off", "tx-udp-segmentation", "off"])?;
    face.address(&format!("{stands_for}/24"), FACE)?;
    face.output("nft", &["add", "table", "ip", "mute"])?;
    let hook = "{ type filter hook input priority 0; policy drop; }";
    face.output("nft", &["add", "chain", "ip", "mute", "input", hook]).map(drop)
}

/// Packets that may wait at a time, both directions together: seconds of 10,000 packets a second each way, which a busy
/// machine lets wait.
const MOST_WAITING: usize = 100_000;
/// A face's device. `ip` would read some other words as keywords of its own.
const FACE: &str = "face";
const LARGEST: usize = 1 << 16;
/// What a busy machine lets wait for the relay is not lost in it: seconds of 10,000 packets a second.
const BUFFER: usize = 128 << 20;
const ETH_P_IP: u16 = 0x0800;
const IPPROTO_RAW: i32 = 255;

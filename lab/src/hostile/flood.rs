//! A flood of first requests (H1) from one thread, at a pace, with forged sources.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::{Dice, Forger, SOURCE_AT, UDP_PAYLOAD_AT, datagram, ike};
use crate::Netns;

/// A flood that is under way, until it is finished.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Sent>,
}

/// What has been sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Datagrams.
    pub datagrams: u64,
    /// How long it took.
    pub time: Duration,
}

impl Sent {
    /// Datagrams a second.
    pub fn rate(&self) -> u128 {
        u128::from(self.datagrams) * 1000 / self.time.as_millis().max(1)
    }
}

impl Flood {
    /// Sends `rate` first requests a second from a host: half of them from anywhere, half in the names of `peers`.
    pub fn start(
        host: &Netns,
        seed: u64,
        rate: u32,
        peers: &[Ipv4Addr],
        target: SocketAddrV4,
    ) -> Result<Self> {
        let forger = Forger::new(host)?;
        let mut requests = Requests::new(Dice::new(seed), peers, target)?;
        let stop = Arc::new(AtomicBool::new(false));
        let sender = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                send(rate, &stop, || {
                    // What the kernel does not take is one datagram less.
                    let _ = forger.send_packet(requests.next(), target);
                })
            })
        };
        Ok(Self { stop, sender })
    }

    /// Stops it.
    pub fn finish(self) -> Result<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.join().map_err(|_| anyhow!("the flood panicked"))
    }
}

/// First requests, made in advance; source and SPI differ from one to the next.
struct Requests {
    dice: Dice,
    peers: Vec<Ipv4Addr>,
    packets: Vec<Vec<u8>>,
    count: usize,
}

impl Requests {
    fn new(mut dice: Dice, peers: &[Ipv4Addr], target: SocketAddrV4) -> Result<Self> {
        let anybody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 500);
        let one = |dice: &mut Dice| datagram(anybody, target, &ike::first_request(dice));
        let packets = (0..PREPARED).map(|_| one(&mut dice)).collect::<Result<_>>()?;
        Ok(Self { dice, peers: peers.to_vec(), packets, count: 0 })
    }

    fn next(&mut self) -> &[u8] {
        self.count += 1;
        let forged = if self.count.is_multiple_of(2) { self.dice.pick(&self.peers).copied() } else { None };
        // 100.64.0.0/10 is nobody's here.
        let host = u32::try_from(self.dice.below(1 << 22)).unwrap_or_default();
        let anywhere = Ipv4Addr::from_bits(0x6440_0000 | host);
        let spi = self.dice.word().to_be_bytes();
        let index = self.count % PREPARED;
        let packet = &mut self.packets[index];
        packet[SOURCE_AT..SOURCE_AT + 4].copy_from_slice(&forged.unwrap_or(anywhere).octets());
        packet[UDP_PAYLOAD_AT..UDP_PAYLOAD_AT + 8].copy_from_slice(&spi);
        packet
    }
}

/// Sends what is due every moment; a sender that falls behind makes up for a little of it.
fn send(rate: u32, stop: &AtomicBool, mut one: impl FnMut()) -> Sent {
    let start = Instant::now();
    let (mut datagrams, mut skipped) = (0_u64, 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_micros() * u128::from(rate) / 1_000_000;
        let behind = u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(datagrams + skipped);
        let now = behind.min(u64::from(rate) / 50);
        skipped += behind - now;
        (0..now).for_each(|_| one());
        datagrams += now;
        thread::sleep(MOMENT);
    }
    Sent { datagrams, time: start.elapsed() }
}

const PREPARED: usize = 256;
const MOMENT: Duration = Duration::from_micros(200);

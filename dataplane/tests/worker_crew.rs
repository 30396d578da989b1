//! Workers that open the packets of one SA beside each other bring them to the host as one worker would.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

mod worker_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::io::channel::{Channel, Departure};
use gotthard_dataplane::sa::spec::Encapsulation;
use gotthard_dataplane::sys::wake::Waker;
use gotthard_dataplane::worker::crew::Crew;
use gotthard_dataplane::worker::{Turn, Worker};
use worker_support::{Gateway, pair, udp};

/// Packets of one receive, and receives of one burst.
const PACKETS: u8 = 40;
const RECEIVES: u8 = 6;
const ROUNDS: usize = 15;

#[test]
fn what_helpers_open_reaches_the_host_in_order_and_damage_and_replays_are_dropped_as_ever() {
    let helpers = Helpers::start(2);
    for transform in [Transform::Aes256Gcm16, Transform::Aes256Cbc(Hmac::Sha256)] {
        let (mut left, right) = pair(transform, Encapsulation::Udp, false);
        let mut right = right.in_crew(&helpers.crew);
        let mut expected = Vec::new();
        for round in 0..ROUNDS {
            let mut receives: Vec<Vec<Departure>> = (0..RECEIVES).map(|n| send(&mut left, n)).collect();
            expected.extend((0..RECEIVES).flat_map(packets));
            // One packet of the third receive is damaged, and the fifth comes a second time in the sixth's place.
            let damaged = usize::from(RECEIVES / 2 - 1);
            *receives[damaged][7].payload.last_mut().unwrap() ^= 1;
            expected.remove(round * kept() + damaged * usize::from(PACKETS) + 7);
            let last = usize::from(RECEIVES) - 1;
            receives[last] = receives[last - 1].clone();
            expected.truncate((round + 1) * kept());
            for receive in &receives {
                right.arrive_coalesced(&left, receive);
            }
            right.drive();
        }
        let received: Vec<_> = right.far.host_received().into_iter().map(|(_, packet)| packet).collect();
        assert!(received == expected, "{transform:?}: {} of {}", received.len(), expected.len());
        let drops = right.stats().drops;
        assert_eq!(
            (drops.of(DropReason::Icv), drops.of(DropReason::Replay)),
            (ROUNDS as u64, ROUNDS as u64 * u64::from(PACKETS))
        );
        right.assert_all_buffers_free();
    }
}

#[test]
fn many_receives_of_one_packet_each_are_opened_here() {
    let helpers = Helpers::start(1);
    let (mut left, right) = pair(Transform::Aes256Gcm16, Encapsulation::Udp, false);
    let mut right = right.in_crew(&helpers.crew);
    let sent = packets(0);
    let wire = left.send(&sent);
    assert!(right.receive(&left, &wire) == sent);
    right.assert_all_buffers_free();
}

/// Packets of a round that reach the host.
fn kept() -> usize {
    usize::from(RECEIVES - 1) * usize::from(PACKETS) - 1
}

fn packets(receive: u8) -> Vec<Vec<u8>> {
    (0..PACKETS).map(|n| udp(false, 0, 1200, receive * PACKETS + n)).collect()
}

fn send(left: &mut Gateway, receive: u8) -> Vec<Departure> {
    left.send(&packets(receive))
}

/// Workers without tunnels, on threads of their own.
struct Helpers {
    crew: Arc<Crew>,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Helpers {
    fn start(count: usize) -> Self {
        let wakers: Vec<Waker> = (0..count).map(|_| Waker::new().unwrap()).collect();
        let crew = Arc::new(Crew::new((1..).zip(wakers.iter().cloned()), false));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (1..).zip(wakers).map(|(index, waker)| {
            let (crew, stop) = (Arc::clone(&crew), Arc::clone(&stop));
            std::thread::spawn(move || {
                let (channel, _far) = Channel::new(waker, 1);
                let (_orders, orders) = mpsc::channel();
                let mut worker = Worker::new(channel, orders, Arc::new(drop)).among(index, Some(crew));
                while !stop.load(Ordering::Relaxed) && worker.turn().unwrap() != Turn::Ended {
                    std::thread::yield_now();
                }
            })
        });
        let threads = threads.collect();
        Self { crew, stop, threads }
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

//! Between the packet path's threads and the daemon: what finds it full is counted and lost, and no packet waits for it.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Packet;

/// The end that takes packets; used on the packet path's threads, it never waits.
#[derive(Clone, Debug)]
pub struct Inlet {
    packets: mpsc::Sender<Packet>,
    lost: Arc<AtomicU64>,
}

/// The end that gives them.
#[derive(Debug)]
pub struct Outlet {
    packets: mpsc::Receiver<Packet>,
    lost: Arc<AtomicU64>,
}

/// A queue of [`DEPTH`] packets.
pub fn queue() -> (Inlet, Outlet) {
    let (sender, packets) = mpsc::channel(DEPTH);
    let lost = Arc::new(AtomicU64::new(0));
    (Inlet { packets: sender, lost: Arc::clone(&lost) }, Outlet { packets, lost })
}

impl Inlet {
    /// Takes a packet, or counts it as lost.
    pub fn offer(&self, packet: Packet) {
        if self.packets.try_send(packet).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Outlet {
    /// All that wait, and how many were lost since they were asked for last.
    pub fn take(&mut self) -> (Vec<Packet>, u64) {
        let waiting = core::iter::from_fn(|| self.packets.try_recv().ok()).take(DEPTH).collect();
        (waiting, self.lost.swap(0, Ordering::Relaxed))
    }
}

/// Packets that wait: at a tunnel's full rate some 20 ms; 3 MB of full packets.
pub const DEPTH: usize = 2048;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use gotthard_ike::config::PeerId;

    use super::*;

    #[test]
    fn what_finds_the_queue_full_is_counted() {
        let (inlet, mut outlet) = queue();
        let packet = |number: usize| Packet {
            peer: PeerId(1),
            time: Duration::ZERO,
            outbound: true,
            octets: number.to_be_bytes().to_vec(),
            drop: None,
        };
        (0..DEPTH + 3).for_each(|number| inlet.offer(packet(number)));
        let (packets, lost) = outlet.take();
        assert_eq!((packets.len(), lost), (DEPTH, 3));
        assert_eq!(packets[DEPTH - 1], packet(DEPTH - 1), "those that came first are kept, in order");
        assert_eq!(outlet.take(), (Vec::new(), 0));
    }
}

//! Datagrams that wait for the IKE endpoint, in three lanes that are served in turn: a flood of first requests fills its
//! own lane, and a handshake that goes on, or a tunnel's liveness, does not wait behind it.
//!
//! Which lane a datagram belongs to is what it says of itself, and no proof of anything: the endpoint decides.

use std::net::SocketAddr;

use gotthard_ike::codec::header::Header;
use gotthard_ike::codec::iana::NotifyType;
use gotthard_ike::codec::message::leading_notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A datagram from UDP 500, or from 4500 without its non-ESP marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Our address and port.
    pub local: SocketAddr,
    /// The sender's.
    pub remote: SocketAddr,
    /// The IKE message.
    pub payload: Vec<u8>,
}

/// Where datagrams are put.
#[derive(Clone, Debug)]
pub struct Inbox {
    lanes: [Sender<Datagram>; LANES],
}

/// Where they are taken out.
#[derive(Debug)]
pub struct Intake {
    lanes: [Receiver<Datagram>; LANES],
}

/// Both ends of an empty queue.
pub fn queue() -> (Inbox, Intake) {
    let [(first, firsts), (returning, returnings), (ongoing, ongoings)] =
        core::array::from_fn(|_| channel(LANE));
    (Inbox { lanes: [first, returning, ongoing] }, Intake { lanes: [firsts, returnings, ongoings] })
}

impl Inbox {
    /// Puts a datagram into its lane; false when nobody takes any more out. Where the lane is full it is dropped, as on
    /// any full link, and before it costs memory: peers send again.
    pub fn offer(&self, local: SocketAddr, remote: SocketAddr, payload: &[u8]) -> bool {
        let [first, returning, ongoing] = &self.lanes;
        let lane = match Lane::of(payload) {
            Lane::First => first,
            Lane::Returning => returning,
            Lane::Ongoing => ongoing,
        };
        if let Ok(place) = lane.try_reserve() {
            place.send(Datagram { local, remote, payload: payload.to_vec() });
        }
        !lane.is_closed()
    }
}

impl Intake {
    /// Waits for datagrams, and takes some out of each lane. Cancelled, it has taken none.
    pub async fn take(&mut self) -> Vec<Datagram> {
        let [first, returning, ongoing] = &mut self.lanes;
        let one = tokio::select! {
            Some(datagram) = first.recv() => datagram,
            Some(datagram) = returning.recv() => datagram,
            Some(datagram) = ongoing.recv() => datagram,
            // Nobody puts any in.
            else => core::future::pending().await,
        };
        let mut batch = vec![one];
        for lane in &mut self.lanes {
            batch.extend(core::iter::from_fn(|| lane.try_recv().ok()).take(TURN));
        }
        batch
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// The first request of an initiator.
    First,
    /// The same with a cookie: it says that we have asked for one.
    Returning,
    /// Of an IKE SA, or an answer to a request of ours.
    Ongoing,
}

impl Lane {
    fn of(payload: &[u8]) -> Self {
        match Header::parse(payload) {
            Ok(header) if header.spi_r == 0 && !header.flags.response => {
                // A cookie comes first (RFC 7296 §2.6).
                let returns = leading_notify(payload) == Some(NotifyType::COOKIE);
                if returns { Self::Returning } else { Self::First }
            }
            Ok(_) => Self::Ongoing,
            // Noise waits where it harms least.
            Err(_) => Self::First,
        }
    }
}

const LANES: usize = 3;
/// Datagrams that wait in one lane.
const LANE: usize = 1024;
/// Datagrams of one lane that are taken at once.
const TURN: usize = 32;

#[cfg(test)]
mod tests {
    use gotthard_ike::codec::header::Flags;
    use gotthard_ike::codec::iana::ExchangeType;
    use gotthard_ike::codec::message::emit_clear;
    use gotthard_ike::codec::payload::Payload;
    use gotthard_ike::codec::payload::nonce::Nonce;
    use gotthard_ike::codec::payload::notify::Notify;

    use super::*;

    const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 500);

    fn message(spi_r: u64, response: bool, payloads: &[Payload<'_>]) -> Vec<u8> {
        let flags = Flags { initiator: !response, response, version: false };
        emit_clear(Header::new(7, spi_r, ExchangeType::IKE_SA_INIT, flags, 0), payloads)
    }

    #[test]
    fn a_message_has_the_lane_that_it_names() {
        let cookie = Payload::Notify(Notify::new(NotifyType::COOKIE, b"cookie"));
        let other = Payload::Notify(Notify::new(NotifyType::INITIAL_CONTACT, b""));
        let nonce = Payload::Nonce(Nonce(&[1; 16]));
        for (message, lane) in [
            (message(0, false, core::slice::from_ref(&nonce)), Lane::First),
            (message(0, false, &[other, nonce.clone()]), Lane::First),
            (message(0, false, &[nonce.clone(), cookie.clone()]), Lane::First),
            (message(0, false, &[cookie.clone(), nonce.clone()]), Lane::Returning),
            (message(0, true, &[cookie]), Lane::Ongoing),
            (message(9, false, &[nonce]), Lane::Ongoing),
            (vec![0; 27], Lane::First),
            (Vec::new(), Lane::First),
        ] {
            assert_eq!(Lane::of(&message), lane, "{message:02x?}");
        }
    }

    #[tokio::test]
    async fn a_flood_of_first_requests_fills_its_own_lane_alone() {
        let (inbox, mut intake) = queue();
        let first = message(0, false, &[Payload::Nonce(Nonce(&[1; 16]))]);
        for _ in 0..10 * LANE {
            assert!(inbox.offer(HERE, HERE, &first));
        }
        let ongoing = message(9, false, &[]);
        assert!(inbox.offer(HERE, HERE, &ongoing));
        let batch = intake.take().await;
        assert!(batch.iter().any(|datagram| datagram.payload == ongoing), "it is in the first batch");
        let mut taken = batch.len();
        while taken < LANE + 1 {
            taken += intake.take().await.len();
        }
        assert_eq!(taken, LANE + 1);
    }

    #[tokio::test]
    async fn nobody_puts_into_a_queue_that_is_not_read() {
        let (inbox, intake) = queue();
        drop(intake);
        assert!(!inbox.offer(HERE, HERE, &[]));
    }
}

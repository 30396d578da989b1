//! What holds of every message that leaves an end, whatever it is about (RFC 7296 §2.1-§2.3): ids that count, one
//! request at a time, retransmissions that are the same octet for octet.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gotthard_ike::codec::header::Header;
use gotthard_ike::codec::iana::PayloadType;
use gotthard_ike::{Time, Transmit};

/// The messages of both ends, by SA and direction.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    lanes: BTreeMap<Lane, Messages>,
}

/// The messages of one end under one SA, requests and responses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lane {
    from: IpAddr,
    spis: (u64, u64),
    response: bool,
}

#[derive(Debug)]
struct Messages {
    id: u32,
    since: Time,
    /// The datagrams of the newest id, by total and number of fragments: a message may be cut anew into more of them
    /// (RFC 7383 §2.5.2).
    datagrams: BTreeMap<(u16, u16), Vec<u8>>,
}

impl Watch {
    /// Takes note of a message, and panics if it may not be.
    pub(crate) fn see(&mut self, now: Time, transmit: &Transmit) {
        let header = Header::parse(&transmit.payload).unwrap();
        if is_clear(&transmit.payload) {
            return; // of no SA: IKE_SA_INIT, and what is told to anybody
        }
        let response = header.flags.response;
        let lane = Lane { from: transmit.local.ip(), spis: (header.spi_i, header.spi_r), response };
        let (id, fragment) = (header.message_id, fragment(&transmit.payload));
        if self.lanes.get(&lane).is_none_or(|messages| messages.id != id) {
            self.check_next(lane, id, transmit);
            self.lanes.insert(lane, Messages { id, since: now, datagrams: BTreeMap::new() });
        }
        let messages = self.lanes.get_mut(&lane).unwrap();
        let first = messages.datagrams.entry(fragment).or_insert_with(|| transmit.payload.clone());
        assert_eq!(*first, transmit.payload, "sent again, a message is the same: {lane:?} {id}");
    }

    /// Requests under this SA, sent before `since`, that nobody has answered.
    pub(crate) fn unanswered(&self, spis: (u64, u64), since: Time) -> Vec<String> {
        let requests = self.lanes.iter().filter(|(lane, _)| !lane.response && lane.spis == spis);
        let open = requests.filter(|(lane, request)| {
            request.since < since && self.answer(lane).is_none_or(|answer| answer.id < request.id)
        });
        open.map(|(lane, request)| format!("{lane:?} {}", request.id)).collect()
    }

    fn check_next(&self, lane: Lane, id: u32, transmit: &Transmit) {
        match self.lanes.get(&lane) {
            Some(before) => assert_eq!(id, before.id + 1, "message ids count: {lane:?}"),
            // An original initiator has used id 0 in the clear, and its link may be a new one after IKE_AUTH.
            None => assert!(id <= 2, "message ids count from the first: {lane:?} {id}"),
        }
        let before = self.lanes.get(&lane).filter(|_| !lane.response);
        let answered = before.is_none_or(|before| self.answer(&lane).is_some_and(|a| a.id >= before.id));
        assert!(answered, "one request at a time: {lane:?} {id} to {}", transmit.remote);
    }

    fn answer(&self, request: &Lane) -> Option<&Messages> {
        let mut lanes = self.lanes.iter();
        let is_answer = |lane: &Lane| lane.response && lane.spis == request.spis && lane.from != request.from;
        lanes.find(|(lane, _)| is_answer(lane)).map(|(_, messages)| messages)
    }
}

/// Without an SK or SKF payload in front.
fn is_clear(datagram: &[u8]) -> bool {
    !matches!(PayloadType(datagram[NEXT_PAYLOAD]), PayloadType::SK | PayloadType::SKF)
}

/// Total and number of a fragment (RFC 7383 §2.5); a whole message is the only one.
fn fragment(datagram: &[u8]) -> (u16, u16) {
    if PayloadType(datagram[NEXT_PAYLOAD]) != PayloadType::SKF {
        return (1, 1);
    }
    let field = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
    (field(FRAGMENT_NUMBER + 2), field(FRAGMENT_NUMBER))
}

/// In the IKE header.
const NEXT_PAYLOAD: usize = 16;
/// After the IKE header and the generic header of SKF.
const FRAGMENT_NUMBER: usize = 32;

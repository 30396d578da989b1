//! Copies of a tunnel's packets on their way from the packet path to a person: a bounded queue, whole IP packets again, and
//! the file that Wireshark reads. Nothing of it runs while nobody asks.

pub mod framing;
pub mod pcapng;
pub mod queue;

use core::time::Duration;

use gotthard_ike::config::PeerId;

/// A copy of a packet, a whole IP packet whichever layer it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whose.
    pub peer: PeerId,
    /// When it was seen, since 1970.
    pub time: Duration,
    /// From the host to the peer.
    pub outbound: bool,
    /// Its octets, from the IP header on.
    pub octets: Vec<u8>,
    /// Why it went no further: the reason's name and its sentence.
    pub drop: Option<(&'static str, &'static str)>,
}

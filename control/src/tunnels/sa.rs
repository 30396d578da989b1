//! The SAs that a tunnel has, as they were negotiated.

use gotthard_ike::config::Encapsulation;
use gotthard_ike::event::Nat;
use gotthard_ike::suite::{EspSuite, IkeSuite};

/// The IKE SA of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeSa {
    /// Negotiated transforms.
    pub suite: IkeSuite,
    /// Initiator's SPI.
    pub spi_i: u64,
    /// Responder's SPI.
    pub spi_r: u64,
    /// Where a NAT was seen.
    pub nat: Nat,
}

/// The child SA of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildSa {
    /// Negotiated transforms.
    pub suite: EspSuite,
    /// The SPI that we receive with.
    pub spi_in: u32,
    /// The SPI that the peer receives with.
    pub spi_out: u32,
    /// Extended sequence numbers.
    pub esn: bool,
    /// In UDP or as IP protocol 50.
    pub encapsulation: Encapsulation,
}

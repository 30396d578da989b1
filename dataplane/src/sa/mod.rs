//! Security associations: the cold descriptions, and what the packet path touches of them.

pub mod in_flight;
pub mod inbound;
pub mod ledger;
pub mod lifetime;
pub mod outbound;
pub mod sad;
pub mod selectors;
pub mod sequence;
pub mod spec;

use thiserror::Error;

/// Why a description cannot become an SA: a fault of who described it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// The cipher key, with its salt, has a wrong length.
    #[error("the encryption key has {0} octets, not those of the transform")]
    EncryptionKeyLength(usize),
    /// The integrity key has a wrong length.
    #[error("the integrity key has {0} octets, not those of the transform")]
    IntegrityKeyLength(usize),
    /// The transform is not of this kind.
    #[error("the transform is not of this kind")]
    Transform,
    /// The SPI is 0-255, which RFC 4303 §2.1 reserves.
    #[error("the SPI {0} is reserved")]
    ReservedSpi(u32),
    /// The replay window is outside its bounds.
    #[error("a replay window of {0} packets is outside 32-8192")]
    ReplayWindow(u32),
    /// A range of addresses mixes the families or is reversed.
    #[error("a traffic selector mixes IPv4 and IPv6 or is reversed")]
    SelectorRange,
    /// There are more ranges of addresses than an SA can hold.
    #[error("an SA holds at most 255 ranges of addresses a side, not {0}")]
    SelectorCount(usize),
    /// An SA with this SPI and these keys was installed before: its nonces would repeat.
    #[error("an SA with these keys was installed before")]
    Reinstalled,
    /// The SPI is in use.
    #[error("an SA with this SPI is installed")]
    SpiInUse,
    /// The table of SAs is full.
    #[error("the table of SAs is full")]
    TableFull,
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    Randomness,
}

/// Refuses an SPI that RFC 4303 §2.1 reserves.
fn check_spi(spi: u32) -> Result<(), SpecError> {
    if spi <= LAST_RESERVED_SPI { Err(SpecError::ReservedSpi(spi)) } else { Ok(()) }
}

/// The last reserved SPI (RFC 4303 §2.1).
pub const LAST_RESERVED_SPI: u32 = 255;

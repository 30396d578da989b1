//! IKEv2 (RFC 7296) without I/O.
//!
//! The caller owns the sockets, the clock and the randomness. It hands datagrams and the time to an [`Endpoint`] and
//! drains its [`Output`]s until [`Output::Timeout`]; the order of the outputs is part of the contract (an inbound SA
//! is installed before the message that lets the peer use it is sent).

#![forbid(unsafe_code)]

pub mod codec;
pub mod config;
pub mod crypto;
mod endpoint;
pub mod error;
pub mod event;
mod exchange;
pub mod limits;
mod sa;
pub mod suite;
mod time;
pub mod timer;

pub use endpoint::{Counters, Endpoint};
pub use event::{Done, Event, Install, Job, Output, RevealedKeys, Transmit};
pub use time::Time;

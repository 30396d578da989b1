//! Benches of IKEv2 with many peers.

mod clients;
pub(crate) mod handshakes;
pub(crate) mod pairs;
mod port;
mod processor;
pub(crate) mod respond;
pub(crate) mod storm;

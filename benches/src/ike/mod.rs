//! Benches of IKEv2 with many peers.

pub(crate) mod pairs;
mod processor;

//! Gotthard: the gateway's daemon and its command line, as a library for the binary, the tests and the benches.
//!
//! The data plane moves the packets, `gotthard-ike` speaks IKEv2; what is here decides. [`config`] reads what the
//! operator wants, [`api`] answers what the operator asks.

#![forbid(unsafe_code)]

pub mod api;
pub mod config;
pub mod log;
pub mod failover;
pub mod routes;
pub mod tunnels;

//! Gotthard: the gateway's daemon and its command line, as a library for the binary, the tests and the benches.
//!
//! The data plane moves the packets, `gotthard-ike` speaks IKEv2; what is here decides. [`config`] reads what the
//! operator wants, [`daemon`] makes it so, [`api`] answers what the operator asks.

#![forbid(unsafe_code)]

#[cfg(gotthard_no_crypto)]
compile_error!(
    "`gotthard_no_crypto` is for the benches: there is no daemon that neither encrypts nor checks"
);

pub mod api;
pub mod backoff;
pub mod bgp;
pub mod bgp_driver;
pub mod capture;
pub mod cli;
pub mod config;
pub mod cost;
mod counted;
pub mod daemon;
pub mod demo;
pub mod diagnose;
pub mod doctor;
pub mod drill;
pub mod events;
pub mod export;
pub mod failover;
pub mod history;
pub mod hooks;
pub mod ike_driver;
pub mod import;
pub mod install;
pub mod intake;
pub mod log;
pub mod metrics;
pub mod privileges;
pub mod probe;
pub mod routes;
pub mod state_file;
pub mod tunnels;
pub mod web;
pub mod whole_file;

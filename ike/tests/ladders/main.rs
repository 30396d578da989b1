//! The endpoint, one behaviour a file, written as the ladders of the RFCs.
//!
//! Where both ends are ours, `Pair` runs them over a link with a virtual clock. Where one end must do what ours does
//! not, it is scripted.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a failed test is what a panic is for, and of random numbers any octets will do"
)]

#[path = "../support/mod.rs"]
mod support;

mod any_order;
mod authority;
mod certificates;
mod computed;
mod cookies;
mod delete;
mod failures;
mod fragments;
mod handshake;
mod hostile;
mod impostors;
mod initial_contact;
mod initiator_rounds;
mod liveness;
mod meeting;
mod narrowing;
mod natt;
mod our_rekeys;
mod peer_rekeys;
mod reauthentication;
mod reveal_keys;
mod signatures;
mod windows;

//! The endpoint, one behaviour a file, written as the ladders of the RFCs.
//!
//! Where both ends are ours, `Pair` runs them over a link with a virtual clock. Where one end must do what ours does
//! not, it is scripted.

#[path = "../support/mod.rs"]
mod support;

mod handshake;

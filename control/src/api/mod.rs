//! The control socket: what the daemon answers, and how a client asks.
//!
//! HTTP/1.1 over a unix socket, JSON both ways. [`messages`], [`status`] and [`routes`] are the contract; [`server`] is the
//! daemon's end and hands every request to the daemon's one loop; [`client`] is the command line's end.

pub mod client;
pub mod drill;
pub mod messages;
mod peer;
pub mod routes;
pub mod server;
pub mod status;

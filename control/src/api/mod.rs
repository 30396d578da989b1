//! The control socket: what the daemon answers, and how a client asks.
//!
//! HTTP/1.1 over a unix socket, JSON both ways. [`messages`], [`status`] and [`routes`] are the contract; [`server`] is the
//! daemon's end and hands every request to the daemon's one loop; [`client`] is the command line's end. What happens is
//! followed by [`events`], which the loop has no part in, and read by [`follow`].

pub mod capture;
pub mod client;
pub mod drill;
pub mod events;
pub mod follow;
pub mod messages;
pub mod metrics;
mod patient;
mod peer;
pub mod routes;
pub mod server;
pub mod status;
pub mod tcp;

#[cfg(test)]
pub(crate) mod sample;

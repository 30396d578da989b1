//! The status page: HTTP/1.1 on TCP where `[gateway] web` says so, for reading only.
//!
//! It asks the daemon's loop as the control socket does, and only what everybody may know who reaches the address: no keys,
//! no orders. Who may ask, and for what, is in `guard.rs`; what is answered in `pages.rs`; what is told live in `pulse.rs`.

mod guard;
mod pages;
mod pulse;

use core::time::Duration;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use self::pulse::Pulse;
use crate::api::server::Call;
use crate::api::tcp::{self, Limits};
use crate::events::Events;

/// Serves the page until the daemon's loop ends, or until the future is dropped; every connection ends with it.
pub async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>, events: Events) {
    let pulse = Arc::new(Pulse::new(events));
    let router = pages::router(Arc::clone(&pulse));
    tokio::select! {
        () = pulse.beat(calls) => {}
        () = tcp::serve(listener, router, LIMITS) => {}
    }
}

const LIMITS: Limits = Limits {
    // Those that are told live are among them.
    connections: 32,
    // Who is told live comes again.
    connection_time: Duration::from_mins(10),
    head_time: Duration::from_secs(5),
    // A browser opens several: one that waits for a next request would take the place of another client.
    keep_alive: false,
};

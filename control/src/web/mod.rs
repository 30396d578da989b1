//! The status page: HTTP/1.1 on TCP where `[gateway] web` says so, for reading only.
//!
//! It asks the daemon's loop as the control socket does, and only what everybody may know who reaches the address: no keys,
//! no orders. Who may ask, and for what, is in `guard.rs`; what is answered in `pages.rs`; what is told live in `pulse.rs`.

mod guard;
mod pages;
mod patient;
mod pulse;

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use self::patient::Patient;
use self::pulse::Pulse;
use crate::api::server::Call;
use crate::events::Events;

/// Opens the address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves the page until the daemon's loop ends, or until the future is dropped; every connection ends with it.
pub async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>, events: Events) {
    let pulse = Arc::new(Pulse::new(events));
    let router = pages::router(Arc::clone(&pulse));
    tokio::select! {
        () = pulse.beat(calls) => {}
        () = accept(listener, router) => {}
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, router.clone(), slot))),
                Err(error) => {
                    warn!(%error, "the status page cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One request: a connection that waits for a next one would take the place of another client.
async fn connection(stream: TcpStream, router: Router, slot: OwnedSemaphorePermit) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, STALL_TIME)), TowerToHyperService::new(router));
    match timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection to the status page ended badly"),
        Err(_) => debug!("a connection to the status page took too long"),
    }
    drop(slot);
}

/// Connections served at once, those that are told live among them; more wait in the backlog.
const MAX_CONNECTIONS: usize = 32;
/// The head of a request must be there within this time.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is cut off.
const STALL_TIME: Duration = Duration::from_secs(10);
/// A connection is closed after this time; who is told live comes again.
const CONNECTION_TIME: Duration = Duration::from_mins(10);
/// Rest after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Largest request head in octets; hyper wants 8 KiB at least.
const MAX_HEAD: usize = 8192;

//! Pages on TCP, for anybody who can connect: few connections at once, none for long, and none that stands still.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::patient::Patient;
use crate::log::limit::OUTSIDE;

/// What the clients of a page may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at once; more wait in the backlog.
    pub connections: usize,
    /// A connection is closed after this time, whatever it is doing.
    pub connection_time: Duration,
    /// The head of a request must be there within this time.
    pub head_time: Duration,
    /// Whether a connection waits for the next request, in the place of another client.
    pub keep_alive: bool,
}

/// Opens an address; to be called within a runtime. Fails where somebody has the port or the host has no such address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A page that is started anew need not wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until it is dropped; every connection ends with it.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        // Each slot is given back within the time of a connection; the semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, router.clone(), limits, slot))),
                Err(error) => {
                    warn!(target: OUTSIDE, %error, "a connection for a page was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, slot: OwnedSemaphorePermit) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .keep_alive(limits.keep_alive)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, STALL_TIME)), TowerToHyperService::new(router));
    match timeout(limits.connection_time, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(target: OUTSIDE, %error, "a connection for a page ended badly"),
        Err(_) => debug!(target: OUTSIDE, "a connection for a page took too long"),
    }
    drop(slot);
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;
/// A client that takes nothing for so long is cut off.
const STALL_TIME: Duration = Duration::from_secs(10);
/// Rest after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Largest request head in octets; hyper wants 8 KiB at least.
const MAX_HEAD: usize = 8192;

//! Pages on TCP, for anybody who can connect: few connections at once, and none for long.

use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::log::limit::OUTSIDE;

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, router: Router) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Each slot is given back within CONNECTION_TIME; the semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(target: OUTSIDE, %error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            if !matches!(timeout(CONNECTION_TIME, connection).await, Ok(Ok(()))) {
                debug!(target: OUTSIDE, "a connection for a page ended badly");
            }
            drop(slot);
        });
    }
}

/// Connections served at once; more wait in the backlog.
const MAX_CONNECTIONS: usize = 8;
/// A connection is closed after this time, whatever it is doing: Prometheus opens another.
const CONNECTION_TIME: Duration = Duration::from_secs(90);
/// The head of a request must be there within this time.
const HEADER_TIME: Duration = Duration::from_mins(1);
/// Rest after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Largest request head in octets.
const MAX_HEAD: usize = 8192;

//! `GET /metrics`: on the control socket, and on TCP where it is configured.

use core::time::Duration;

use axum::Extension;
use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::messages::{Request, Response};
use super::server::{Call, answer, reply};
use super::tcp::{self, Limits};
use crate::metrics::{Format, Meters, Snapshot, page};

/// Serves the page on TCP, and nothing else, until it is dropped.
pub async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>, meters: Meters) {
    let router = Router::new().route("/metrics", get(metrics)).layer(Extension(meters)).with_state(calls);
    tcp::serve(listener, router, LIMITS).await;
}

/// OpenMetrics for who accepts it, as Prometheus does; else the older format.
pub(super) async fn metrics(
    State(calls): State<mpsc::Sender<Call>>,
    Extension(meters): Extension<Meters>,
    headers: HeaderMap,
) -> HttpResponse {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let open = accepted.into_iter().any(|accept| accept.contains("application/openmetrics-text"));
    let answered = answer(&calls, Request::Status { connection: None }).await;
    let Response::Status(status) = answered else { return reply(answered) };
    let status = *status;
    // Beside the daemon's loop: a page of thousands of tunnels is megabytes.
    let format = if open { Format::Open } else { Format::Classic };
    let made = spawn_blocking(move || page(&Snapshot { status, meters }, format));
    match made.await {
        Ok(page) => ([(CONTENT_TYPE, if open { OPEN } else { CLASSIC })], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

const LIMITS: Limits = Limits {
    connections: 8,
    // Prometheus opens another.
    connection_time: Duration::from_secs(90),
    // Between two scrapes the connection waits for the head of the next.
    head_time: Duration::from_mins(1),
    keep_alive: true,
};

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

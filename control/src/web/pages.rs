//! The files of the page, the last hour of a tunnel as JSON, and the live reports as server-sent events (WHATWG HTML §9.2).

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;

use super::guard::guard;
use super::pulse::Pulse;
use crate::api::events::sse;

/// Every path that there is.
pub(super) fn router(pulse: Arc<Pulse>) -> Router {
    let mut router = Router::new();
    for (path, kind, text) in FILES {
        router = router.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], text) }));
    }
    router
        .route("/api/history/{connection}/{tunnel}", get(history))
        .route("/api/live", get(live))
        .with_state(pulse)
        .layer(from_fn(guard))
}

async fn history(
    State(pulse): State<Arc<Pulse>>,
    Path((connection, tunnel)): Path<(String, String)>,
) -> Response {
    match pulse.samples(&connection, &tunnel) {
        Some(samples) => Json(samples).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such tunnel, or nothing is known of it yet\n")
            .into_response(),
    }
}

async fn live(State(pulse): State<Arc<Pulse>>) -> Response {
    match pulse.watch() {
        Some(messages) => sse(messages).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n").into_response(),
    }
}

const FILES: [(&str, &str, &str); 5] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("page/app.js")),
    ("/plot.js", "text/javascript; charset=utf-8", include_str!("page/plot.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

//! The daemon's end of the control socket.
//!
//! A connection is a task of its own with a deadline, so that a slow reader blocks nobody; requests are bounded, and
//! who connects is checked by the kernel's word on it (`peer.rs`). Every request goes to the daemon's one loop
//! as a [`Call`].

use core::pin::pin;
use core::time::Duration;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response as HttpResponse};
use axum::routing::{get, post};
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::capture::CaptureOrder;
use super::drill::DrillOrder;
use super::events::{Followers, Lasting, SINCE_REMEDY, Since, follow};
use super::messages::{RefusalKind, Rekey, Request, Response, Target};
use super::metrics::metrics;
use super::peer::{Door, Peer};
use crate::events::{Events, kind};
use crate::log::limit::OUTSIDE;
use crate::metrics::Meters;

/// A request, and where its answer goes. Dropping `answer` tells the client that the daemon is stopping.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Takes the one answer.
    pub answer: oneshot::Sender<Response>,
}

/// Creates the socket, readable and writable by its owner and group only (0660).
///
/// A socket file that nobody answers on is taken over; one that somebody answers on is an error.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if StdUnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon answers on it"));
    }
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the file the socket's own mode, so that it is at no time wider than this; the second call undoes
    // what the umask took away.
    rustix::fs::fchmod(socket.as_fd(), Mode::from_raw_mode(SOCKET_MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

/// Serves the socket until the daemon drops the receiving end of `calls`, or for ever.
pub async fn serve(listener: UnixListener, calls: mpsc::Sender<Call>, events: Events, meters: Meters) {
    let door = Arc::new(Door::of(&listener));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let router = router(calls.clone()).layer(Extension(Followers::of(events))).layer(Extension(meters));
    loop {
        // Each slot is given back within CONNECTION_TIME, so waiting for one here cannot last.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = calls.closed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, door) = (router.clone(), Arc::clone(&door));
                tokio::spawn(async move {
                    serve_connection(stream, &door, router).await;
                    drop(slot);
                });
            }
            Err(error) => {
                warn!(target: OUTSIDE, %error, "the control socket cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(stream: UnixStream, door: &Door, router: Router) {
    let peer = match Peer::of(&stream) {
        Ok(peer) if door.admits(peer) => peer,
        Ok(peer) => {
            let event = kind::CLIENT_REFUSED;
            warn!(
                uid = peer.uid,
                gid = peer.gid,
                event,
                "refused on the control socket: not of its user or group"
            );
            return;
        }
        Err(error) => {
            let event = kind::CLIENT_REFUSED;
            warn!(target: OUTSIDE, %error, event, "refused on the control socket: no peer credentials");
            return;
        }
    };
    let lasting = Lasting::default();
    let service = TowerToHyperService::new(router.layer(Extension(peer)).layer(Extension(lasting.clone())));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = match timeout(CONNECTION_TIME, connection.as_mut()).await {
        Err(_) if lasting.is_set() => Ok(connection.await),
        ended => ended,
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a control connection ended badly"),
        Err(_) => debug!("a control connection took too long"),
    }
}

fn router(calls: mpsc::Sender<Call>) -> Router {
    Router::new()
        .route("/v1/status", get(status).post(status_of))
        .route("/v1/routes", post(routes))
        .route("/metrics", get(metrics))
        .route("/v1/events", get(events))
        .route("/v1/events/follow", get(follow))
        .route("/v1/up", post(up))
        .route("/v1/down", post(down))
        .route("/v1/rekey", post(rekey))
        .route("/v1/reload", post(reload))
        .route("/v1/drill", get(drill_state).post(drill))
        .route("/v1/drill/end", post(drill_end))
        .route("/v1/capture", post(capture))
        .route("/v1/capture/more", post(capture_more))
        .route("/v1/capture/end", post(capture_end))
        .fallback(|| async { reply(Response::refused(RefusalKind::BadRequest, "no such request")) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(calls)
}

async fn status(State(calls): State<mpsc::Sender<Call>>) -> HttpResponse {
    ask(&calls, Request::Status { connection: None }).await
}

/// The name comes in the body, where it may hold anything without being taken for a path.
async fn status_of(State(calls): State<mpsc::Sender<Call>>, body: Body<String>) -> HttpResponse {
    match body {
        Ok(Json(name)) => ask(&calls, Request::Status { connection: Some(name) }).await,
        Err(error) => bad_request(&error),
    }
}

async fn routes(State(calls): State<mpsc::Sender<Call>>, body: Body<Option<String>>) -> HttpResponse {
    match body {
        Ok(Json(connection)) => ask(&calls, Request::Routes { connection }).await,
        Err(error) => bad_request(&error),
    }
}

async fn events(
    State(calls): State<mpsc::Sender<Call>>,
    query: Result<Query<Since>, QueryRejection>,
) -> HttpResponse {
    match query {
        Ok(Query(Since { since })) => ask(&calls, Request::Events { since: since.unwrap_or(0) }).await,
        Err(_) => reply(Response::refused(RefusalKind::BadRequest, SINCE_REMEDY)),
    }
}

async fn up(
    State(calls): State<mpsc::Sender<Call>>,
    Extension(peer): Extension<Peer>,
    body: Body<Target>,
) -> HttpResponse {
    administer(&calls, &peer, body, "up", Request::Up).await
}

async fn down(
    State(calls): State<mpsc::Sender<Call>>,
    Extension(peer): Extension<Peer>,
    body: Body<Target>,
) -> HttpResponse {
    administer(&calls, &peer, body, "down", Request::Down).await
}

async fn administer(
    calls: &mpsc::Sender<Call>,
    peer: &Peer,
    body: Body<Target>,
    wish: &str,
    request: fn(Target) -> Request,
) -> HttpResponse {
    match body {
        Ok(Json(target)) => {
            info!(uid = peer.uid, %target, "asked for {wish}");
            ask(calls, request(target)).await
        }
        Err(error) => bad_request(&error),
    }
}

async fn rekey(
    State(calls): State<mpsc::Sender<Call>>,
    Extension(peer): Extension<Peer>,
    body: Body<Rekey>,
) -> HttpResponse {
    match body {
        Ok(Json(rekey)) => {
            info!(uid = peer.uid, target = %rekey.target, "asked for a rekey of the {}", rekey.sa);
            ask(&calls, Request::Rekey(rekey)).await
        }
        Err(error) => bad_request(&error),
    }
}

async fn drill(
    State(calls): State<mpsc::Sender<Call>>,
    Extension(peer): Extension<Peer>,
    body: Body<DrillOrder>,
) -> HttpResponse {
    match body {
        Ok(Json(order)) => {
            info!(uid = peer.uid, connection = %order.connection.escape_debug(), "asked for a drill");
            ask(&calls, Request::Drill(order)).await
        }
        Err(error) => bad_request(&error),
    }
}

async fn drill_state(State(calls): State<mpsc::Sender<Call>>) -> HttpResponse {
    ask(&calls, Request::DrillState).await
}

async fn drill_end(State(calls): State<mpsc::Sender<Call>>) -> HttpResponse {
    ask(&calls, Request::DrillEnd).await
}

async fn capture(
    State(calls): State<mpsc::Sender<Call>>,
    Extension(peer): Extension<Peer>,
    body: Body<CaptureOrder>,
) -> HttpResponse {
    match body {
        Ok(Json(order)) => {
            info!(uid = peer.uid, target = %order.target.to_string().escape_debug(), "asked for a capture");
            ask(&calls, Request::Capture(order)).await
        }
        Err(error) => bad_request(&error),
    }
}

async fn capture_more(State(calls): State<mpsc::Sender<Call>>) -> HttpResponse {
    ask(&calls, Request::CaptureMore).await
}

async fn capture_end(State(calls): State<mpsc::Sender<Call>>) -> HttpResponse {
    ask(&calls, Request::CaptureEnd).await
}

async fn reload(State(calls): State<mpsc::Sender<Call>>, Extension(peer): Extension<Peer>) -> HttpResponse {
    info!(uid = peer.uid, "asked for reload");
    ask(&calls, Request::Reload).await
}

async fn ask(calls: &mpsc::Sender<Call>, request: Request) -> HttpResponse {
    reply(answer(calls, request).await)
}

/// What the daemon's loop says.
pub(super) async fn answer(calls: &mpsc::Sender<Call>, request: Request) -> Response {
    let (answer, answered) = oneshot::channel();
    let stopping = || Response::refused(RefusalKind::Unavailable, "the daemon is stopping");
    if calls.send(Call { request, answer }).await.is_err() {
        return stopping();
    }
    answered.await.unwrap_or_else(|_| stopping())
}

fn bad_request(error: &JsonRejection) -> HttpResponse {
    reply(Response::refused(RefusalKind::BadRequest, error.body_text()))
}

pub(super) fn reply(response: Response) -> HttpResponse {
    let code = match &response {
        Response::Status(_)
        | Response::Routes(_)
        | Response::Events(_)
        | Response::Drill(_)
        | Response::Capture(_)
        | Response::Done { .. } => StatusCode::OK,
        Response::Refused(refusal) => match refusal.kind {
            RefusalKind::BadRequest => StatusCode::BAD_REQUEST,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::ConfigInvalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        },
    };
    (code, Json(response)).into_response()
}

/// A body as JSON, or why it is none.
type Body<T> = Result<Json<T>, JsonRejection>;

const SOCKET_MODE: u32 = 0o660;
const BACKLOG: i32 = 64;
/// Connections served at once; more wait in the backlog.
const MAX_CONNECTIONS: usize = 32;
/// A connection is closed after this time, whatever it is doing, unless it carries a stream; a rekey that is waited for takes
/// the most of it.
const CONNECTION_TIME: Duration = Duration::from_secs(30);
/// The head of a request must be there within this time.
const HEADER_TIME: Duration = Duration::from_secs(2);
/// Rest after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Largest request head in octets.
const MAX_HEAD: usize = 8192;
/// Largest request body in octets.
const MAX_BODY: usize = 4096;

//! The command line's end of the control socket: one request, one answer, one connection.

use core::time::Duration;
use std::io;
use std::path::Path;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::messages::{Request, Response};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers on the socket.
    #[error("no daemon answers on {socket}: {source}")]
    Unreachable {
        /// The socket.
        socket: String,
        /// What connecting said.
        source: io::Error,
    },
    /// Somebody does, but not with one of our answers.
    #[error("the daemon's answer on {socket} cannot be used: {why}")]
    Unusable {
        /// The socket.
        socket: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Asks the daemon.
pub async fn ask(socket: &Path, request: &Request) -> Result<Response, AskError> {
    let stream = connect(socket).await?;
    let shown = socket.display().to_string();
    match timeout(ANSWER_TIME, exchange(stream, request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(AskError::Unusable { socket: shown, why: error.to_string() }),
        Err(_) => Err(AskError::Unusable { socket: shown, why: format!("none within {ANSWER_TIME:?}") }),
    }
}

/// A connection to the daemon.
pub(super) async fn connect(socket: &Path) -> Result<UnixStream, AskError> {
    let unreachable = |source| AskError::Unreachable { socket: socket.display().to_string(), source };
    match timeout(CONNECT_TIME, UnixStream::connect(socket)).await {
        Ok(connected) => connected.map_err(unreachable),
        Err(_) => Err(unreachable(io::ErrorKind::TimedOut.into())),
    }
}

async fn exchange(stream: UnixStream, request: &Request) -> anyhow::Result<Response> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(encode(request)?).await?;
    let body = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!(error))?;
    driver.abort();
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

fn encode(request: &Request) -> anyhow::Result<hyper::Request<Full<Bytes>>> {
    let events;
    let (method, path, body) = match request {
        Request::Events { since } => {
            events = format!("/v1/events?since={since}");
            ("GET", events.as_str(), String::new())
        }
        Request::Status { connection: None } => ("GET", "/v1/status", String::new()),
        Request::Status { connection: Some(name) } => ("POST", "/v1/status", serde_json::to_string(name)?),
        Request::Routes { connection } => ("POST", "/v1/routes", serde_json::to_string(connection)?),
        Request::Up(target) => ("POST", "/v1/up", serde_json::to_string(target)?),
        Request::Down(target) => ("POST", "/v1/down", serde_json::to_string(target)?),
        Request::Rekey(rekey) => ("POST", "/v1/rekey", serde_json::to_string(rekey)?),
        Request::Drill(order) => ("POST", "/v1/drill", serde_json::to_string(order)?),
        Request::DrillState => ("GET", "/v1/drill", String::new()),
        Request::DrillEnd => ("POST", "/v1/drill/end", String::new()),
        Request::Capture(order) => ("POST", "/v1/capture", serde_json::to_string(order)?),
        Request::CaptureMore => ("POST", "/v1/capture/more", String::new()),
        Request::CaptureEnd => ("POST", "/v1/capture/end", String::new()),
        Request::Reload => ("POST", "/v1/reload", String::new()),
    };
    Ok(hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "gotthard")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?)
}

const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Longer than the daemon keeps a connection, so that its own word on a delay arrives.
const ANSWER_TIME: Duration = Duration::from_secs(32);
/// Largest answer in octets: the status of 10,000 tunnels and more.
const MAX_ANSWER: usize = 64 << 20;

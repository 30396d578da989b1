//! The control socket: its mode, its bounds, and clients that do not behave.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gotthard::api::client::{AskError, ask};
use gotthard::api::follow::{Follow, News};
use gotthard::api::messages::{RefusalKind, Request, Response};
use gotthard::api::server::{Call, bind, serve};
use gotthard::api::status::{DataplaneStatus, Status};
use gotthard::events::{Event, Events, Severity};
use gotthard::metrics::Meters;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[tokio::test]
async fn every_request_reaches_the_daemon_as_it_was_asked() {
    let (_folder, socket) = serving();
    let requests = [
        Request::Status { connection: None },
        Request::Status { connection: Some("no/such \u{1b} name".to_owned()) },
        Request::Up("aws-prod/1".parse().unwrap()),
        Request::Down("aws-prod".parse().unwrap()),
        Request::Reload,
    ];
    for request in requests {
        let response = ask(&socket, &request).await.unwrap();
        assert_eq!(response, Response::Done { message: format!("{request:?}") });
    }
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_group() {
    let (_folder, socket) = serving();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o660);
}

#[tokio::test]
async fn a_socket_that_is_answered_is_kept_and_a_stale_one_is_taken_over() {
    let (_folder, socket) = serving();
    assert_eq!(bind(&socket).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("below/gotthard.sock");
    drop(bind(&stale).unwrap());
    assert!(stale.exists());
    drop(bind(&stale).unwrap());
    let file = folder.path().join("file");
    std::fs::write(&file, "not a socket").unwrap();
    assert!(bind(&file).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a socket");
}

#[tokio::test]
async fn nobody_at_the_socket_is_unreachable() {
    let gone = Path::new("/nonexistent/gotthard.sock");
    assert!(matches!(ask(gone, &Request::Reload).await, Err(AskError::Unreachable { .. })));
}

#[tokio::test]
async fn a_daemon_that_stops_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let (calls, mut asked) = mpsc::channel::<Call>(1);
    tokio::spawn(serve(bind(&socket).unwrap(), calls, Events::default(), Meters::default()));
    tokio::spawn(async move { drop(asked.recv().await) });
    let Response::Refused(refusal) = ask(&socket, &Request::Reload).await.unwrap() else {
        panic!("a refusal")
    };
    assert_eq!(refusal.kind, RefusalKind::Unavailable);
}

#[tokio::test]
async fn a_client_that_sends_half_a_head_or_reads_nothing_blocks_nobody() {
    let (_folder, socket) = serving();
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost:").await.unwrap();
        idle.push(stream);
    }
    let asked = timeout(Duration::from_secs(5), ask(&socket, &Request::Reload)).await;
    assert!(matches!(asked, Ok(Ok(Response::Done { .. }))));
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(9), idle[0].read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a head that never ends is cut off");
}

#[tokio::test]
async fn what_is_too_large_or_not_ours_is_refused() {
    let (_folder, socket) = serving();
    let large = format!(
        "POST /v1/up HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n\"{}",
        "x".repeat(8999)
    );
    let cases = [
        ("GET /v1/nothing HTTP/1.1\r\nHost: g\r\n\r\n".to_owned(), "400"),
        ("DELETE /v1/status HTTP/1.1\r\nHost: g\r\n\r\n".to_owned(), "405"),
        ("POST /v1/up HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".to_owned(), "400"),
        (large, "400"),
        (format!("GET /{} HTTP/1.1\r\nHost: g\r\n\r\n", "x".repeat(20_000)), "4"),
        ("\0\0\0\0\r\n\r\n".to_owned(), "400"),
    ];
    for (request, code) in cases {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        // The server may hang up before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = vec![0; 64];
        let length = timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {code}")),
            "{request:.40?}: {answer:?}"
        );
    }
    assert!(matches!(ask(&socket, &Request::Reload).await, Ok(Response::Done { .. })));
}

#[tokio::test]
async fn who_follows_hears_what_was_and_what_comes_and_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let (calls, mut asked) = mpsc::channel::<Call>(1);
    let events = Events::default();
    tokio::spawn(serve(bind(&socket).unwrap(), calls, events.clone(), Meters::default()));
    tokio::spawn(async move {
        while let Some(Call { request, answer }) = asked.recv().await {
            drop(answer.send(Response::Done { message: format!("{request:?}") }));
        }
    });
    events.tell(happened("before"));
    let mut followers = Vec::new();
    for _ in 0..8 {
        followers.push(Follow::open(&socket, 0).await.unwrap());
    }
    assert!(matches!(Follow::open(&socket, 0).await, Err(AskError::Unusable { .. })), "a ninth is refused");
    for follower in &mut followers {
        let Some(News::Event(event)) = follower.next().await.unwrap() else { panic!("an event") };
        assert_eq!((event.seq, event.message.as_str()), (1, "before"));
    }
    events.tell(happened("a\n\ndata: b"));
    let Some(News::Event(event)) = followers[0].next().await.unwrap() else { panic!("an event") };
    assert_eq!((event.seq, event.message.as_str()), (2, "a\n\ndata: b"));
    assert!(matches!(ask(&socket, &Request::Reload).await, Ok(Response::Done { .. })));
    let since = Request::Events { since: 7 };
    assert_eq!(ask(&socket, &since).await.unwrap(), Response::Done { message: format!("{since:?}") });
}

fn happened(message: &str) -> Event {
    Event {
        seq: 0,
        time: "2026-11-22T03:00:00.000Z".to_owned(),
        severity: Severity::Info,
        code: "GTH-EVT-01".to_owned(),
        name: "tunnel-up".to_owned(),
        cause: None,
        connection: Some("aws".to_owned()),
        tunnel: None,
        message: message.to_owned(),
        fields: BTreeMap::new(),
    }
}

#[tokio::test]
async fn an_answer_of_many_tunnels_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let (calls, mut asked) = mpsc::channel::<Call>(1);
    tokio::spawn(serve(bind(&socket).unwrap(), calls, Events::default(), Meters::default()));
    let whole = Response::refused(RefusalKind::Failed, "x".repeat(8 << 20));
    let sent = whole.clone();
    tokio::spawn(async move {
        while let Some(call) = asked.recv().await {
            drop(call.answer.send(sent.clone()));
        }
    });
    assert_eq!(ask(&socket, &Request::Status { connection: None }).await.unwrap(), whole);
    assert_eq!(Status::new(DataplaneStatus::default(), Vec::new()).schema_version, 1);
}

/// A server whose daemon answers every request with what was asked.
fn serving() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/gotthard.sock");
    let (calls, mut asked) = mpsc::channel::<Call>(4);
    tokio::spawn(serve(bind(&socket).unwrap(), calls, Events::default(), Meters::default()));
    tokio::spawn(async move {
        while let Some(Call { request, answer }) = asked.recv().await {
            drop(answer.send(Response::Done { message: format!("{request:?}") }));
        }
    });
    (folder, socket)
}

//! The status page over TCP: what it answers, and to whom it does not.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::net::SocketAddr;
use std::time::Duration;

use gotthard::api::messages::{Request, Response};
use gotthard::api::server::Call;
use gotthard::api::status::{ConnectionStatus, DataplaneStatus, Status};
use gotthard::api::tcp;
use gotthard::events::{Event, Events, Severity};
use gotthard::web;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[tokio::test]
async fn every_file_is_there_and_may_run_nothing_foreign() {
    let page = Page::served();
    for path in ["/", "/app.js", "/plot.js", "/style.css", "/icon.svg"] {
        let answer = page.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path}: {header}: {head}");
        }
        let foreign = body.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http:") && !foreign.contains("https:"), "{path} names another host");
        assert!(!head.contains("access-control-allow"), "{path}");
    }
    let index = page.get("/").await;
    assert!(
        !index.contains("<script>") && !index.contains("style=") && !index.contains("onclick"),
        "{index}"
    );
}

#[tokio::test]
async fn it_is_for_reading_and_for_those_who_name_an_address() {
    let page = Page::served();
    let cases = [
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "200"),
        ("HEAD / HTTP/1.1\r\nHost: localhost:8477\r\n\r\n", "200"),
        ("GET / HTTP/1.1\r\nHost: [::1]:8477\r\n\r\n", "200"),
        ("GET / HTTP/1.1\r\nHost: rebound.example:8477\r\n\r\n", "421"),
        ("GET /api/live HTTP/1.1\r\nHost: rebound.example\r\n\r\n", "421"),
        ("GET / HTTP/1.1\r\n\r\n", "421"),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", "405"),
        ("POST /v1/down HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", "405"),
        ("OPTIONS /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "405"),
        ("GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404"),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404"),
        ("GET /api/history/no/such HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404"),
        ("GET /api/history/%ff/%2e HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "4"),
        ("\0\0\0\0\r\n\r\n", "400"),
    ];
    for (request, code) in cases {
        let answer = page.ask(request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{request:?}: {answer}");
    }
    let head = page.ask("HEAD /app.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    assert!(head.ends_with("\r\n\r\n"), "a head alone: {head}");
}

#[tokio::test]
async fn the_status_and_events_are_told_live() {
    let page = Page::served();
    page.events.tell(event("before"));
    let mut stream = page.follow().await;
    let report = stream.next("report").await;
    assert_eq!(report["status"]["schema_version"], 1);
    assert_eq!(stream.next("event").await["message"], "before");
    page.events.tell(event("after"));
    assert_eq!(stream.next("event").await["message"], "after");
    stream.next("report").await;
}

#[tokio::test]
async fn who_comes_when_too_many_are_told_is_refused_and_a_place_that_is_left_is_taken() {
    let page = Page::served();
    let mut watching = Vec::new();
    for _ in 0..16 {
        let mut stream = page.follow().await;
        stream.next("report").await;
        watching.push(stream);
    }
    assert!(page.get("/api/live").await.starts_with("HTTP/1.1 503"));
    assert!(page.get("/").await.starts_with("HTTP/1.1 200"), "those who ask are not kept away");
    watching.pop();
    let again = async { while page.begin("/api/live").await.is_none() {} };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_thousand_tunnels_are_told_whole() {
    let page = Page::of(thousand());
    let report = page.follow().await.next("report").await;
    let connections = report["status"]["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 500);
    assert_eq!(connections[499]["tunnels"], connections[0]["tunnels"], "the last has what the first has");
    assert_eq!(connections[0]["tunnels"][0]["bgp"]["received"], 12);
}

#[tokio::test]
async fn the_page_ends_with_its_server_and_the_address_is_free() {
    let page = Page::served();
    let mut stream = page.follow().await;
    stream.next("report").await;
    page.task.abort();
    let ended = timeout(PATIENCE, stream.lines.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "a connection outlives the server");
    tcp::listen(page.address).unwrap();
}

/// A page, and a daemon that answers with one status.
struct Page {
    address: SocketAddr,
    events: Events,
    task: tokio::task::JoinHandle<()>,
}

/// A stream of server-sent events.
struct Stream {
    lines: BufReader<TcpStream>,
    passed: Vec<(String, Value)>,
}

impl Page {
    fn served() -> Self {
        Self::of(Status::new(DataplaneStatus::default(), Vec::new()))
    }

    /// The page of a daemon with this status.
    fn of(status: Status) -> Self {
        let (calls, mut asked) = mpsc::channel::<Call>(4);
        let events = Events::default();
        let listener = tcp::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(web::serve(listener, calls, events.clone()));
        tokio::spawn(async move {
            while let Some(Call { request, answer }) = asked.recv().await {
                assert_eq!(request, Request::Status { connection: None }, "the page asks for nothing else");
                drop(answer.send(Response::Status(Box::new(status.clone()))));
            }
        });
        Self { address, events, task }
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).await
    }

    /// The whole answer; the server closes behind it.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn follow(&self) -> Stream {
        self.begin("/api/live").await.unwrap()
    }

    /// A stream; `None`: it is refused.
    async fn begin(&self, path: &str) -> Option<Stream> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream);
        let mut first = String::new();
        timeout(PATIENCE, lines.read_line(&mut first)).await.unwrap().unwrap();
        first.contains(" 200 ").then_some(Stream { lines, passed: Vec::new() })
    }
}

impl Stream {
    /// The data of the next message of this name; those of other names are kept for later.
    async fn next(&mut self, name: &str) -> Value {
        let read = async {
            loop {
                if let Some(at) = self.passed.iter().position(|(passed, _)| passed == name) {
                    return self.passed.remove(at).1;
                }
                let message = self.read().await;
                self.passed.push(message);
            }
        };
        timeout(PATIENCE, read).await.unwrap()
    }

    /// The name and the data of a message.
    async fn read(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).await.unwrap(), 0, "the stream ended");
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim_end().to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
    }
}

/// The connection that the documents show, 500 times.
fn thousand() -> Status {
    let text = include_str!("../../docs/status.md");
    let block = text.split("```").find_map(|block| block.strip_prefix("json\n")).unwrap();
    let mut status: Status = serde_json::from_str(block).unwrap();
    let one = status.connections.remove(0);
    status.connections =
        (0..500).map(|n| ConnectionStatus { name: format!("aws-{n}"), ..one.clone() }).collect();
    status
}

fn event(message: &str) -> Event {
    Event {
        seq: 0,
        time: "2026-11-22T12:00:01.000Z".to_owned(),
        severity: Severity::Info,
        code: "GTH-EVT-01".to_owned(),
        name: "tunnel-up".to_owned(),
        cause: None,
        connection: None,
        tunnel: None,
        message: message.to_owned(),
        fields: std::collections::BTreeMap::new(),
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

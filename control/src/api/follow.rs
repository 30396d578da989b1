//! The command line's end of the stream of events.

use std::path::Path;

use http_body_util::{BodyExt as _, Empty};
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::client::{AskError, connect};
use super::events::{EVENT, MISSED};
use crate::events::Event;

/// What a follower hears.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Something happened.
    Event(Box<Event>),
    /// So many events are missing before the next.
    Missed(u64),
}

/// A stream of events; dropping it ends it.
#[derive(Debug)]
pub struct Follow {
    shown: String,
    body: Incoming,
    driver: JoinHandle<hyper::Result<()>>,
    received: Vec<u8>,
}

impl Follow {
    /// Follows from behind the event `since`.
    pub async fn open(socket: &Path, since: u64) -> Result<Self, AskError> {
        let stream = connect(socket).await?;
        let shown = socket.display().to_string();
        let opened = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let driver = tokio::spawn(connection);
            let request = hyper::Request::get(format!("/v1/events/follow?since={since}"));
            let answer = sender.send_request(request.header(HOST, "gotthard").body(Empty::<Bytes>::new())?);
            anyhow::Ok((answer.await?, driver))
        };
        match opened.await {
            Ok((answer, driver)) if answer.status() == StatusCode::OK => {
                Ok(Self { shown, body: answer.into_body(), driver, received: Vec::new() })
            }
            Ok((answer, _)) => Err(AskError::Unusable { socket: shown, why: answer.status().to_string() }),
            Err(error) => Err(AskError::Unusable { socket: shown, why: error.to_string() }),
        }
    }

    /// Waits for the next; `None`: the daemon has ended.
    pub async fn next(&mut self) -> Result<Option<News>, AskError> {
        loop {
            if let Some(message) = take_message(&mut self.received) {
                if let Some(news) = read(&message) {
                    return Ok(Some(news));
                }
                continue;
            }
            if self.received.len() > MAX_MESSAGE {
                return Err(self.unusable("a message without an end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    self.received.extend(frame.into_data().unwrap_or_default());
                }
                // A daemon that is killed ends the stream in the middle.
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }

    fn unusable(&self, why: &str) -> AskError {
        AskError::Unusable { socket: self.shown.clone(), why: why.to_owned() }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The first message: the lines up to an empty one.
fn take_message(received: &mut Vec<u8>) -> Option<String> {
    let end = received.windows(2).position(|two| two == b"\n\n")?;
    let message: Vec<u8> = received.drain(..end + 2).collect();
    Some(String::from_utf8_lossy(&message).into_owned())
}

/// What a message says; comments and what is of a later version say nothing.
fn read(message: &str) -> Option<News> {
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = field("data")?;
    match field("event")? {
        EVENT => Some(News::Event(serde_json::from_str(data).ok()?)),
        MISSED => Some(News::Missed(data.parse().ok()?)),
        _ => None,
    }
}

/// Octets of one message: an event is far smaller.
const MAX_MESSAGE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_whole_and_what_is_unknown_is_passed_over() {
        let mut received =
            b": a comment\n\nevent: missed\ndata: 7\n\nevent: new\ndata: 1\n\nevent: mis".to_vec();
        let taken: Vec<String> = core::iter::from_fn(|| take_message(&mut received)).collect();
        let news: Vec<Option<News>> = taken.iter().map(|message| read(message)).collect();
        assert_eq!(news, [None, Some(News::Missed(7)), None]);
        assert_eq!(received, b"event: mis");
    }
}

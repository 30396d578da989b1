//! The pages on TCP, metrics and status, each served where the configuration says so. The tunnels depend on neither: an
//! address that cannot be had is told once, and tried again until it can.

use core::future::Future;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::api::server::Call;
use crate::api::{metrics, tcp};
use crate::config::model::Gateway;
use crate::events::{Events, kind};
use crate::metrics::Meters;
use crate::web;

/// What the pages are made of, and where they are.
pub(super) struct Pages {
    calls: mpsc::Sender<Call>,
    meters: Meters,
    events: Events,
    metrics: Place,
    web: Place,
}

/// Where a page is, and where it ought to be.
struct Place {
    /// Its key below `[gateway]`.
    key: &'static str,
    wanted: Option<SocketAddr>,
    /// Its server; it ends with the set.
    served: Option<(SocketAddr, JoinSet<()>)>,
    /// That it cannot be served was told.
    told: bool,
}

impl Pages {
    pub(super) const fn new(calls: mpsc::Sender<Call>, meters: Meters, events: Events) -> Self {
        Self { calls, meters, events, metrics: Place::new("metrics"), web: Place::new("web") }
    }

    /// Serves the pages there from here on, or nowhere. A page that is there already stays, with its history and its readers.
    pub(super) async fn serve(&mut self, gateway: &Gateway) {
        // Both leave before either comes: one may go where the other was.
        self.metrics.want(gateway.metrics).await;
        self.web.want(gateway.web).await;
        self.retry();
    }

    /// Serves what is wanted and not served yet.
    pub(super) fn retry(&mut self) {
        let Self { calls, meters, events, metrics, web } = self;
        metrics.open(|listener| metrics::serve(listener, calls.clone(), meters.clone()));
        web.open(|listener| web::serve(listener, calls.clone(), events.clone()));
    }
}

impl Place {
    const fn new(key: &'static str) -> Self {
        Self { key, wanted: None, served: None, told: false }
    }

    /// Notes where the page ought to be, and ends it where it ought not.
    async fn want(&mut self, wanted: Option<SocketAddr>) {
        self.wanted = wanted;
        // A reload is told again what is still wrong.
        self.told = false;
        if let Some((_, mut server)) = self.served.take_if(|(address, _)| Some(*address) != wanted) {
            // The port is free when the server has ended.
            server.shutdown().await;
        }
    }

    fn open<S: Future<Output = ()> + Send + 'static>(&mut self, serve: impl FnOnce(TcpListener) -> S) {
        let Some(address) = self.wanted.filter(|_| self.served.is_none()) else { return };
        match tcp::listen(address) {
            Ok(listener) => {
                let mut server = JoinSet::new();
                server.spawn(serve(listener));
                self.served = Some((address, server));
                info!(page = self.key, %address, "a page is served");
            }
            Err(error) if !core::mem::replace(&mut self.told, true) => {
                let page = self.key;
                error!(
                    event = kind::PAGE_FAILED,
                    page,
                    %address,
                    %error,
                    "a page is not served yet: see who has the port (`ss -tlnp`), or take another"
                );
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener as Other;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::api::messages::{RefusalKind, Response};

    #[tokio::test]
    async fn a_reload_moves_a_page_ends_it_and_leaves_alone_what_stays() {
        let mut pages = pages();
        let [first, second] = free();
        pages.serve(&wanted(None, Some(first))).await;
        let mut reader = TcpStream::connect(first).await.unwrap();
        assert_eq!(at(first).await, Some(Content::Web));
        pages.serve(&wanted(Some(second), Some(first))).await;
        assert_eq!((at(first).await, at(second).await), (Some(Content::Web), Some(Content::Metrics)));
        let answer = answered(&mut reader).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "a reader outlives a reload: {answer:?}");

        pages.serve(&wanted(None, Some(second))).await;
        assert_eq!((at(first).await, at(second).await), (None, Some(Content::Web)));
        pages.serve(&wanted(None, None)).await;
        assert_eq!(at(second).await, None);
    }

    #[tokio::test]
    async fn pages_change_places() {
        let mut pages = pages();
        let [first, second] = free();
        pages.serve(&wanted(Some(first), Some(second))).await;
        pages.serve(&wanted(Some(second), Some(first))).await;
        assert_eq!((at(first).await, at(second).await), (Some(Content::Web), Some(Content::Metrics)));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_served_when_it_is_free() {
        let mut pages = pages();
        let (taken, other) = (Other::bind("127.0.0.1:0").unwrap(), Other::bind("127.0.0.1:0").unwrap());
        let (metrics, web) = (taken.local_addr().unwrap(), other.local_addr().unwrap());
        pages.serve(&wanted(Some(metrics), Some(web))).await;
        assert!(pages.metrics.told && pages.web.told && pages.metrics.served.is_none());
        drop(taken);
        pages.retry();
        assert_eq!(at(metrics).await, Some(Content::Metrics));
        assert!(pages.web.served.is_none());
        drop(other);
        pages.retry();
        assert_eq!(at(web).await, Some(Content::Web));
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Content {
        Metrics,
        Web,
    }

    /// Pages of a daemon that refuses whatever it is asked.
    fn pages() -> Pages {
        let (calls, mut asked) = mpsc::channel::<Call>(4);
        tokio::spawn(async move {
            while let Some(call) = asked.recv().await {
                drop(call.answer.send(Response::refused(RefusalKind::Failed, String::new())));
            }
        });
        Pages::new(calls, Meters::default(), Events::default())
    }

    fn wanted(metrics: Option<SocketAddr>, web: Option<SocketAddr>) -> Gateway {
        Gateway { metrics, web, ..Gateway::default() }
    }

    /// Two addresses that nobody listens on.
    fn free() -> [SocketAddr; 2] {
        let bound = [Other::bind("127.0.0.1:0").unwrap(), Other::bind("127.0.0.1:0").unwrap()];
        bound.map(|listener| listener.local_addr().unwrap())
    }

    /// The page at an address.
    async fn at(address: SocketAddr) -> Option<Content> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        // The metrics know no `/`.
        let web = answered(&mut stream).await.starts_with("HTTP/1.1 200");
        Some(if web { Content::Web } else { Content::Metrics })
    }

    /// The answer to a request for `/`.
    async fn answered(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

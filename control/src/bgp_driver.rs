//! The BGP speaker's hands: TCP to and from the peers inside the tunnels. Nothing here decides anything.
//!
//! Every socket is bound to its tunnel's device and to our inside address. Who connects from another address than the
//! configured peer's is closed at once. Queues are bounded both ways: a peer that sends faster than the loop takes is held
//! back by TCP, one that does not read loses its connection, and neither is waited for.

mod connection;
mod socket;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::debug;

pub use self::socket::Ends;
use crate::bgp::fsm::ConnectionId;

/// The TCP connections of all sessions. `K` names a tunnel.
#[derive(Debug)]
pub struct BgpDriver<K> {
    lines: BTreeMap<K, Line>,
    /// The listener that each tunnel had last: it has the address until its task has ended.
    left: BTreeMap<K, JoinHandle<()>>,
    connections: BTreeMap<(K, ConnectionId), Connection>,
    /// Tells a connection from an earlier one of the same name.
    serial: u64,
    arrivals: mpsc::Receiver<Tagged<K>>,
    inbox: mpsc::Sender<Tagged<K>>,
    /// Connections that were ended here, and of which the speaker is to hear.
    lost: VecDeque<(K, ConnectionId)>,
    /// Connections that were closed here and are not yet by the peer.
    closing: Vec<(K, JoinHandle<()>)>,
}

/// What happened.
#[derive(Debug)]
pub enum Arrival<K> {
    /// The connection that was asked for is there.
    Connected(K, ConnectionId),
    /// The peer of this tunnel has connected: to be named by [`BgpDriver::adopt`].
    Accepted(K, Accepted),
    /// Octets of the peer.
    Received(K, ConnectionId, Vec<u8>),
    /// A connection, or an attempt, has ended.
    Closed(K, ConnectionId),
}

/// A connection of the peer that has no name yet. Closed when dropped.
#[derive(Debug)]
pub struct Accepted {
    stream: TcpStream,
    /// Held until the connection is closed.
    place: OwnedSemaphorePermit,
}

/// An arrival with the serial of the connection, or of the line, that it came from.
type Tagged<K> = (u64, Arrival<K>);

/// The session's end on a tunnel that is up: it listens.
#[derive(Debug)]
struct Line {
    ends: Ends,
    serial: u64,
    listener: JoinHandle<()>,
}

#[derive(Debug)]
struct Connection {
    serial: u64,
    /// Dropping it closes the connection once everything is sent.
    outbox: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<()>,
}

impl<K: Copy + Ord + Send + Sync + 'static> BgpDriver<K> {
    /// A driver without connections.
    pub fn new() -> Self {
        let (inbox, arrivals) = mpsc::channel(ARRIVALS);
        Self {
            lines: BTreeMap::new(),
            left: BTreeMap::new(),
            connections: BTreeMap::new(),
            serial: 0,
            arrivals,
            inbox,
            lost: VecDeque::new(),
            closing: Vec::new(),
        }
    }

    /// Listens for the peer of a tunnel, once.
    pub fn listen(&mut self, tunnel: K, ends: &Ends) {
        if self.lines.get(&tunnel).is_some_and(|line| line.ends == *ends) {
            return;
        }
        self.leave(tunnel);
        let (serial, former) = (self.next_serial(), self.left.remove(&tunnel));
        let task = connection::accept(ends.clone(), former, self.inbox.clone(), serial, tunnel);
        let line = Line { ends: ends.clone(), serial, listener: tokio::spawn(task) };
        self.lines.insert(tunnel, line);
    }

    /// Listens no longer. Connections are closed by their names.
    pub fn leave(&mut self, tunnel: K) {
        if let Some(line) = self.lines.remove(&tunnel) {
            line.listener.abort();
            self.left.retain(|_, task| !task.is_finished());
            self.left.insert(tunnel, line.listener);
        }
    }

    /// Opens a connection to the peer.
    pub fn connect(&mut self, tunnel: K, id: ConnectionId) {
        let Some(ends) = self.lines.get(&tunnel).map(|line| line.ends.clone()) else {
            return self.lost.push_back((tunnel, id));
        };
        self.spawn(tunnel, id, |link| connection::open(ends, link));
    }

    /// Names a connection of the peer.
    pub fn adopt(&mut self, tunnel: K, id: ConnectionId, accepted: Accepted) {
        let Accepted { stream, place } = accepted;
        self.spawn(tunnel, id, |link| async move {
            connection::carry(stream, link).await;
            drop(place);
        });
    }

    /// Sends octets after those before. A peer that has left so much unread that there is no room loses the connection.
    pub fn send(&mut self, tunnel: K, id: ConnectionId, octets: Vec<u8>) {
        let Some(connection) = self.connections.get(&(tunnel, id)) else { return };
        match connection.outbox.try_send(octets) {
            // Of a closed one the end is on the way.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => {
                debug!("a BGP peer reads nothing: its connection ends");
                connection.task.abort();
                self.connections.remove(&(tunnel, id));
                self.lost.push_back((tunnel, id));
            }
        }
    }

    /// Closes a connection when what was to be sent is sent, or gives up an attempt.
    pub fn close(&mut self, tunnel: K, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&(tunnel, id)) {
            self.closing.retain(|(_, task)| !task.is_finished());
            self.closing.push((tunnel, connection.task));
        }
    }

    /// Waits until the peers of these tunnels have closed what was closed here, a moment at most: the tunnels are about to go,
    /// and the last word is to arrive before.
    pub async fn flush(&mut self, tunnels: &[K]) {
        let ends = self.closing.extract_if(.., |(tunnel, _)| tunnels.contains(tunnel));
        drop(timeout(FLUSH, join_all(ends.map(|(_, task)| task))).await);
    }

    /// What happened next. Nothing is lost if the future is dropped.
    pub async fn arrival(&mut self) -> Arrival<K> {
        if let Some((tunnel, id)) = self.lost.pop_front() {
            return Arrival::Closed(tunnel, id);
        }
        loop {
            // The driver holds a sender of its own: the channel does not end.
            let Some((serial, arrival)) = self.arrivals.recv().await else {
                return core::future::pending().await;
            };
            if self.is_current(serial, &arrival) {
                if let Arrival::Closed(tunnel, id) = arrival {
                    self.connections.remove(&(tunnel, id));
                }
                return arrival;
            }
        }
    }

    /// Whether it is from a connection or a line that is still there.
    fn is_current(&self, serial: u64, arrival: &Arrival<K>) -> bool {
        let known = match arrival {
            Arrival::Accepted(tunnel, _) => self.lines.get(tunnel).map(|line| line.serial),
            Arrival::Connected(tunnel, id)
            | Arrival::Received(tunnel, id, _)
            | Arrival::Closed(tunnel, id) => self.connections.get(&(*tunnel, *id)).map(|c| c.serial),
        };
        known == Some(serial)
    }

    fn spawn<F>(&mut self, tunnel: K, id: ConnectionId, task: impl FnOnce(connection::Link<K>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (outbox, queue) = mpsc::channel(OUTBOX);
        let serial = self.next_serial();
        let link = connection::Link { tunnel, id, serial, inbox: self.inbox.clone(), queue };
        let task = tokio::spawn(task(link));
        self.connections.insert((tunnel, id), Connection { serial, outbox, task });
    }

    const fn next_serial(&mut self) -> u64 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }
}

impl<K: Copy + Ord + Send + Sync + 'static> Default for BgpDriver<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// Arrivals that wait for the loop, of all peers: those who wait for room get it in turn, so that one who sends much does
/// not keep the others waiting for longer than these take.
const ARRIVALS: usize = 8;
/// How long the daemon may wait for the peers' last word: a round trip of any path that a VPN is run over.
const FLUSH: Duration = Duration::from_millis(300);
/// Messages that wait for a peer to read: twice what 10,000 prefixes take, and 1 MiB at most.
const OUTBOX: usize = 256;

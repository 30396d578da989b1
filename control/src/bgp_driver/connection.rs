//! The task of one TCP connection, and that of a listener.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::socket::Ends;
use super::{Accepted, Arrival, Tagged};
use crate::bgp::fsm::ConnectionId;
use crate::log::limit::OUTSIDE;

/// A connection's side of its queues.
pub(super) struct Link<K> {
    pub(super) tunnel: K,
    pub(super) id: ConnectionId,
    pub(super) serial: u64,
    pub(super) inbox: mpsc::Sender<Tagged<K>>,
    /// What is to be sent. Its end is the connection's.
    pub(super) queue: mpsc::Receiver<Vec<u8>>,
}

impl<K: Copy> Link<K> {
    /// Tells the loop; waits while it has no room.
    async fn tell(&self, arrival: Arrival<K>) {
        // Without a receiver the daemon is at its end.
        drop(self.inbox.send((self.serial, arrival)).await);
    }
}

/// Accepts the peer, up to [`PLACES`] times at once, and closes whoever else connects. `former` listened before, and has been
/// told to end.
pub(super) async fn accept<K: Copy>(
    ends: Ends,
    former: Option<JoinHandle<()>>,
    inbox: mpsc::Sender<Tagged<K>>,
    serial: u64,
    tunnel: K,
) {
    if let Some(former) = former {
        // It was cancelled: that is no news.
        drop(former.await);
    }
    let listener = listen(&ends).await;
    let places = Arc::new(Semaphore::new(PLACES));
    // Nobody closes the semaphore.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, from)) if from.ip() == ends.peer => {
                let accepted = Accepted { stream, place };
                if inbox.send((serial, Arrival::Accepted(tunnel, accepted))).await.is_err() {
                    return;
                }
            }
            Ok((_, from)) => debug!(target: OUTSIDE, %from, "not the BGP peer: closed"),
            Err(error) => {
                debug!(target: OUTSIDE, %error, "accepting a BGP connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A listener, as soon as there can be one: another daemon on this host may have port 179. We connect meanwhile.
async fn listen(ends: &Ends) -> TcpListener {
    let mut told = false;
    loop {
        match ends.listener() {
            Ok(listener) => return listener,
            Err(error) if !told => {
                warn!(?ends, %error, "the BGP peer cannot connect to us: no listener on port 179, trying on");
                told = true;
            }
            Err(error) => debug!(?ends, %error, "no listener on port 179"),
        }
        sleep(LISTEN_PAUSE).await;
    }
}

/// Opens a connection and carries it. An attempt that is given up ends with its queue.
pub(super) async fn open<K: Copy>(ends: Ends, mut link: Link<K>) {
    let connected = tokio::select! {
        connected = ends.connect() => connected,
        // Nothing is sent before there is a connection: this is the end.
        _ = link.queue.recv() => return,
    };
    match connected {
        Ok(stream) => {
            link.tell(Arrival::Connected(link.tunnel, link.id)).await;
            carry(stream, link).await;
        }
        Err(error) => {
            debug!(peer = %ends.peer, %error, "no BGP connection");
            link.tell(Arrival::Closed(link.tunnel, link.id)).await;
        }
    }
}

/// Carries a connection until one of its ends closes it.
pub(super) async fn carry<K: Copy>(stream: TcpStream, mut link: Link<K>) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "messages may wait for one another");
    }
    let (mut reader, mut writer) = stream.into_split();
    let closed_here = tokio::select! {
        () = read(&mut reader, link.tunnel, link.id, link.serial, &link.inbox) => false,
        written = write(&mut writer, &mut link.queue) => written.is_ok(),
    };
    if closed_here {
        farewell(reader, writer).await;
    } else {
        link.tell(Arrival::Closed(link.tunnel, link.id)).await;
    }
}

/// Hands over what the peer sends, until it closes.
async fn read<K: Copy>(
    reader: &mut OwnedReadHalf,
    tunnel: K,
    id: ConnectionId,
    serial: u64,
    inbox: &mpsc::Sender<Tagged<K>>,
) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(len @ 1..) = reader.read(&mut buffer).await {
        let octets = buffer.get(..len).unwrap_or_default().to_vec();
        if inbox.send((serial, Arrival::Received(tunnel, id, octets))).await.is_err() {
            return;
        }
    }
}

/// Sends what is queued, until the queue ends.
async fn write(writer: &mut OwnedWriteHalf, queue: &mut mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let octets = batch.concat();
        batch.clear();
        timeout(SEND_HOLD, writer.write_all(&octets)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
    Ok(())
}

/// Waits briefly for the peer to close too: a connection that is closed with octets unread is reset, and a reset overtakes
/// the NOTIFICATION before it.
async fn farewell(mut reader: OwnedReadHalf, mut writer: OwnedWriteHalf) {
    let end = async {
        writer.shutdown().await?;
        let mut buffer = vec![0; CHUNK];
        while reader.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    };
    // Whoever does not answer is left to the kernel.
    drop(timeout(FAREWELL, end).await);
}

/// Connections that a peer may have opened: one that is established, one to take its place, and two that are being closed. A
/// closed one lingers, and without a bound a peer that opens one after the other would take all our descriptors.
const PLACES: usize = 4;
/// Octets that are handed to the loop at once: what a turn of it may cost.
const CHUNK: usize = 16 << 10;
/// Messages that are written at once.
const BATCH: usize = 16;
/// How long a peer may read nothing (RFC 9687 §4.4): its hold time, which such a peer has the keepalives for, is not ours.
const SEND_HOLD: Duration = Duration::from_mins(8);
/// How long a peer that was told of the end has to close.
const FAREWELL: Duration = Duration::from_secs(2);
/// Rest after a failed accept, so that a lasting error does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time between two attempts at a listener.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

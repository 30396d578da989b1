//! The socket of one tunnel's echoes, and the task that reads the replies. What they are is in [`super::echo`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tracing::debug;

use super::echo::{self, Family, Framing, Token};

/// An open socket; dropping it ends its task.
#[derive(Debug)]
pub struct EchoSocket {
    /// An ICMP socket: what is called UDP here is tokio's word for one that receives datagrams.
    socket: Arc<UdpSocket>,
    family: Family,
    token: Token,
    reader: JoinHandle<()>,
}

impl EchoSocket {
    /// Opens a socket from our inside address to the peer's, through `device` whatever the routes say. `deliver` is called
    /// with the sequence number of each reply to one of our echoes.
    pub fn open(
        device: &str,
        (ours, peers): (IpAddr, IpAddr),
        token: Token,
        deliver: impl Fn(u16) + Send + 'static,
    ) -> io::Result<Self> {
        let (family, protocol) = match peers {
            IpAddr::V4(_) => (Family::V4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Family::V6, Protocol::ICMPV6),
        };
        let (socket, framing) = make(family, Domain::for_address(SocketAddr::new(peers, 0)), protocol)?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(device.as_bytes()))?;
        socket.bind(&SocketAddr::new(ours, 0).into())?;
        socket.connect(&SocketAddr::new(peers, 0).into())?;
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        let reader = tokio::spawn(read(Arc::clone(&socket), (family, framing, token), deliver));
        Ok(Self { socket, family, token, reader })
    }

    /// Sends an echo. One that is not sent is one that is not answered.
    pub fn send(&self, sequence: u16) -> io::Result<()> {
        let request = echo::request(self.family, IDENTIFIER, sequence, self.token);
        // Past tokio's notion of readiness: it calls a socket unwritable until the first turn of the event loop.
        SockRef::from(&*self.socket).send(&request).map(drop)
    }
}

impl Drop for EchoSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A ping socket where we are permitted one, because the kernel gives it nothing but replies to its own requests.
fn make(family: Family, domain: Domain, protocol: Protocol) -> io::Result<(Socket, Framing)> {
    if let Ok(socket) = Socket::new(domain, Type::DGRAM, Some(protocol)) {
        return Ok((socket, Framing::Bare));
    }
    let framing = match family {
        Family::V4 => Framing::Ipv4Header,
        Family::V6 => Framing::Bare,
    };
    Ok((Socket::new(domain, Type::RAW, Some(protocol))?, framing))
}

async fn read(
    socket: Arc<UdpSocket>,
    (family, framing, token): (Family, Framing, Token),
    deliver: impl Fn(u16),
) {
    let mut buffer = [0; BUFFER];
    while socket.readable().await.is_ok() {
        for _ in 0..TURN {
            match socket.try_recv(&mut buffer) {
                Ok(length) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    if let Some(sequence) = echo::reply(family, framing, datagram, token) {
                        deliver(sequence);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // ICMP errors of earlier sends surface here, and so does the end of the device.
                Err(error) => {
                    debug!(%error, "receiving echo replies");
                    break;
                }
            }
        }
        // A raw socket sees all ICMP of the peer: however much that is, the loop beside us has its turn.
        tokio::time::sleep(REST).await;
    }
}

/// Of every request; a ping socket puts its own there. Replies are told by their token.
const IDENTIFIER: u16 = 0x6774;
/// Octets that are read of a datagram: an IPv4 header with all options, and more than a reply of ours, so that one which
/// is longer does not pass for it.
const BUFFER: usize = 128;
/// Datagrams that are read at once.
const TURN: usize = 32;
/// Rest between two turns.
const REST: Duration = Duration::from_millis(1);

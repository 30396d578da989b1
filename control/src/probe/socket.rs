//! Sockets for echoes, and the task that reads the replies of one tunnel's. What they are is in [`super::echo`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tracing::debug;

use super::echo::{self, Family, Framing, IDENTIFIER, PADDED_ROOM, TOKEN, Token};

impl Token {
    /// What nobody can guess.
    pub fn random() -> io::Result<Self> {
        let mut token = [0; TOKEN];
        getrandom::fill(&mut token).map_err(io::Error::other)?;
        Ok(Self(token))
    }
}

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
    /// with the sequence number of each reply to one of our echoes, and with its size where it was padded.
    pub fn open(
        device: &str,
        (ours, peers): (IpAddr, IpAddr),
        token: Token,
        deliver: impl Fn(u16, Option<u16>) + Send + 'static,
    ) -> io::Result<Self> {
        let (socket, family, framing) = open(Some(device), Some(ours), peers)?;
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        let reader = tokio::spawn(read(Arc::clone(&socket), (family, framing, token), deliver));
        Ok(Self { socket, family, token, reader })
    }

    /// Sends an echo. One that is not sent is one that is not answered.
    pub fn send(&self, sequence: u16) -> io::Result<()> {
        self.send_message(&echo::request(self.family, IDENTIFIER, sequence, self.token))
    }

    /// Sends an echo in an IP packet of this size.
    pub fn send_padded(&self, sequence: u16, size: u16) -> io::Result<()> {
        self.send_message(&echo::padded_request(self.family, IDENTIFIER, sequence, self.token, size))
    }

    fn send_message(&self, message: &[u8]) -> io::Result<()> {
        // Past tokio's notion of readiness: it calls a socket unwritable until the first turn of the event loop.
        SockRef::from(&*self.socket).send(message).map(drop)
    }
}

impl Drop for EchoSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Opens a socket that does not block for echoes to `target`, and says what it speaks and delivers. `device`, `source`:
/// `None` leaves them to the kernel's routes.
pub fn open(
    device: Option<&str>,
    source: Option<IpAddr>,
    target: IpAddr,
) -> io::Result<(Socket, Family, Framing)> {
    let (family, protocol, raw) = match target {
        IpAddr::V4(_) => (Family::V4, Protocol::ICMPV4, Framing::Ipv4Header),
        IpAddr::V6(_) => (Family::V6, Protocol::ICMPV6, Framing::Bare),
    };
    let target = SocketAddr::new(target, 0);
    let domain = Domain::for_address(target);
    // A ping socket where we are permitted one: the kernel gives it nothing but replies to its own requests.
    let (socket, framing) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, Framing::Bare),
        Err(_) => (Socket::new(domain, Type::RAW, Some(protocol))?, raw),
    };
    socket.set_nonblocking(true)?;
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect(&target.into())?;
    Ok((socket, family, framing))
}

async fn read(
    socket: Arc<UdpSocket>,
    (family, framing, token): (Family, Framing, Token),
    deliver: impl Fn(u16, Option<u16>),
) {
    let mut buffer = vec![0; PADDED_ROOM];
    while socket.readable().await.is_ok() {
        for _ in 0..TURN {
            match socket.try_recv(&mut buffer) {
                Ok(length) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    if let Some(reply) = echo::padded_reply(family, framing, datagram, token) {
                        deliver(reply.sequence, reply.padded_size(family));
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

/// Datagrams that are read at once.
const TURN: usize = 32;
/// Rest between two turns.
const REST: Duration = Duration::from_millis(1);

//! The sockets of a session: bound to the tunnel, and closed to everybody but the peer.

use core::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use gotthard_dataplane::sys::sockopt;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use zeroize::Zeroizing;

/// Both ends of a session, and the tunnel between them.
#[derive(Clone, PartialEq, Eq)]
pub struct Ends {
    /// Our address inside the tunnel.
    pub ours: IpAddr,
    /// The peer's.
    pub peer: IpAddr,
    /// The tunnel's device.
    pub device: String,
    /// Packets of the peer must not have crossed a router (GTSM, RFC 5082).
    pub ttl_security: bool,
    /// The key that segments are signed with (RFC 2385).
    pub password: Option<Zeroizing<Vec<u8>>>,
}

/// Without the password.
impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, peer, device, .. } = self;
        write!(f, "{ours} to {peer} on {device}")
    }
}

impl Ends {
    /// A listener on our end.
    pub(super) fn listener(&self) -> io::Result<TcpListener> {
        let socket = self.socket()?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::new(self.ours, PORT).into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    }

    /// A connection to the peer's end.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let socket = self.socket()?;
        socket.bind(&SocketAddr::new(self.ours, 0).into())?;
        let socket = TcpSocket::from_std_stream(socket.into());
        socket.connect(SocketAddr::new(self.peer, PORT)).await
    }

    fn socket(&self) -> io::Result<Socket> {
        let socket = Socket::new(
            Domain::for_address(SocketAddr::new(self.ours, 0)),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(self.device.as_bytes()))?;
        // Messages are few and waited for.
        socket.set_tcp_nodelay(true)?;
        if self.ttl_security {
            sockopt::accept_neighbours_only(&socket, self.ours)?;
        }
        if let Some(password) = &self.password {
            sockopt::sign_segments(&socket, self.peer, password)?;
        }
        Ok(socket)
    }
}

/// RFC 4271 §8.2.1.
const PORT: u16 = 179;
/// Connections that wait to be accepted: a peer needs one.
const BACKLOG: i32 = 4;

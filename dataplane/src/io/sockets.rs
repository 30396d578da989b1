//! The outer sockets: UDP 4500 (RFC 3948) and IP protocol 50 (RFC 4303), for IPv4 and IPv6. Opened once, used by every
//! worker.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::sockopt::{self as option, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Protocol, Socket as Socket2, Type};

use super::linger::outlast;
use super::{Route, SocketId, Wire};
use crate::sys::sockopt;

/// One outer socket.
#[derive(Debug)]
pub struct Socket {
    inner: Socket2,
    local: SocketAddr,
    wire: Wire,
    segments: AtomicBool,
    coalesces: bool,
}

/// All outer sockets.
#[derive(Debug)]
pub struct Sockets(Vec<Socket>);

impl Sockets {
    /// Opens a UDP socket on each of `udp`, and sockets for protocol 50 where that is permitted.
    ///
    /// IPv6 may be switched off on a host: an unspecified IPv6 address that cannot be bound is passed over. Without
    /// `offloads`, or where the kernel has none, each datagram is sent and received alone.
    pub fn open(udp: &[SocketAddr], offloads: bool) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for address in udp {
            match Socket::udp(*address, offloads) {
                Ok(socket) => sockets.push(socket),
                Err(error) if address.is_ipv6() && address.ip().is_unspecified() => {
                    tracing::info!(%address, %error, "no UDP over IPv6");
                }
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("UDP {address}: {error}")));
                }
            }
        }
        for ip in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            match Socket::esp(ip) {
                Ok(socket) => sockets.push(socket),
                Err(error) => tracing::info!(%ip, %error, "no ESP without UDP here"),
            }
        }
        Ok(Self(sockets))
    }

    /// The socket and addresses for datagrams between these: the socket bound to its local address, else one bound to any.
    pub fn route(&self, wire: Wire, local: SocketAddr, mut remote: SocketAddr) -> Option<Route> {
        if wire == Wire::Esp {
            remote.set_port(0);
        }
        let fits = |s: &Socket| {
            s.wire == wire
                && s.local.is_ipv4() == remote.is_ipv4()
                && local.is_ipv4() == remote.is_ipv4()
                && (s.wire == Wire::Esp || s.local.port() == local.port())
        };
        let bound = self.0.iter().position(|s| fits(s) && s.local.ip() == local.ip());
        let any = || self.0.iter().position(|s| fits(s) && s.local.ip().is_unspecified());
        Some(Route { socket: SocketId(bound.or_else(any)?), local: local.ip(), remote })
    }

    /// One of them.
    pub fn socket(&self, id: SocketId) -> Option<&Socket> {
        self.0.get(id.0)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (SocketId, &Socket)> {
        self.0.iter().enumerate().map(|(index, socket)| (SocketId(index), socket))
    }
}

impl Socket {
    fn udp(address: SocketAddr, offloads: bool) -> io::Result<Self> {
        let inner = Socket2::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        let socket = Self::prepare(inner, address, Wire::Udp)?;
        let segments = offloads && sockopt::segments_udp(&socket.inner);
        let coalesces = offloads && sockopt::coalesce_udp(&socket.inner);
        Ok(Self { segments: AtomicBool::new(segments), coalesces, ..socket })
    }

    fn esp(ip: IpAddr) -> io::Result<Self> {
        let address = SocketAddr::new(ip, 0);
        let inner = Socket2::new(Domain::for_address(address), Type::RAW, Some(Protocol::from(ESP)))?;
        Self::prepare(inner, address, Wire::Esp)
    }

    fn prepare(inner: Socket2, address: SocketAddr, wire: Wire) -> io::Result<Self> {
        inner.set_nonblocking(true)?;
        if address.is_ipv4() {
            sockopt::receive_packet_info_v4(&inner)?;
            option::set_ip_recvtos(&inner, true)?;
        } else {
            if wire == Wire::Udp {
                // A raw socket is of one family, and refuses to be told so.
                inner.set_only_v6(true)?;
            }
            sockopt::receive_packet_info_v6(&inner)?;
            option::set_ipv6_recvtclass(&inner, true)?;
        }
        grow_buffers(&inner);
        outlast(libc::EADDRINUSE, || inner.bind(&address.into()))?;
        // With port 0 the kernel chooses.
        let local = inner.local_addr()?.as_socket().unwrap_or(address);
        let socket = Self { inner, local, wire, segments: AtomicBool::new(false), coalesces: false };
        socket.never_fragment(true)?;
        Ok(socket)
    }

    /// DF on all that is sent: clouds drop fragments, so a packet that does not fit must be refused inside the tunnel. The
    /// kernel's path MTU is not asked, because anybody can forge the ICMP that lowers it.
    pub fn never_fragment(&self, never: bool) -> io::Result<()> {
        if self.local.is_ipv4() {
            let discover = if never { Ipv4PathMtuDiscovery::PROBE } else { Ipv4PathMtuDiscovery::DONT };
            option::set_ip_mtu_discover(&self.inner, discover)?;
        } else {
            let discover = if never { Ipv6PathMtuDiscovery::PROBE } else { Ipv6PathMtuDiscovery::DONT };
            option::set_ipv6_mtu_discover(&self.inner, discover)?;
        }
        Ok(())
    }

    /// The address it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What it carries.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// Octets before the payload of what it received: an IPv4 raw socket delivers the IP header (raw(7)), others do not.
    pub fn header_len(&self, received: &[u8]) -> usize {
        let has_header = self.wire == Wire::Esp && self.local.is_ipv4();
        received.first().filter(|_| has_header).map_or(0, |first| usize::from(first & 0x0f) * 4)
    }

    /// Whether the kernel cuts one send into datagrams.
    pub fn segments(&self) -> bool {
        self.segments.load(Ordering::Relaxed)
    }

    /// Whether the kernel gives several datagrams as one.
    pub fn coalesces(&self) -> bool {
        self.coalesces
    }

    /// The device refused to cut: each datagram is a message of its own from here on.
    pub fn stop_segments(&self) {
        self.segments.store(false, Ordering::Relaxed);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// Room for bursts: past the system's limit where we may, up to it otherwise.
fn grow_buffers(socket: &Socket2) {
    let forced = option::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER).is_ok()
        && option::set_socket_send_buffer_size_force(socket, SOCKET_BUFFER).is_ok();
    if !forced {
        // Either fails only for a bad descriptor, and then the bind that follows says so.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    }
}

/// IP protocol number of ESP (RFC 4303 §2).
const ESP: i32 = 50;

/// What each socket asks for in each direction, in octets. 8 MiB: at 5 Gbps some 13 ms.
pub const SOCKET_BUFFER: usize = 8 << 20;

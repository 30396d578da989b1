//! UDP 4500: IKE behind its non-ESP marker (RFC 3948 §2.2).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use gotthard_ike::Transmit;

/// A socket, and room for a datagram.
pub(super) struct Port {
    socket: UdpSocket,
    local: SocketAddr,
    buffer: Vec<u8>,
}

impl Port {
    pub(super) fn new(socket: UdpSocket) -> Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { local: socket.local_addr()?, socket, buffer: vec![0; usize::from(u16::MAX)] })
    }

    /// A datagram that does not leave is one that is lost: it is sent again.
    pub(super) fn send(&mut self, transmit: &Transmit) {
        let mut datagram = MARKER.to_vec();
        datagram.extend_from_slice(&transmit.payload);
        // Nobody answers for it here.
        let _ = self.socket.send_to(&datagram, transmit.remote);
    }

    /// An IKE message that is there, with its two addresses.
    pub(super) fn receive(&mut self) -> Result<Option<(SocketAddr, SocketAddr, &[u8])>> {
        loop {
            let (len, remote) = match self.socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // What an earlier send met.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error.into()),
            };
            if self.buffer[..len].starts_with(&MARKER) {
                return Ok(Some((self.local, remote, &self.buffer[MARKER.len()..len])));
            }
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// IKE beside ESP in UDP.
pub(super) const NATT_PORT: u16 = 4500;
const MARKER: [u8; 4] = [0; 4];

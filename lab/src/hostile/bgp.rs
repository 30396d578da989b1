//! A BGP speaker that says what it is told to, right or wrong: malformed attributes (H30), too many prefixes and too many
//! changes (H32), OPENs that nobody should accept (H33).
//!
//! It writes octets and not routes: nothing of the gateway's own codec is in it.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::{Netns, wait};

/// Where it waits for the gateway.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
}

/// One connection with the gateway.
#[derive(Debug)]
pub struct Speaker {
    stream: TcpStream,
    pending: Vec<u8>,
}

/// A message: its type and what is behind its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Type.
    pub kind: u8,
    /// What is behind the header.
    pub body: Vec<u8>,
}

/// An OPEN.
#[derive(Clone, Debug)]
pub struct Open {
    /// AS number, of two octets and in the capability of four.
    pub asn: u16,
    /// Hold time.
    pub hold_time: u16,
    /// BGP Identifier.
    pub identifier: Ipv4Addr,
    /// Capabilities besides: code and value.
    pub capabilities: Vec<(u8, Vec<u8>)>,
}

impl Port {
    /// Opens port 179 of an address in a host.
    pub fn open(host: &Netns, address: Ipv4Addr) -> Result<Self> {
        let bind = || TcpListener::bind((address, PORT)).with_context(|| format!("port 179 of {address}"));
        let listener = host.enter(bind)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// The gateway's next connection.
    pub fn accept(&self, deadline: Duration) -> Result<Speaker> {
        wait::until(deadline, "the gateway to connect", || match self.listener.accept() {
            Ok((stream, _)) => Speaker::new(stream).map(Some),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    /// The gateway's next session, established with an OPEN.
    pub fn establish(&self, open: &Open, deadline: Duration) -> Result<Speaker> {
        let until = Instant::now() + deadline;
        loop {
            let mut speaker = self.accept(until.saturating_duration_since(Instant::now()))?;
            match speaker.greet(open) {
                Ok(()) => return Ok(speaker),
                // A connection of the gateway that it gave up meanwhile.
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => {}
            }
        }
    }
}

impl Speaker {
    /// Connects to the gateway from an address of a host.
    pub fn connect(host: &Netns, from: Ipv4Addr, to: Ipv4Addr) -> Result<Self> {
        let connect = || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((from, 0)).into())?;
            socket.connect_timeout(&SocketAddr::from((to, PORT)).into(), PATIENCE)?;
            Ok(TcpStream::from(socket))
        };
        Self::new(host.enter(connect)?)
    }

    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, pending: Vec::new() })
    }

    /// Establishes the session.
    pub fn greet(&mut self, open: &Open) -> Result<()> {
        self.send(&open.emit())?;
        self.send(&message(KEEPALIVE, &[]))?;
        [OPEN, KEEPALIVE].into_iter().try_for_each(|kind| self.expect(kind))
    }

    /// Takes the gateway's next message, which is of this kind.
    pub fn expect(&mut self, expected: u8) -> Result<()> {
        let Some(Message { kind, body }) = self.read(PATIENCE)? else {
            bail!("closed before message {expected}")
        };
        ensure!(kind == expected, "message {kind} {body:?} in place of {expected}");
        Ok(())
    }

    /// Sends octets.
    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(octets)?)
    }

    /// Sends a KEEPALIVE.
    pub fn keepalive(&mut self) -> Result<()> {
        self.send(&message(KEEPALIVE, &[]))
    }

    /// The gateway's next message; `None`: it has closed.
    pub fn read(&mut self, deadline: Duration) -> Result<Option<Message>> {
        let until = Instant::now() + deadline;
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            let left = until.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "waited {deadline:?} for a message");
            self.stream.set_read_timeout(Some(left))?;
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(octets) => self.pending.extend_from_slice(&buffer[..octets]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Code and subcode of the NOTIFICATION that ends the session; what comes before it is passed over.
    pub fn notification(&mut self, deadline: Duration) -> Result<(u8, u8)> {
        loop {
            let Message { kind, body } = self.read(deadline)?.context("closed without a NOTIFICATION")?;
            if kind == NOTIFICATION {
                // Of a Hard Reset the reason is inside (RFC 8538 §3.1).
                let reason = body.strip_prefix(&HARD_RESET).unwrap_or(&body);
                let (code, subcode) = (reason.first(), reason.get(1));
                return code.copied().zip(subcode.copied()).context("a NOTIFICATION without a reason");
            }
        }
    }

    /// Whether the session is alive: an answer to a ROUTE-REFRESH comes, which is the gateway's offer once more.
    pub fn expect_alive(&mut self) -> Result<()> {
        while self.take().is_some() {}
        self.send(&message(ROUTE_REFRESH, &[0, 1, 0, 1]))?;
        loop {
            match self.read(PATIENCE)?.context("the session was ended")? {
                Message { kind: UPDATE, .. } => return Ok(()),
                Message { kind: KEEPALIVE, .. } => {}
                Message { kind, body } => bail!("message {kind} {body:?} in place of an UPDATE"),
            }
        }
    }

    fn take(&mut self) -> Option<Message> {
        let length = usize::from(u16::from_be_bytes(*self.pending.get(16..)?.first_chunk()?));
        let body = self.pending.get(HEADER..length)?.to_vec();
        let kind = self.pending[18];
        self.pending.drain(..length);
        Some(Message { kind, body })
    }
}

impl Open {
    /// The OPEN of a peer with nothing wrong about it.
    pub const fn good(asn: u16, identifier: Ipv4Addr) -> Self {
        Self { asn, hold_time: 30, identifier, capabilities: Vec::new() }
    }

    /// The message. Capabilities that do not fit into the short form go into the long one (RFC 9072).
    pub fn emit(&self) -> Vec<u8> {
        let [high, low] = self.asn.to_be_bytes();
        let mut capabilities = vec![2, 0, 65, 4, 0, 0, high, low];
        for (code, value) in &self.capabilities {
            capabilities.extend([*code, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
            capabilities.extend(value);
        }
        let parameters = match u8::try_from(capabilities.len()) {
            Ok(length) if length < 250 => [&[length + 2, 2, length], &capabilities[..]].concat(),
            _ => {
                let [inner, outer] = [0, 3].map(|more| length16(capabilities.len() + more));
                [&[255, 255], &outer[..], &[2], &inner, &capabilities].concat()
            }
        };
        let fixed = [&[4, high, low][..], &self.hold_time.to_be_bytes(), &self.identifier.octets()].concat();
        message(OPEN, &[fixed, parameters].concat())
    }
}

/// A message around a body.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff; 16][..], &length16(HEADER + body.len()), &[kind], body].concat()
}

/// An UPDATE (RFC 4271 §4.3).
pub fn update(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let body = [&length16(withdrawn.len())[..], withdrawn, &length16(attributes.len()), attributes, nlri];
    message(UPDATE, &body.concat())
}

/// A path attribute, with a length of two octets where it needs one.
pub fn attribute(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    match u8::try_from(value.len()) {
        Ok(length) => [&[flags, kind, length], value].concat(),
        Err(_) => [&[flags | 0x10, kind][..], &length16(value.len()), value].concat(),
    }
}

/// ORIGIN, AS_PATH and NEXT_HOP as they should be.
pub fn mandatory(asn: u16, next_hop: Ipv4Addr) -> [Vec<u8>; 3] {
    let [high, low] = asn.to_be_bytes();
    [
        attribute(0x40, 1, &[0]),
        attribute(0x40, 2, &[2, 1, 0, 0, high, low]),
        attribute(0x40, 3, &next_hop.octets()),
    ]
}

/// 10.HIGH.LOW.0/24 as NLRI.
pub fn nlri(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [24, 10, high, low]
}

fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// OPEN.
pub const OPEN: u8 = 1;
/// UPDATE.
pub const UPDATE: u8 = 2;
/// NOTIFICATION.
pub const NOTIFICATION: u8 = 3;
/// KEEPALIVE.
pub const KEEPALIVE: u8 = 4;
/// ROUTE-REFRESH.
pub const ROUTE_REFRESH: u8 = 5;
/// Octets of a header.
pub const HEADER: usize = 19;

const PORT: u16 = 179;
const HARD_RESET: [u8; 2] = [6, 9];
/// An answer is there in milliseconds, on a busy machine in a second.
const PATIENCE: Duration = Duration::from_secs(10);

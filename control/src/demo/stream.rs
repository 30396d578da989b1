//! How fast one TCP stream is, as an application sees it.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::task::spawn_blocking;

use super::host::Host;

/// Octets that arrived, and in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Octets of payload.
    pub(super) octets: u64,
    /// The time it took.
    pub(super) elapsed: Duration,
}

impl Rate {
    /// Gigabits a second.
    pub(super) fn gbps(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
        let bits = self.octets as f64 * 8.0;
        bits / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE) / 1e9
    }
}

/// Sends one stream from an address of one host to an address of another for [`DURATION`].
pub(super) async fn measure(from: (&Host, IpAddr), to: (&Host, IpAddr)) -> anyhow::Result<Rate> {
    let (local, remote) = (SocketAddr::new(from.1, 0), SocketAddr::new(to.1, PORT));
    let listener = to.0.run(move || TcpListener::bind(remote)).await?.context("listening")?;
    let sender =
        from.0.run(move || connect(local, remote)).await?.context("connecting through the tunnel")?;
    let (receiver, _) = listener.accept()?;
    // It ends by itself when the receiver has closed.
    spawn_blocking(move || send(sender));
    spawn_blocking(move || receive(receiver)).await?.context("the stream through the tunnel")
}

fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&local.into())?;
    socket.connect_timeout(&remote.into(), STALL)?;
    Ok(socket.into())
}

/// Writes until the receiver has had enough.
fn send(mut stream: TcpStream) -> io::Result<()> {
    stream.set_write_timeout(Some(STALL))?;
    let block = vec![0; BLOCK];
    loop {
        stream.write_all(&block)?;
    }
}

/// Reads and counts what comes after the stream has found its speed.
fn receive(mut stream: TcpStream) -> io::Result<Rate> {
    stream.set_read_timeout(Some(STALL))?;
    let mut block = vec![0; BLOCK];
    let start = Instant::now();
    while start.elapsed() < WARM_UP {
        read_some(&mut stream, &mut block)?;
    }
    let (start, mut octets) = (Instant::now(), 0);
    while start.elapsed() < DURATION {
        octets += read_some(&mut stream, &mut block)?;
    }
    Ok(Rate { octets, elapsed: start.elapsed() })
}

fn read_some(stream: &mut TcpStream, block: &mut [u8]) -> io::Result<u64> {
    match stream.read(block)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        n => Ok(n as u64),
    }
}

/// How long a stream is measured.
pub(super) const DURATION: Duration = Duration::from_secs(3);
/// How long it runs before, so that slow start does not count.
const WARM_UP: Duration = Duration::from_millis(500);
/// A stream that stands still for so long is broken.
const STALL: Duration = Duration::from_secs(5);
const BLOCK: usize = 256 << 10;
const PORT: u16 = 5001;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bits_by_time() {
        let rate = Rate { octets: 468_750_000, elapsed: Duration::from_secs(3) };
        assert!((rate.gbps() - 1.25).abs() < 1e-9);
        assert!(Rate { octets: 0, elapsed: Duration::ZERO }.gbps().abs() < f64::EPSILON);
    }
}

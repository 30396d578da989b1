//! Many TCP streams that send in turn, a super-packet each: traffic on many SAs, where no two batches in a row are of one SA.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use socket2::{Domain, Socket, Type};

use super::bed::{Bed, Side};

/// How many streams.
pub(crate) const FLOWS: u16 = 1000;

/// The address of a stream's end: one a stream, so that each can have a tunnel of its own.
pub(super) fn address(side: Side, flow: u16) -> Ipv4Addr {
    let [a, b, _, _] = side.inner().octets();
    let [high, low] = (flow + 1).to_be_bytes();
    Ipv4Addr::new(a, b, high + 1, low)
}

/// Sends from left to right for some seconds; returns bits a second, and bits.
pub(super) fn run(bed: &Bed, seconds: u32) -> Result<(f64, f64)> {
    let (senders, receivers) = connect(bed)?;
    let done = AtomicBool::new(false);
    let start = Instant::now();
    let bytes = thread::scope(|scope| {
        let sending = senders.into_iter().map(|streams| scope.spawn(|| send(streams, &done)));
        let sending: Vec<_> = sending.collect();
        let receiving: Vec<_> =
            receivers.into_iter().map(|streams| scope.spawn(|| receive(streams, &done))).collect();
        thread::sleep(Duration::from_secs(seconds.into()));
        done.store(true, Ordering::Relaxed);
        let mut bytes = 0_u64;
        for thread in receiving {
            bytes += thread.join().map_err(|_| anyhow!("a receiver panicked"))??;
        }
        for thread in sending {
            thread.join().map_err(|_| anyhow!("a sender panicked"))??;
        }
        anyhow::Ok(bytes)
    })?;
    let bits = bytes as f64 * 8.0;
    Ok((bits / start.elapsed().as_secs_f64(), bits))
}

/// The streams of each thread, sending and receiving ends in the same order.
type Streams = Vec<Vec<TcpStream>>;

fn connect(bed: &Bed) -> Result<(Streams, Streams)> {
    let listener = bed.right.enter(|| Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
    let port = listener.local_addr()?.port();
    let streams = bed.left.enter(move || {
        let connect = |flow| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((address(Side::Left, flow), 0)).into())?;
            let target = SocketAddr::from((address(Side::Right, flow), port));
            socket.connect_timeout(&target.into(), STALLED).with_context(|| format!("stream {flow}"))?;
            socket.set_write_timeout(Some(STALLED))?;
            let (accepted, _) = listener.accept()?;
            accepted.set_read_timeout(Some(STALLED))?;
            Ok((TcpStream::from(socket), accepted))
        };
        (0..FLOWS).map(connect).collect::<Result<Vec<_>>>()
    })?;
    let mut threads = (Vec::new(), Vec::new());
    let mut streams = streams.into_iter();
    for _ in 0..THREADS {
        let (senders, receivers) = streams.by_ref().take(usize::from(FLOWS) / THREADS).unzip();
        threads.0.push(senders);
        threads.1.push(receivers);
    }
    Ok(threads)
}

fn send(mut streams: Vec<TcpStream>, done: &AtomicBool) -> Result<()> {
    let chunk = vec![0x5a; CHUNK];
    loop {
        for stream in &mut streams {
            if done.load(Ordering::Relaxed) {
                return Ok(());
            }
            match stream.write_all(&chunk) {
                // The receiver has left.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return Ok(());
                }
                written => written.context("a stream stalled")?,
            }
        }
    }
}

fn receive(mut streams: Vec<TcpStream>, done: &AtomicBool) -> Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        for stream in &mut streams {
            if done.load(Ordering::Relaxed) {
                return Ok(bytes);
            }
            match stream.read_exact(&mut chunk) {
                // The sender has left.
                Err(_) if done.load(Ordering::Relaxed) => return Ok(bytes),
                read => read.context("a stream stalled")?,
            }
            bytes += CHUNK as u64;
        }
    }
}

/// Sending threads, and as many receiving.
const THREADS: usize = 2;
/// What a stream sends when it is its turn: about what one super-packet holds.
const CHUNK: usize = 58_000;
const STALLED: Duration = Duration::from_secs(3);

//! Sending with `sendmmsg`: the way of the plain back end, and of a ring where the device refuses to segment.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

use super::sockets::Socket;
use super::{Route, Sent};
use crate::batch::{self, Batch, Run};
use crate::sys::mmsg::{Message, Sender};

/// Sends a batch as the fewest messages; where the kernel refuses to cut a message, datagram by datagram.
pub(super) fn send_batch(sender: &mut Sender, socket: &Socket, route: &Route, batch: &Batch) -> Sent {
    let longest = if socket.segments() { batch::PACKETS } else { 1 };
    send_runs(sender, socket, route, batch, 0..batch.segments().len(), longest)
}

/// Sends some packets of a batch, each as a message.
pub(super) fn send_singly(
    sender: &mut Sender,
    socket: &Socket,
    route: &Route,
    batch: &Batch,
    packets: Range<usize>,
) -> Sent {
    send_runs(sender, socket, route, batch, packets, 1)
}

/// Sends one datagram that is not ESP.
pub(super) fn send_datagram(
    sender: &mut Sender,
    socket: &Socket,
    route: &Route,
    payload: &[u8],
) -> io::Result<()> {
    let message = Message { to: route.remote, from: Some(route.local), tos: 0, segment: None, data: payload };
    let mut send = || sender.send(socket.as_fd(), [message]);
    let result = match send() {
        // IKE may be longer than the path; in fragments it arrives at all but clouds' gateways (RFC 7383 §1).
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
            socket.never_fragment(false)?;
            let result = send();
            socket.never_fragment(true)?;
            result
        }
        result => result,
    };
    result.map(|_| ())
}

/// `packets` begins with the batch, or `longest` is 1.
fn send_runs(
    sender: &mut Sender,
    socket: &Socket,
    route: &Route,
    batch: &Batch,
    packets: Range<usize>,
    mut longest: usize,
) -> Sent {
    let segments = batch.segments().get(..packets.end).unwrap_or_default();
    // Runs and packets that are dealt with.
    let (mut runs, mut done, mut sent) = (packets.start, packets.start, Sent::default());
    while done < segments.len() {
        let pending = || batch.runs(longest).skip(runs).take(segments.len() - done);
        match sender.send(socket.as_fd(), pending().map(|run| message(route, &run))) {
            Ok(0) => break,
            Ok(taken) => {
                let packets: usize = pending().take(taken).map(|run| run.packets).sum();
                sent.packets += packets as u64;
                sent.octets +=
                    segments.iter().skip(done).take(packets).map(|s| s.inner_len as u64).sum::<u64>();
                (runs, done) = (runs + taken, done + packets);
            }
            Err(error) => match error.raw_os_error() {
                // EIO: the device computes no checksums, and never will. EINVAL: these packets do not fit it.
                Some(code @ (libc::EIO | libc::EINVAL)) if longest > 1 => {
                    if code == libc::EIO {
                        socket.stop_segments();
                    }
                    (longest, runs) = (1, done);
                }
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    sent.full += (segments.len() - done) as u64;
                    break;
                }
                _ => {
                    let packets = pending().next().map_or(1, |run| run.packets);
                    sent.failed += packets as u64;
                    (runs, done) = (runs + 1, done + packets);
                }
            },
        }
    }
    sent
}

fn message<'a>(route: &Route, run: &Run<'a>) -> Message<'a> {
    Message { to: route.remote, from: Some(route.local), tos: run.tos, segment: run.segment, data: run.data }
}

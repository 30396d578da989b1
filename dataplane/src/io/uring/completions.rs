//! What the completions of a ring mean for the back end: into a stash, or on a counter.

use std::ops::Range;

use rustix::io::Errno;

use super::{FIRST_SOCKET, Uring, WAKER, rearm};
use crate::io::send::send_singly;
use crate::io::sockets::Socket;
use crate::io::uring::stash::Stash;
use crate::io::{Backend, Datagram, Frame, Outcome, QueueId, SocketId, Source};
use crate::pool::Buffer;
use crate::sys::uring::{Completion, File, Group, Received};

impl Uring {
    /// Sorts all completions.
    pub(super) fn reap(&mut self) {
        while let Some(completion) = self.ring.completion() {
            match completion {
                Completion::Polled { more, .. } => {
                    self.woken = true;
                    if !more {
                        self.ring.poll(WAKER);
                    }
                }
                Completion::Read { file, result, more } => self.stash_frame(file, result, more),
                Completion::Received { file, result, more } => self.stash_datagram(file, result, more),
                Completion::Sent { flight, packets, result, last } => {
                    self.account(flight, packets, result, last);
                }
                Completion::Written { flight, frame, result } => {
                    let written = self.writing.get(flight).and_then(|frames| frames.get(frame)).copied();
                    if let (Err(error), Some((queue, packets))) = (result, written) {
                        let full = error == Errno::AGAIN;
                        self.outcomes.push(Outcome::NotWritten { queue, packets, full });
                    }
                }
            }
        }
    }

    fn stash_frame(&mut self, file: File, result: Result<(Buffer, usize), Errno>, more: bool) {
        let id = QueueId((file.0 as usize).saturating_sub(FIRST_SOCKET + self.datagrams.len()));
        let Some(Some(queue)) = self.queues.get_mut(id.0) else { return };
        let stash = &mut queue.frames;
        match result {
            Ok((buffer, _)) if queue.closing => self.ring.give(Group::Reads, buffer),
            Ok((buffer, len)) => {
                self.ring.set_depth(Group::Reads, depth(len));
                stash.push(Frame { buffer, octets: 0..len });
            }
            Err(error) if passes(error) => {}
            Err(error) => stash.fail(error),
        }
        list(stash, Source::Tun(id), &mut self.ready);
        if !more {
            stash.disarm();
            if queue.closing {
                self.close(id);
            } else {
                rearm(stash, Source::Tun(id), &mut self.unarmed);
            }
        }
    }

    fn stash_datagram(&mut self, file: File, result: Result<(Buffer, usize), Errno>, more: bool) {
        let id = SocketId((file.0 as usize).saturating_sub(FIRST_SOCKET));
        let (Some(socket), Some(stash)) = (self.sockets.socket(id), self.datagrams.get_mut(id.0)) else {
            return;
        };
        match result {
            Ok((buffer, len)) => match Received::parse(buffer.bytes(), len) {
                Some(received) => {
                    self.ring.set_depth(Group::Receives, depth(len));
                    stash.push(datagram(socket, buffer, received));
                }
                None => self.ring.give(Group::Receives, buffer),
            },
            Err(error) if passes(error) => {}
            Err(error) => stash.fail(error),
        }
        list(stash, Source::Socket(id), &mut self.ready);
        if !more {
            stash.disarm();
            rearm(stash, Source::Socket(id), &mut self.unarmed);
        }
    }

    /// Counts packets of a batch; sends them one by one where the kernel refused to cut a message.
    fn account(&mut self, flight: usize, packets: Range<usize>, result: Result<(), Errno>, last: bool) {
        let (Some(Some(sending)), Some(batch)) = (self.sending.get_mut(flight), self.ring.batch(flight))
        else {
            return;
        };
        let sent = &mut sending.sent;
        let count = packets.len() as u64;
        match result {
            Ok(()) => {
                let octets = batch.segments().get(packets).unwrap_or_default().iter();
                sent.packets += count;
                sent.octets += octets.map(|segment| segment.inner_len as u64).sum::<u64>();
            }
            Err(Errno::AGAIN | Errno::NOBUFS) => sent.full += count,
            // EIO: the device computes no checksums, and never will. EINVAL: these packets do not fit it.
            Err(error @ (Errno::IO | Errno::INVAL)) if count > 1 => {
                if let Some(socket) = self.sockets.socket(sending.route.socket) {
                    if error == Errno::IO {
                        socket.stop_segments();
                    }
                    let singly = send_singly(&mut self.sender, socket, &sending.route, batch, packets);
                    sent.add(&singly);
                }
            }
            Err(_) => sent.failed += count,
        }
        if last {
            self.outcomes.push(Outcome::Sent(sending.queue, *sent));
            self.sending[flight] = None;
            if let Some(batch) = self.ring.take_batch(flight) {
                self.put_back(batch);
            }
        }
    }
}

/// Puts a source whose stash was fed on the list of those that are ready.
fn list<T>(stash: &mut Stash<T>, source: Source, ready: &mut Vec<Source>) {
    if !stash.is_empty() && !stash.listed {
        stash.listed = true;
        ready.push(source);
    }
}

fn datagram(socket: &Socket, buffer: Buffer, received: Received) -> Datagram {
    let Received { payload, truncated, remote, control } = received;
    let octets = buffer.bytes().get(payload.clone()).unwrap_or_default();
    let payload = payload.end.min(payload.start + socket.header_len(octets))..payload.end;
    let segment = control.segment.map_or(payload.len(), usize::from);
    Datagram { buffer, payload, segment, truncated, remote, local: control.local, tos: control.tos }
}

/// Whether a read or receive that ended so is simply begun again.
fn passes(error: Errno) -> bool {
    matches!(error, Errno::NOBUFS | Errno::CANCELED | Errno::AGAIN | Errno::INTR)
}

/// How many buffers the kernel shall have, after one came with `len` octets: of those that are full, few enough to stay in the
/// cache; of others, enough for a burst.
fn depth(len: usize) -> usize {
    if len > LARGE { 8 } else { 32 }
}

/// Octets of a frame or datagram that was put together from several.
const LARGE: usize = 16_384;

//! Bursts on their way into TUN queues: the buffers, and the gather lists that name parts of them.

use std::ops::Range;

use io_uring::{opcode, squeue, types};

use super::{File, Kind, token};
use crate::pool::Buffer;

/// The flights of one ring.
pub(super) struct Writes(Box<[Flight]>);

/// Room for one burst. While frames are pending, the kernel may read all of its buffers.
#[derive(Default)]
struct Flight {
    buffers: Vec<Buffer>,
    parts: Vec<libc::iovec>,
    frames: Vec<Frame>,
    /// Frames whose completion is still to come.
    pending: usize,
}

struct Frame {
    file: File,
    /// Where its parts end; they begin where those of the frame before end.
    end: usize,
}

impl Writes {
    /// Room for `flights` bursts.
    pub(super) fn new(flights: usize) -> Self {
        Self((0..flights).map(|_| Flight::default()).collect())
    }

    /// A flight without frames.
    pub(super) fn free(&self) -> Option<usize> {
        self.0.iter().position(|flight| flight.pending == 0)
    }

    /// Puts a burst on a free flight, and gives its requests, in order: one a frame. What lies outside of the buffers
    /// is left out.
    ///
    /// What the requests point to stays in place until [`Self::landed`] has been told of as many completions.
    pub(super) fn load<P>(
        &mut self,
        index: usize,
        buffers: impl Iterator<Item = Buffer>,
        frames: impl Iterator<Item = (File, P)>,
    ) -> impl Iterator<Item = squeue::Entry>
    where
        P: Iterator<Item = (usize, Range<usize>)>,
    {
        let flight = &mut self.0[index];
        flight.buffers.clear();
        flight.parts.clear();
        flight.frames.clear();
        flight.buffers.extend(buffers);
        for (file, parts) in frames {
            for (buffer, range) in parts {
                let octets = flight.buffers.get(buffer).and_then(|b| b.bytes().get(range));
                let octets = octets.unwrap_or_default();
                let (iov_base, iov_len) = (octets.as_ptr().cast_mut().cast(), octets.len());
                flight.parts.push(libc::iovec { iov_base, iov_len });
            }
            flight.frames.push(Frame { file, end: flight.parts.len() });
        }
        flight.pending = flight.frames.len();
        let (mut start, all) = (0, &flight.parts);
        flight.frames.iter().enumerate().map(move |(part, frame)| {
            let parts = all.get(start..frame.end).unwrap_or_default();
            start = frame.end;
            request(frame.file, parts).user_data(token(Kind::Write, index, part))
        })
    }

    /// Counts one completion; returns whether it was the last of its flight, or `None`, where none is expected.
    pub(super) fn landed(&mut self, index: usize) -> Option<bool> {
        let flight = self.0.get_mut(index)?;
        flight.pending = flight.pending.checked_sub(1)?;
        Some(flight.pending == 0)
    }

    /// Takes the buffers of a flight of which nothing is pending.
    pub(super) fn unload(&mut self, index: usize) -> impl Iterator<Item = Buffer> {
        let flight = self.0.get_mut(index).filter(|flight| flight.pending == 0);
        flight.into_iter().flat_map(|flight| flight.buffers.drain(..))
    }
}

/// A write that never waits: one that did would end on a thread of the kernel's, and out of order.
fn request(file: File, parts: &[libc::iovec]) -> squeue::Entry {
    let file = types::Fixed(file.0);
    match parts {
        [part] => {
            let len = u32::try_from(part.iov_len).unwrap_or(0);
            opcode::Write::new(file, part.iov_base.cast(), len).rw_flags(libc::RWF_NOWAIT).build()
        }
        parts => {
            let count = u32::try_from(parts.len()).unwrap_or(0);
            opcode::Writev::new(file, parts.as_ptr(), count).rw_flags(libc::RWF_NOWAIT).build()
        }
    }
}

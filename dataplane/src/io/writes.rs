//! The frames that one burst gives to TUN queues: where their octets lie in the burst's buffers.

use std::ops::Range;

use super::QueueId;

/// Octets of the buffer of one datagram of a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which datagram of the burst.
    pub datagram: usize,
    /// Which octets of its buffer.
    pub octets: Range<usize>,
}

/// Frames to be written, each gathered from pieces. Kept and cleared, so that it allocates no more once it has grown.
#[derive(Debug, Default)]
pub struct Writes {
    pieces: Vec<Piece>,
    frames: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    queue: QueueId,
    packets: u64,
    /// Where its pieces end; they begin where those of the frame before end.
    end: usize,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write<'w> {
    /// Where it goes.
    pub queue: QueueId,
    /// How many packets it holds.
    pub packets: u64,
    /// Its octets, in order.
    pub pieces: &'w [Piece],
}

impl Writes {
    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.frames.clear();
    }

    /// Adds a frame of `packets` packets.
    pub fn push(&mut self, queue: QueueId, packets: u64, pieces: impl IntoIterator<Item = Piece>) {
        self.pieces.extend(pieces);
        self.frames.push(Entry { queue, packets, end: self.pieces.len() });
    }

    /// The frames, in order.
    pub fn iter(&self) -> impl Iterator<Item = Write<'_>> {
        let mut start = 0;
        self.frames.iter().map(move |entry| {
            let pieces = self.pieces.get(start..entry.end).unwrap_or_default();
            start = entry.end;
            Write { queue: entry.queue, packets: entry.packets, pieces }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_has_its_own_pieces() {
        let piece = |datagram| Piece { datagram, octets: 0..datagram };
        let mut writes = Writes::default();
        writes.push(QueueId(1), 2, [piece(1), piece(2)]);
        writes.push(QueueId(0), 1, [piece(3)]);
        let seen: Vec<_> = writes.iter().map(|w| (w.queue.0, w.packets, w.pieces.to_vec())).collect();
        assert_eq!(seen, [(1, 2, vec![piece(1), piece(2)]), (0, 1, vec![piece(3)])]);
        writes.clear();
        assert_eq!(writes.iter().count(), 0);
    }
}

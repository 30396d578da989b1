//! A packet in its buffer: a view with room before and behind, so that headers and trailers are added in place.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod checksum;
pub mod ip;

use core::ops::Range;

/// Octets `start..end` of a buffer that is exclusively ours while the view lives.
#[derive(Debug)]
pub struct Packet<'b> {
    buf: &'b mut [u8],
    /// Never above `end`.
    start: usize,
    /// Never above `buf.len()`.
    end: usize,
}

impl<'b> Packet<'b> {
    /// A view of `range` in `buf`; a range that reaches beyond the buffer is cut to it.
    pub fn new(buf: &'b mut [u8], range: Range<usize>) -> Self {
        let end = range.end.min(buf.len());
        Self { start: range.start.min(end), end, buf }
    }

    /// Takes `n` octets in before the packet and returns them, to be written; `None` without the headroom.
    #[inline]
    pub fn push_front(&mut self, n: usize) -> Option<&mut [u8]> {
        let start = self.start.checked_sub(n)?;
        let front = self.buf.get_mut(start..self.start)?;
        self.start = start;
        Some(front)
    }

    /// Takes `n` octets in behind the packet and returns them, to be written; `None` without the tailroom.
    #[inline]
    pub fn push_back(&mut self, n: usize) -> Option<&mut [u8]> {
        let end = self.end.checked_add(n)?;
        let back = self.buf.get_mut(self.end..end)?;
        self.end = end;
        Some(back)
    }

    /// Takes the first `n` octets off and returns them; `None`, and no change, where there are fewer.
    #[inline]
    pub fn pull_front(&mut self, n: usize) -> Option<&mut [u8]> {
        let start = self.start.checked_add(n).filter(|start| *start <= self.end)?;
        let front = self.buf.get_mut(self.start..start)?;
        self.start = start;
        Some(front)
    }

    /// Keeps the first `n` octets; no change where there are fewer.
    #[inline]
    pub fn truncate(&mut self, n: usize) {
        self.end = self.end.min(self.start.saturating_add(n));
    }

    /// The octets.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// The octets, to be changed.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// The number of octets.
    #[inline]
    pub const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is no octet.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets free before the packet.
    pub const fn headroom(&self) -> usize {
        self.start
    }

    /// Octets free behind the packet.
    pub const fn tailroom(&self) -> usize {
        self.buf.len().saturating_sub(self.end)
    }

    /// Where the packet lies in its buffer.
    pub const fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

impl Default for Packet<'_> {
    /// No octets, and no room.
    fn default() -> Self {
        Self { buf: &mut [], start: 0, end: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_in_and_given_back_at_both_ends() {
        let mut buf = *b"..inner..";
        let mut pkt = Packet::new(&mut buf, 2..7);
        assert_eq!((pkt.headroom(), pkt.len(), pkt.tailroom()), (2, 5, 2));
        pkt.push_front(2).unwrap().copy_from_slice(b"<<");
        pkt.push_back(2).unwrap().copy_from_slice(b">>");
        assert_eq!(pkt.as_slice(), b"<<inner>>");
        assert!(pkt.push_front(1).is_none() && pkt.push_back(1).is_none());
        assert_eq!(pkt.pull_front(2).unwrap(), b"<<");
        pkt.truncate(5);
        assert_eq!(pkt.as_slice(), b"inner");
        assert!(pkt.pull_front(6).is_none());
        pkt.truncate(99);
        assert_eq!(pkt.range(), 2..7);
        pkt.as_mut_slice()[0] = b'I';
        assert_eq!(pkt.as_slice(), b"Inner");
    }

    #[test]
    fn a_range_beyond_the_buffer_is_cut() {
        let mut buf = [0; 4];
        assert_eq!(Packet::new(&mut buf, 9..12).range(), 4..4);
        #[expect(clippy::reversed_empty_ranges, reason = "what is tested")]
        let pkt = Packet::new(&mut buf, 3..2);
        assert!(pkt.is_empty());
    }
}

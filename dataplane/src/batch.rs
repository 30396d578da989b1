//! The send buffer of one batch: sealed packets back to back, so that the kernel can send runs of them with one call.
//!
//! A packet is split (or copied) to the place where it will leave from, behind room for its ESP header and IV, and is sealed
//! there. Packets of equal size form a run: the shape that `UDP_SEGMENT` takes.

use std::ops::Range;

/// Most packets of a batch: the kernel's limit for one `UDP_SEGMENT` send (`UDP_MAX_SEGMENTS`, 64 before Linux 6.6).
pub const PACKETS: usize = 64;

/// Most octets of a batch: the longest UDP payload over IPv4.
pub const OCTETS: usize = 65_507;

/// One packet of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    start: usize,
    len: usize,
    /// Octets of the inner packet, before it is sealed.
    pub inner_len: usize,
    /// The TOS or traffic class octet of its outer header.
    pub tos: u8,
}

impl Segment {
    /// Where in the batch it is.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// Consecutive packets that one send can carry: equal sizes, the last may be shorter, one TOS octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// The packets, back to back.
    pub data: &'a [u8],
    /// Size of each packet but the last; `None`: there is one packet.
    pub segment: Option<u16>,
    /// How many packets.
    pub packets: usize,
    /// The TOS or traffic class octet of the outer header.
    pub tos: u8,
}

/// Packets on their way out.
#[derive(Debug)]
pub struct Batch {
    bytes: Box<[u8]>,
    segments: Vec<Segment>,
    used: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self { bytes: vec![0; OCTETS].into(), segments: Vec::with_capacity(PACKETS), used: 0 }
    }

    /// Forgets all packets.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.used = 0;
    }

    /// Where the next inner packet of `len` octets goes, `head` octets behind the last packet; empty without the room.
    pub fn space(&mut self, head: usize, len: usize) -> &mut [u8] {
        let start = self.used + head;
        self.bytes.get_mut(start..start + len).unwrap_or_default()
    }

    /// Adds the packet whose inner part of `inner_len` octets was put into [`Self::space`], and which will have `len` octets
    /// when sealed.
    pub fn push(&mut self, len: usize, inner_len: usize, tos: u8) {
        self.segments.push(Segment { start: self.used, len, inner_len, tos });
        self.used += len;
    }

    /// Keeps the first `packets` only.
    pub fn truncate(&mut self, packets: usize) {
        self.segments.truncate(packets);
        self.used = self.segments.last().map_or(0, |s| s.range().end);
    }

    /// Whether another packet of `len` octets fits.
    pub fn has_room(&self, len: usize) -> bool {
        self.segments.len() < PACKETS && self.used + len <= OCTETS
    }

    /// The packets, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Each packet's octets, to seal.
    pub fn packets_mut(&mut self) -> impl Iterator<Item = (Segment, &mut [u8])> {
        let mut rest = &mut self.bytes[..self.used];
        self.segments.iter().map(move |segment| {
            let (packet, behind) = std::mem::take(&mut rest).split_at_mut(segment.len);
            rest = behind;
            (*segment, packet)
        })
    }

    /// The packets as the fewest sends, `longest` packets each at most; `longest = 1` where nothing cuts them apart.
    pub fn runs(&self, longest: usize) -> impl Iterator<Item = Run<'_>> {
        let mut segments = self.segments.as_slice();
        std::iter::from_fn(move || {
            let first = segments.first()?;
            let packets = run_length(segments, longest);
            let (run, rest) = segments.split_at(packets);
            segments = rest;
            Some(Run {
                data: &self.bytes[first.start..run.last()?.range().end],
                segment: if packets > 1 { u16::try_from(first.len).ok() } else { None },
                packets,
                tos: first.tos,
            })
        })
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

fn run_length(segments: &[Segment], longest: usize) -> usize {
    let Some(first) = segments.first() else { return 0 };
    let fits = |s: &&Segment| s.len <= first.len && s.tos == first.tos;
    let equal = segments.iter().take(longest).take_while(|s| fits(s) && s.len == first.len).count();
    // One shorter packet may close the run.
    let closes = equal < longest && segments.get(equal).as_ref().is_some_and(fits);
    equal + usize::from(closes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(sizes: &[(usize, u8)]) -> Batch {
        let mut batch = Batch::new();
        for (index, (len, tos)) in (0..).zip(sizes) {
            batch.space(0, *len).fill(index);
            batch.push(*len, *len, *tos);
        }
        batch
    }

    fn lengths(batch: &Batch, longest: usize) -> Vec<(usize, Option<u16>, usize)> {
        batch.runs(longest).map(|r| (r.data.len(), r.segment, r.packets)).collect()
    }

    #[test]
    fn equal_packets_and_one_shorter_at_the_end_are_one_run() {
        let batch = batch(&[(100, 0), (100, 0), (40, 0)]);
        assert_eq!(lengths(&batch, PACKETS), [(240, Some(100), 3)]);
    }

    #[test]
    fn a_longer_packet_or_another_tos_octet_starts_a_run() {
        let batch = batch(&[(40, 0), (100, 0), (100, 2), (100, 2), (60, 2), (60, 2)]);
        assert_eq!(
            lengths(&batch, PACKETS),
            [(40, None, 1), (100, None, 1), (260, Some(100), 3), (60, None, 1)]
        );
    }

    #[test]
    fn without_segmentation_each_packet_is_a_run() {
        let batch = batch(&[(100, 0), (100, 0), (40, 0)]);
        assert_eq!(lengths(&batch, 1), [(100, None, 1), (100, None, 1), (40, None, 1)]);
    }

    #[test]
    fn runs_hold_each_packet_once_and_in_order() {
        let batch = batch(&[(3, 0), (3, 0), (2, 0), (5, 1), (1, 0)]);
        let all: Vec<u8> = batch.runs(2).flat_map(|r| r.data.to_vec()).collect();
        assert_eq!(all, [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3, 3, 4]);
    }

    #[test]
    fn a_batch_is_full_at_its_limits() {
        let mut batch = batch(&[(100, 0); PACKETS - 1]);
        assert!(batch.has_room(OCTETS - 100 * (PACKETS - 1)));
        assert!(!batch.has_room(OCTETS - 100 * (PACKETS - 1) + 1));
        batch.push(1, 1, 0);
        assert!(!batch.has_room(1));
        batch.truncate(1);
        assert!(batch.has_room(100));
        assert_eq!(batch.space(64, 1000).len(), 1000);
        assert!(batch.space(64, OCTETS).is_empty());
    }
}

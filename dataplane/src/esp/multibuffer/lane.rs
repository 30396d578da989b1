//! The packets of a batch in the order in which lanes take them: the longest first, so that neighbours end together.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use core::cmp::Reverse;

use crate::drop_reason::DropReason;
use crate::esp::cipher::{BATCH, Numbered};
use crate::esp::header;
use crate::simd::Block;

/// One packet, cut into what the ICV covers and the ICV.
#[derive(Debug, Default)]
pub(in crate::esp) struct Lane<'p> {
    /// The whole sequence number.
    pub(in crate::esp) seq: u64,
    /// Where in its batch the packet is.
    pub(in crate::esp) place: usize,
    /// Header, IV, and whole blocks of ciphertext.
    pub(in crate::esp) covered: &'p mut [u8],
    /// The ICV.
    pub(in crate::esp) icv: &'p mut [u8],
}

impl Lane<'_> {
    /// The IV, and the blocks behind it.
    #[inline]
    pub(in crate::esp) fn blocks(&mut self) -> (Block, &mut [Block]) {
        let (_header, blocks) = self.covered.split_at_mut_checked(header::LEN).unwrap_or_default();
        let (blocks, _) = blocks.as_chunks_mut();
        blocks.split_first_mut().map_or(([0; 16], &mut []), |(iv, blocks)| (*iv, blocks))
    }
}

/// The lanes of a batch.
pub(in crate::esp) struct Lanes<'p> {
    lanes: [Lane<'p>; BATCH],
    count: usize,
}

impl<'p> Lanes<'p> {
    /// The well-formed of `packets`, at most [`BATCH`], which have failed for `reason` until they are settled; `plain` gets
    /// the others.
    pub(in crate::esp) fn new(
        packets: &'p mut [Numbered<'_>],
        icv_len: usize,
        reason: DropReason,
        mut plain: impl FnMut(&mut Numbered<'_>),
    ) -> Self {
        let mut lanes: [Lane<'p>; BATCH] = core::array::from_fn(|_| Lane::default());
        let mut free = lanes.iter_mut();
        let mut in_order = true;
        let mut longest = usize::MAX;
        for (place, packet) in packets.iter_mut().enumerate() {
            let Some(covered) = covered_len(packet.octets.len(), icv_len) else {
                plain(packet);
                continue;
            };
            packet.result = Err(reason);
            let (Some(lane), Some((covered, icv))) =
                (free.next(), packet.octets.split_at_mut_checked(covered))
            else {
                break;
            };
            in_order &= covered.len() <= longest;
            longest = covered.len();
            *lane = Lane { seq: packet.seq, place, covered, icv };
        }
        let count = BATCH.saturating_sub(free.len());
        let mut lanes = Self { lanes, count };
        if !in_order {
            lanes.as_mut_slice().sort_unstable_by_key(|lane| Reverse(lane.covered.len()));
        }
        lanes
    }

    /// The lanes, the longest first.
    pub(in crate::esp) fn as_mut_slice(&mut self) -> &mut [Lane<'p>] {
        self.lanes.get_mut(..self.count).unwrap_or_default()
    }
}

/// Which packets of a batch the lanes have done, by their place.
#[derive(Default)]
pub(in crate::esp) struct Done(u64);

impl Done {
    /// The packet of `lane` is done.
    pub(in crate::esp) fn add(&mut self, lane: &Lane<'_>) {
        self.0 |= 1_u64.unbounded_shl(u32::try_from(lane.place).unwrap_or(u32::MAX));
    }

    /// Lets what is done succeed.
    pub(in crate::esp) fn settle(&self, packets: &mut [Numbered<'_>]) {
        for (packet, place) in packets.iter_mut().zip(0..u64::BITS) {
            if self.0 & 1 << place != 0 {
                packet.result = Ok(());
            }
        }
    }
}

/// Octets of header, IV and whole blocks in a packet of `len` octets; `None` where it is no such packet.
fn covered_len(len: usize, icv_len: usize) -> Option<usize> {
    let covered = len.checked_sub(icv_len)?;
    let ciphertext = covered.checked_sub(header::LEN)?.checked_sub(size_of::<Block>())?;
    ciphertext.is_multiple_of(size_of::<Block>()).then_some(covered)
}

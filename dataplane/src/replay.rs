//! The anti-replay window (RFC 4303 §3.4.3 and appendix A), as a ring of blocks (RFC 6479). Pure arithmetic.
//!
//! The order of use is [`ReplayWindow::infer`], [`ReplayWindow::check`], verify the ICV, [`ReplayWindow::mark`]:
//! what fails its ICV moves nothing.

#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::drop_reason::DropReason;

/// Which of the latest sequence numbers were received.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    /// The highest number received; 0: none.
    top: u64,
    /// Numbers from `top` down that are told apart.
    size: u32,
    esn: bool,
    /// One bit a number, a block of 64 at `number / 64` modulo the number of blocks, which is a power of two and at
    /// least one block more than the window, so that the block being filled is never one still in use.
    blocks: Box<[u64]>,
}

impl ReplayWindow {
    /// An empty window of `size` packets, brought within [`MIN_SIZE`] and [`MAX_SIZE`].
    pub fn new(size: u32, esn: bool) -> Self {
        let size = size.clamp(MIN_SIZE, MAX_SIZE);
        let blocks = (size as usize).div_ceil(64).saturating_add(1).next_power_of_two();
        Self { top: 0, size, esn, blocks: vec![0; blocks].into() }
    }

    /// Enters `seq`, whose packet has passed its ICV; refuses what [`ReplayWindow::check`] refuses.
    #[inline]
    pub fn mark(&mut self, seq: u64) -> Result<(), DropReason> {
        self.check(seq)?;
        if seq > self.top {
            self.advance(seq);
        }
        let (block, bit) = self.place(seq);
        if let Some(block) = self.blocks.get_mut(block) {
            *block |= bit;
        }
        Ok(())
    }

    /// The whole number of a packet from the 32 bits that it carries: without ESN those, with ESN the high half that
    /// brings it nearest to the window (appendix A2.1).
    ///
    /// After a loss of 2^32 packets and more the guess is wrong, and the ICV, which covers the high half, fails.
    #[inline]
    pub fn infer(&self, wire: u32) -> Result<u64, DropReason> {
        if !self.esn {
            return Ok(u64::from(wire));
        }
        let [high, low] = [self.top >> 32, self.top & LOW_HALF];
        let wire = u64::from(wire);
        // The window's left edge; it may lie in the subspace before.
        let bottom = self.top.wrapping_sub(u64::from(self.size)).wrapping_add(1);
        let spans_two = low < u64::from(self.size).saturating_sub(1);
        let high = match (spans_two, wire >= bottom & LOW_HALF) {
            // Case A: what is left of the window belongs to the next subspace.
            (false, false) => {
                high.checked_add(1).filter(|high| *high <= LOW_HALF).ok_or(DropReason::ReplayLate)?
            }
            // Case B: the window's left part lies in the subspace before, which the very first does not have.
            (true, true) => high.checked_sub(1).ok_or(DropReason::ReplayLate)?,
            (false, true) | (true, false) => high,
        };
        Ok(high << 32 | wire)
    }

    /// Whether `seq` can still be accepted: not 0, not left of the window, not received before.
    #[inline]
    pub fn check(&self, seq: u64) -> Result<(), DropReason> {
        if seq == 0 {
            return Err(DropReason::SequenceZero);
        }
        let Some(age) = self.top.checked_sub(seq) else { return Ok(()) };
        if age >= u64::from(self.size) {
            return Err(DropReason::ReplayLate);
        }
        let (block, bit) = self.place(seq);
        match self.blocks.get(block) {
            Some(block) if block & bit == 0 => Ok(()),
            _ => Err(DropReason::Replay),
        }
    }

    /// The highest number received; 0: none.
    pub const fn top(&self) -> u64 {
        self.top
    }

    /// Moves the window's right edge to `seq`, and empties the blocks that it enters.
    #[inline]
    fn advance(&mut self, seq: u64) {
        let mask = self.blocks.len().saturating_sub(1);
        let (old, new) = (self.top / 64, seq / 64);
        let entered = new.saturating_sub(old).min(self.blocks.len() as u64);
        for block in 0..entered {
            let place = to_index(new.wrapping_sub(block)) & mask;
            if let Some(block) = self.blocks.get_mut(place) {
                *block = 0;
            }
        }
        self.top = seq;
    }

    #[inline]
    fn place(&self, seq: u64) -> (usize, u64) {
        (to_index(seq / 64) & self.blocks.len().saturating_sub(1), 1 << (seq % 64))
    }
}

/// Only the low bits of a block's number are used.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "masked to the number of blocks by its callers")]
const fn to_index(block: u64) -> usize {
    block as usize
}

/// The narrowest window (RFC 4303 §3.4.3).
pub const MIN_SIZE: u32 = 32;
/// The widest window.
pub const MAX_SIZE: u32 = 8192;

const LOW_HALF: u64 = 0xffff_ffff;

//! The anti-replay window as RFC 4303 §3.4.3 and appendix A draw it, beside a model that remembers everything.

#![allow(clippy::cast_possible_truncation, reason = "the low half of a sequence number")]
#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

use std::collections::HashSet;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::replay::{MAX_SIZE, ReplayWindow};
use proptest::prelude::*;

const TWO_32: u64 = 1 << 32;

#[test]
fn a_number_is_accepted_once_and_zero_never() {
    let mut window = ReplayWindow::new(64, false);
    assert_eq!(window.mark(0), Err(DropReason::SequenceZero));
    for seq in [1, 3, 2, 64] {
        assert_eq!(window.mark(seq), Ok(()));
        assert_eq!(window.mark(seq), Err(DropReason::Replay));
    }
}

#[test]
fn the_edges_of_the_window_are_exact() {
    let mut window = ReplayWindow::new(1024, false);
    window.mark(5000).unwrap();
    assert_eq!(window.check(5000 - 1023), Ok(()));
    assert_eq!(window.check(5000 - 1024), Err(DropReason::ReplayLate));
}

#[test]
fn a_jump_of_half_the_space_empties_the_window() {
    let mut window = ReplayWindow::new(MAX_SIZE, false);
    window.mark(7).unwrap();
    window.mark(1 << 31).unwrap();
    assert_eq!(window.check((1 << 31) - 8191), Ok(()));
    assert_eq!(window.check((1 << 31) - 8192), Err(DropReason::ReplayLate));
}

#[test]
fn esn_numbers_are_inferred_across_a_wrap_both_ways() {
    let mut window = ReplayWindow::new(128, true);
    // Case A: the window lies in one subspace, a low number is one of the next.
    window.mark(TWO_32 - 10).unwrap();
    assert_eq!(window.infer(u32::MAX), Ok(TWO_32 - 1));
    assert_eq!(window.infer(5), Ok(TWO_32 + 5));
    assert_eq!(
        window.infer(0),
        Ok(TWO_32),
        "a low half of 0 is an ordinary number beyond the first subspace"
    );
    // Case B: the window spans two subspaces, a high number is one of the one before.
    window.mark(TWO_32 + 5).unwrap();
    assert_eq!(window.infer(u32::MAX), Ok(TWO_32 - 1));
    assert_eq!(window.infer(u32::MAX - 121), Ok(TWO_32 - 122));
    assert_eq!(window.check(TWO_32 - 122), Ok(()));
    assert_eq!(
        window.infer(u32::MAX - 122),
        Ok(2 * TWO_32 - 123),
        "left of the window: ahead in this subspace"
    );
}

#[test]
fn in_the_first_subspace_nothing_lies_before_the_window() {
    let mut window = ReplayWindow::new(128, true);
    assert_eq!(window.infer(1), Ok(1));
    assert_eq!(window.infer(u32::MAX), Err(DropReason::ReplayLate));
    window.mark(60).unwrap();
    assert_eq!(window.infer(u32::MAX - 66), Err(DropReason::ReplayLate));
    assert_eq!(window.infer(u32::MAX - 67), Ok(TWO_32 - 68), "at the left edge of the window's width");
    assert_eq!(window.infer(0), Ok(0));
    assert_eq!(window.check(0), Err(DropReason::SequenceZero));
}

#[test]
fn the_end_of_the_extended_space_is_the_end() {
    let mut window = ReplayWindow::new(64, true);
    window.mark(u64::MAX - 3).unwrap();
    assert_eq!(window.infer(u32::MAX), Ok(u64::MAX));
    assert_eq!(window.infer(5), Err(DropReason::ReplayLate));
    window.mark(u64::MAX).unwrap();
    assert_eq!(window.mark(u64::MAX), Err(DropReason::Replay));
}

proptest! {
    /// Everything that the window says, a set that forgets nothing says too.
    #[test]
    fn the_window_agrees_with_a_set(
        size in prop_oneof![Just(32u32), Just(64), Just(100), Just(1024), Just(8192)],
        start in prop_oneof![Just(1u64), Just(TWO_32 - 50), any::<u32>().prop_map(|n| u64::from(n) + 1)],
        steps in proptest::collection::vec((any::<bool>(), 0u64..20_000), 1..400),
    ) {
        let mut window = ReplayWindow::new(size, true);
        let (mut seen, mut top) = (HashSet::new(), 0u64);
        let mut at = start;
        for (forward, distance) in steps {
            // Mostly small steps, some beyond the window.
            let distance = if distance < 18_000 { distance % 80 } else { distance };
            at = if forward { at + distance } else { at.saturating_sub(distance) };
            let expected = if at == 0 {
                Err(DropReason::SequenceZero)
            } else if top.saturating_sub(at) >= u64::from(size) {
                Err(DropReason::ReplayLate)
            } else if !seen.insert(at) {
                Err(DropReason::Replay)
            } else {
                Ok(())
            };
            prop_assert_eq!(window.mark(at), expected);
            if expected.is_ok() {
                top = top.max(at);
            }
        }
    }

    /// Any number within the window, and up to a window's width short of 2^32 ahead of it, is found again from its low
    /// half.
    #[test]
    fn esn_inference_finds_every_number_near_the_window(
        top in 1u64..1 << 40,
        offset in -1023i64..(1 << 32) - 1024,
    ) {
        let mut window = ReplayWindow::new(1024, true);
        window.mark(top).unwrap();
        let Some(seq) = top.checked_add_signed(offset).filter(|seq| *seq > 0) else { return Ok(()) };
        prop_assert_eq!(window.infer(seq as u32), Ok(seq));
    }
}

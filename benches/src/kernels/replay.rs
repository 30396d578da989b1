//! The replay window: infer the whole number, check it, mark it.

use std::rc::Rc;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::replay::ReplayWindow;

use super::Kernel;
use crate::seeded::Seeded;

const NUMBERS: u32 = 4096;

/// What AWS announces for its own window, and so the reordering that a path may show.
const WINDOW: u32 = 1024;

/// Numbers that are reordered among themselves.
const REORDERED: usize = 256;

pub(super) fn kernels() -> Vec<Kernel> {
    let in_order: Rc<[u32]> = (1..=NUMBERS).collect();
    let mut reordered = in_order.to_vec();
    let mut seeded = Seeded(1);
    reordered.chunks_mut(REORDERED).for_each(|numbers| seeded.shuffle(numbers));
    let reordered = Rc::from(reordered);
    [("in-order", in_order), ("reordered", reordered)]
        .into_iter()
        .map(|(case, numbers)| {
            let input = move || (ReplayWindow::new(WINDOW, true), Rc::clone(&numbers));
            Kernel::new("replay", case, NUMBERS as usize, input, receive)
        })
        .collect()
}

fn receive((window, numbers): &mut (ReplayWindow, Rc<[u32]>)) {
    let mut accept = |wire| -> Result<(), DropReason> {
        let seq = window.infer(wire)?;
        window.check(seq)?;
        window.mark(seq)
    };
    for number in &**numbers {
        accept(*number).expect("a number within the window, and fresh");
    }
}

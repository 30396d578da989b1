//! Whether somebody keeps the wall clock right.

/// Whether the kernel's clock is synchronised (adjtimex(2): `STA_UNSYNC`); `None`: it does not say.
pub fn is_synchronised() -> Option<bool> {
    // SAFETY: `timex` is integers throughout, for each of which zero is a value.
    let mut timex: libc::timex = unsafe { core::mem::zeroed() };
    // SAFETY: the pointer is to a live `timex` of ours, which the kernel fills during the call; with `modes` 0 it changes
    // nothing.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    (state >= 0).then_some(timex.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_says_whether_its_clock_is_right() {
        assert!(is_synchronised().is_some());
    }
}

//! The kernels: the parts of the packet path and of IKEv2 whose cost is watched, in one table.
//!
//! `cargo bench -p gotthard-benches --bench kernels` times them (benches/kernels.rs), `cargo xtask guard` counts their instructions
//! (bin/gotthard-benches-kernels.rs). Inputs are fixed, so that every pass of a kernel takes the same way.

mod checksum;
mod codec;
mod esp;
mod handshake;
mod offload;
mod replay;
mod sad;

use std::hint::black_box;

/// Something whose cost is watched.
pub struct Kernel {
    group: &'static str,
    case: String,
    units: usize,
    prepare: Box<dyn Fn() -> Pass>,
}

/// The work of a kernel on an input of its own, to be called once: it uses the input up. What it costs to make and to drop
/// is not the kernel's.
pub type Pass = Box<dyn FnMut()>;

/// Every kernel. Nothing is made for one before its [`Kernel::prepare`] is called.
pub fn all() -> Vec<Kernel> {
    [
        esp::kernels(),
        offload::kernels(),
        replay::kernels(),
        sad::kernels(),
        checksum::kernels(),
        codec::kernels(),
        handshake::kernels(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Kernel {
    /// A kernel that does `work`, which handles `units` of something, on what `input` makes.
    fn new<I: 'static, O: 'static>(
        group: &'static str,
        case: impl Into<String>,
        units: usize,
        input: impl Fn() -> I + 'static,
        work: fn(&mut I) -> O,
    ) -> Self {
        let prepare = move || -> Pass {
            let mut input = input();
            Box::new(move || drop(black_box(work(&mut input))))
        };
        Self { group, case: case.into(), units, prepare: Box::new(prepare) }
    }

    /// What it does.
    pub const fn group(&self) -> &'static str {
        self.group
    }

    /// On what.
    pub fn case(&self) -> &str {
        &self.case
    }

    /// Group and case.
    pub fn name(&self) -> String {
        format!("{}/{}", self.group, self.case)
    }

    /// Packets, lookups, messages or handshakes of one pass.
    pub const fn units(&self) -> usize {
        self.units
    }

    /// Makes a fresh input.
    pub fn prepare(&self) -> Pass {
        (self.prepare)()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kernel_does_its_work() {
        for kernel in all() {
            // A kernel whose packets are dropped, or whose handshake fails, panics.
            kernel.prepare()();
        }
    }

    #[test]
    fn no_two_kernels_share_a_name_and_none_has_a_space() {
        let names: BTreeSet<_> = all().iter().map(Kernel::name).collect();
        assert_eq!(names.len(), all().len());
        assert!(names.iter().all(|name| !name.contains(char::is_whitespace)));
    }
}

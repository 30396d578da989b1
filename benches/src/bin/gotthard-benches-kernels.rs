//! Runs a kernel a given number of times, for `cargo xtask guard` to count the instructions of [`counted_passes`].

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its standard streams"
)]

use std::process::ExitCode;

use gotthard_benches::kernels::{self, Pass};

const USAGE: &str = "\
usage: gotthard-benches-kernels list          every kernel: its name, and the units of one pass
       gotthard-benches-kernels cpu           what code that looks at run time finds here
       gotthard-benches-kernels NAME PASSES   runs a kernel";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["list"] => {
            for kernel in kernels::all() {
                println!("{} {}", kernel.name(), kernel.units());
            }
            Some(())
        }
        ["cpu"] => {
            println!("{}", cpu().join(" "));
            Some(())
        }
        [name, passes] => passes.parse().ok().and_then(|passes| run(name, passes)),
        _ => None,
    };
    if done.is_some() {
        return ExitCode::SUCCESS;
    }
    eprintln!("{USAGE}");
    ExitCode::FAILURE
}

fn run(name: &str, passes: usize) -> Option<()> {
    let kernel = kernels::all().into_iter().find(|kernel| kernel.name() == name)?;
    // What is done once in a process (detection, self-tests with random packets) is done here.
    kernel.prepare()();
    let mut prepared: Vec<Pass> = (0..passes).map(|_| kernel.prepare()).collect();
    counted_passes(&mut prepared);
    Some(())
}

/// Found by its name.
#[inline(never)]
fn counted_passes(passes: &mut [Pass]) {
    for pass in passes {
        pass();
    }
}

/// The features by which the packet path and the cryptography under it choose their code.
#[cfg(target_arch = "x86_64")]
fn cpu() -> Vec<&'static str> {
    macro_rules! detected {
        ($($feature:tt)*) => {
            [$(($feature, std::arch::is_x86_feature_detected!($feature))),*]
        };
    }
    let features = detected!(
        "ssse3" "sse4.1" "aes" "pclmulqdq" "avx" "avx2" "bmi1" "bmi2" "adx" "movbe" "sha" "vaes" "vpclmulqdq" "avx512f"
        "avx512bw" "avx512vl"
    );
    features.into_iter().filter_map(|(feature, detected)| detected.then_some(feature)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu() -> Vec<&'static str> {
    Vec::new()
}

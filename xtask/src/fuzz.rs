//! `cargo xtask fuzz`: the libFuzzer targets of the crate `fuzz`, built and run without cargo-fuzz.
//!
//! Coverage and AddressSanitizer are unstable options of rustc, which the pinned stable toolchain takes where
//! `RUSTC_BOOTSTRAP` is set. The flags are those of cargo-fuzz 0.13; the objects stay apart, in `target/fuzz`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::steps;

/// Builds all targets and runs each whose name begins with `prefix` for `seconds_per_target`, one on each core. Fails if
/// one of them found something, and says how to replay it.
pub(crate) fn run(seconds_per_target: u64, prefix: &str) -> Result<()> {
    let mut targets = targets()?;
    targets.retain(|target| target.starts_with(prefix));
    build()?;
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut found = Vec::new();
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            match fuzz(target, seconds_per_target) {
                Ok(figures) => println!("{target:<18} {figures}"),
                Err(error) => found.push(format!("{error:#}")),
            }
        }
        found
    };
    let found: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..steps::cores()).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    if found.is_empty() { Ok(()) } else { bail!("{}", found.join("\n\n")) }
}

/// The targets are the programs of the crate.
fn targets() -> Result<Vec<String>> {
    let folder = folder().join("src/bin");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn build() -> Result<()> {
    let mut command = Command::new("cargo");
    // With a named target, build scripts and macros are not instrumented.
    command.args(["build", "--release", "--package", "gotthard-fuzz", "--bins", "--target", TRIPLE]);
    command.arg("--target-dir").arg(steps::root().join("target/fuzz"));
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS.join(" "));
    // Link-time optimisation costs more time in the build than it saves in a run.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    let status = command.status().context("cargo build of the fuzz targets")?;
    if !status.success() {
        bail!("the fuzz targets do not build ({status}); libFuzzer needs a C++ compiler (Debian: g++)");
    }
    Ok(())
}

/// Runs one target on a copy of its seeds, so that what it finds is not left among them. Returns its last figures.
fn fuzz(target: &str, seconds: u64) -> Result<String> {
    let corpus = steps::root().join("target/fuzz/corpus").join(target);
    let artifacts = folder().join("artifacts").join(target);
    fresh_copy(&folder().join("seeds").join(target), &corpus)?;
    fs::create_dir_all(&artifacts).with_context(|| artifacts.display().to_string())?;

    let mut command = Command::new(program(target));
    command.arg(&corpus);
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-rss_limit_mb=2048", "-timeout=10", "-max_len=4096", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    if let Some((_, dictionary)) = DICTIONARIES.iter().find(|(prefix, _)| target.starts_with(prefix)) {
        command.arg(format!("-dict={}", folder().join(dictionary).display()));
    }
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = output.with_context(|| format!("run {}", program(target).display()))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprintln!("{log}");
        bail!("{target}: {}\n{}", output.status, how_to_replay(target, &log));
    }
    Ok(figures(&log))
}

/// Executions, in all and a second, the edges that they covered, and the inputs that are kept for it.
fn figures(log: &str) -> String {
    let stat = |name| log.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").trim();
    let last = log.lines().rev().find(|line| line.contains(" cov: ")).unwrap_or_default();
    let field = |name| last.split(name).nth(1).and_then(|rest| rest.split([' ', '/']).next()).unwrap_or("?");
    format!(
        "{:>11} executions, {:>7}/s, {:>5} edges, {:>5} inputs kept",
        stat("stat::number_of_executed_units:"),
        stat("stat::average_exec_per_sec:"),
        field(" cov: "),
        field(" corp: "),
    )
}

fn how_to_replay(target: &str, log: &str) -> String {
    let written = log.lines().find_map(|line| line.split("Test unit written to ").nth(1));
    match written {
        Some(artifact) => format!(
            "the input is {artifact}; replay it with\n  cargo run --package gotthard-fuzz --bin {target} -- {artifact}\n\
             or, with AddressSanitizer,\n  {} {artifact}",
            program(target).display()
        ),
        None => "no input was written: see the log above".to_owned(),
    }
}

fn fresh_copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| to.display().to_string())?;
    }
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn program(target: &str) -> PathBuf {
    steps::root().join("target/fuzz").join(TRIPLE).join("release").join(target)
}

fn folder() -> PathBuf {
    steps::root().join("fuzz")
}

/// Targets whose names begin so, and the words of their language.
const DICTIONARIES: [(&str, &str); 4] =
    [("ike_", "ike.dict"), ("payload_", "ike.dict"), ("bgp_", "bgp.dict"), ("prefix_", "bgp.dict")];

const FLAGS: [&str; 12] = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Zsanitizer=address",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Cforce-frame-pointers",
];

const TRIPLE: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

//! `cargo xtask test`: each step runs, whatever became of the ones before it; the end says what ran and what could not.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{fuzz, guard, packages, scenarios};

/// How long each fuzz target runs in CI.
pub(crate) const FUZZ_SECONDS: u64 = 10;

/// Runs of the model test in CI.
const MODEL_SEEDS: &str = "100000";

const CARGO_DENY: &str = "0.20.2";

/// Where tests append a line for each thing that they could not run; read and shown at the end.
pub(crate) const SKIPPED: &str = "target/skipped.txt";

/// What became of a step.
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

type Step = fn() -> Result<Outcome>;

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// How much can run side by side.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs every step and reports; success if none failed.
pub(crate) fn test() -> ExitCode {
    let steps: [(&'static str, Step); 11] = [
        ("packages", install_packages),
        ("fmt", || cargo(&["fmt", "--all", "--check"])),
        ("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        ("doc", doc),
        ("deny", deny),
        ("tests", || cargo(&["test", "--no-fail-fast", "--workspace", "--exclude", "gotthard-lab"])),
        ("model", model),
        ("demo", || cargo(&["run", "--release", "--", "demo"])),
        ("scenarios", || scenarios::run("").map(|()| Outcome::Passed)),
        ("guard", perf_guard),
        ("fuzz", || fuzz::run(FUZZ_SECONDS, "").map(|()| Outcome::Passed)),
    ];
    let _ = std::fs::remove_file(SKIPPED);
    let rows: Vec<Row> = steps.into_iter().map(|(name, step)| run(name, step)).collect();
    report(&rows)
}

fn run(name: &'static str, step: Step) -> Row {
    println!("\n==> {name}");
    let start = Instant::now();
    let outcome = step().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
    Row { name, outcome, took: start.elapsed() }
}

fn report(rows: &[Row]) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    println!("\n==> summary");
    for row in rows {
        let (word, why) = match &row.outcome {
            Outcome::Passed => {
                passed += 1;
                ("passed", "")
            }
            Outcome::Failed(why) => {
                failed += 1;
                ("FAILED", why.as_str())
            }
            Outcome::Skipped(why) => {
                skipped += 1;
                ("not run", why.as_str())
            }
        };
        println!("{:<10} {:<8} {:>5} s  {}", row.name, word, row.took.as_secs(), why);
    }
    for line in std::fs::read_to_string(SKIPPED).unwrap_or_default().lines() {
        println!("not run: {line}");
    }
    println!("\nsteps: {passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn install_packages() -> Result<Outcome> {
    let missing = packages::missing()?;
    if missing.is_empty() {
        return Ok(Outcome::Passed);
    }
    if !packages::can_install() {
        let why = format!("needs root and apt-get; missing: {}", missing.join(" "));
        return Ok(Outcome::Skipped(why));
    }
    packages::install()?;
    Ok(Outcome::Passed)
}

fn doc() -> Result<Outcome> {
    let mut command = Command::new("cargo");
    command.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    succeed(command)
}

/// Licences, bans and sources. Advisories need the RustSec database from the network, so they are no part of a test.
fn deny() -> Result<Outcome> {
    let installed = Command::new("cargo").args(["deny", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        let mut install = Command::new("cargo");
        install.args(["install", "--locked", "--version", CARGO_DENY, "cargo-deny"]);
        if let Err(error) = succeed(install) {
            return Ok(Outcome::Skipped(format!("cargo-deny could not be installed: {error:#}")));
        }
    }
    cargo(&["deny", "check", "bans", "licenses", "sources"])
}

/// The model of two endpoints and the worst of links, optimised: with so many seeds it takes a minute or two.
fn model() -> Result<Outcome> {
    let mut command = Command::new("cargo");
    command.args(["test", "--release", "--package", "gotthard-ike", "--test", "model", "--", "--nocapture"]);
    command.env("GOTTHARD_MODEL_SEEDS", MODEL_SEEDS);
    succeed(command)
}

fn perf_guard() -> Result<Outcome> {
    Ok(match guard::check()? {
        guard::Verdict::Kept => Outcome::Passed,
        guard::Verdict::Skipped(why) => Outcome::Skipped(why),
    })
}

fn cargo(args: &[&str]) -> Result<Outcome> {
    let mut command = Command::new("cargo");
    command.args(args);
    succeed(command)
}

fn succeed(mut command: Command) -> Result<Outcome> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(Outcome::Passed)
}

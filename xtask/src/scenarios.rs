//! The scenarios of `lab/tests`, against the binary and the package that are handed out: as many programs at a time as
//! there are cores, since most of a scenario is waiting; those that measure have the machine to themselves.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::package;
use crate::steps::{SKIPPED, cores, root};

/// What they hold to a bound depends on how busy the machine is: gaps in milliseconds, packets lost, shares of a core. And the
/// kernel ends the devices of `scrape` one after the other, and nobody else's meanwhile.
const ALONE: [&str; 9] =
    ["failover", "flaps", "flood", "idle", "rekey_load", "reload", "routes_shared", "scrape", "speed"];

/// What each program says.
const LOGS: &str = "target/scenarios";

/// A test program of the lab.
#[derive(Debug)]
struct Program {
    name: String,
    path: PathBuf,
}

/// Builds package and programs, and runs each of those whose names begin with `prefix`. Fails with the names of those
/// that failed.
pub(crate) fn run(prefix: &str) -> Result<()> {
    let folder = package::build(package::RELEASE)?;
    let packages =
        [("GOTTHARD_DEB", package::of(&folder, "deb")?), ("GOTTHARD_RPM", package::of(&folder, "rpm")?)];
    fs::create_dir_all(LOGS).context(LOGS)?;
    let mut programs = build()?;
    programs.retain(|program| program.name.starts_with(prefix));
    let (alone, together): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|program| ALONE.contains(&program.name.as_str()));
    let lane = |program: &Program, shared: bool| run_one(program, &packages, shared);
    let mut failed = run_lanes(together, cores(), |program| lane(program, true))?;
    failed.extend(run_lanes(alone, 1, |program| lane(program, false))?);
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// The programs, as cargo names them.
fn build() -> Result<Vec<Program>> {
    let mut command = Command::new("cargo");
    command.args(["test", "--no-run", "--profile", "scenario", "--package", "gotthard-lab"]);
    command
        .args(["--lib", "--tests", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    let lines = output.stdout.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    let messages = lines.map(serde_json::from_slice::<Value>).collect::<Result<Vec<_>, _>>()?;
    let mut programs: Vec<_> = messages.iter().filter_map(program).collect();
    // In the order of their names, whichever cargo had first.
    programs.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(name) = ALONE.iter().find(|name| programs.iter().all(|program| program.name != **name)) {
        bail!("{name} is to run alone, and there is no such program");
    }
    Ok(programs)
}

/// The program of a message, if it tells of one.
fn program(message: &Value) -> Option<Program> {
    let path = message.get("executable")?.as_str()?.into();
    Some(Program { name: message.pointer("/target/name")?.as_str()?.to_owned(), path })
}

/// Runs all of them, so many at a time; returns the names of those that failed.
fn run_lanes(
    programs: Vec<Program>,
    lanes: usize,
    run: impl Fn(&Program) -> Result<bool> + Sync,
) -> Result<Vec<String>> {
    let waiting = Mutex::new(VecDeque::from(programs));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let lane = || {
        let mut failed = Vec::new();
        while let Some(program) = next() {
            if !run(&program)? {
                failed.push(program.name);
            }
        }
        Ok(failed)
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let joined = lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| bail!("a lane panicked")));
        joined.collect::<Result<Vec<_>>>().map(|failed| failed.concat())
    })
}

/// Runs one and shows what it said once it has ended; true if it passed. Its log can be followed in `target/scenarios`.
fn run_one(program: &Program, packages: &[(&str, PathBuf)], shared: bool) -> Result<bool> {
    let lab = root().join("lab");
    let log = root().join(LOGS).join(&program.name).with_extension("log");
    let file = File::create(&log).with_context(|| log.display().to_string())?;
    let mut command = Command::new(&program.path);
    command.args(["--test-threads=1", "--nocapture"]).current_dir(&lab).env("CARGO_MANIFEST_DIR", lab);
    command.env("GOTTHARD_BIN", root().join("target/release/gotthard"));
    command.envs(packages.iter().map(|(name, package)| (name, package)));
    command.env("GOTTHARD_SKIPPED", root().join(SKIPPED));
    // An error of the lab says where it comes from; frames of the test harness below it would hide that.
    command.env("RUST_LIB_BACKTRACE", "0");
    command.envs(shared.then_some(("GOTTHARD_LAB_SHARED", "1")));
    command.stdout(file.try_clone()?).stderr(file);
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{command:?}"))?;
    let said = fs::read(&log).with_context(|| log.display().to_string())?;
    let (name, seconds) = (&program.name, start.elapsed().as_secs());
    println!("\n--- {name}: {status}, {seconds} s\n{}", String::from_utf8_lossy(&said));
    Ok(status.success())
}

//! One run of a scenario: whether it can run, its turn, its folder, and what is shown when it fails.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

use crate::{Suite, process};

/// What a scenario's test returns.
pub type Outcome = Result<()>;

/// What a scenario is given.
#[derive(Debug)]
pub struct Run {
    /// The suite both ends use.
    pub suite: Suite,
    dir: PathBuf,
}

impl Run {
    /// A run outside of a test: its files go to a folder of the caller's.
    pub fn new(suite: Suite, dir: PathBuf) -> Self {
        Self { suite, dir }
    }

    /// The folder of this run: configurations, logs, captures. Removed when the scenario has passed.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Runs a scenario in its turn, or says why it cannot run.
pub fn scenario(name: &str, suite: Suite, body: impl FnOnce(&Run) -> Result<()>) -> Outcome {
    if let Some(reason) = obstacle() {
        return skip(&format!("{name} ({}): {reason}", suite.word()));
    }
    let _turn = if std::env::var_os(SHARED).is_some() { shared_turn()? } else { turn()? };
    crate::netns::remove_leftovers()?;
    let dir = tempfile::Builder::new().prefix("gotthard-lab-").tempdir()?;
    let run = Run { suite, dir: dir.path().to_owned() };
    let ended = catch_unwind(AssertUnwindSafe(|| body(&run)));
    if !matches!(ended, Ok(Ok(()))) {
        let kept = dir.keep();
        say(&format!("lab: {name} ({}) failed; its files are in {}", suite.word(), kept.display()));
        show_logs(&kept);
    }
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Why scenarios cannot run here, if they cannot.
fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("there is no /dev/net/tun".to_owned());
    }
    let missing: Vec<_> = PROGRAMS.iter().copied().filter(|program| !in_path(program)).collect();
    (!missing.is_empty()).then(|| {
        format!("programs are missing: {}; `cargo xtask packages` installs them", missing.join(", "))
    })
}

fn in_path(program: &str) -> bool {
    std::env::split_paths(&process::search_path()).any(|dir| dir.join(program).exists())
}

/// Says that something could not run here, and why; a caller that must not miss it names a file in `GOTTHARD_SKIPPED`.
pub fn skip(why: &str) -> Result<()> {
    let line = format!("lab: skipped: {why}");
    say(&line);
    if let Some(file) = std::env::var_os(SKIPPED_FILE) {
        let mut file = OpenOptions::new().append(true).create(true).open(file)?;
        file.write_all(format!("{line}\n").as_bytes())?;
    }
    Ok(())
}

/// Waits until we have the machine to ourselves, until the file is closed, also by the end of the process.
pub fn turn() -> Result<File> {
    locked(FlockOperation::LockExclusive)
}

/// The same, beside others that share it: who sees to it that they are few says so by `GOTTHARD_LAB_SHARED`.
fn shared_turn() -> Result<File> {
    locked(FlockOperation::LockShared)
}

fn locked(operation: FlockOperation) -> Result<File> {
    let path = std::env::temp_dir().join("gotthard-lab.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(|| path.display().to_string())?;
    flock(&file, operation)?;
    Ok(file)
}

/// The ends of all logs in the folder.
fn show_logs(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut logs: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    for path in logs {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
        say(&format!("--- {}\n{}", path.display(), tail.join("\n")));
    }
}

/// A number that an environment variable names, so that the same scenario is short in CI and long where asked for.
pub fn number(variable: &str, default: u32) -> Result<u32> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(default),
    }
}

/// Prints a figure or a remark to standard error itself: the test runner captures what the print macros write.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Scenarios share the machine with others.
const SHARED: &str = "GOTTHARD_LAB_SHARED";

/// The file that collects what could not run.
const SKIPPED_FILE: &str = "GOTTHARD_SKIPPED";

const SHOWN_LINES: usize = 60;

/// The programs of `packages.txt`.
const PROGRAMS: [&str; 20] = [
    "bird",
    "birdc",
    "charon-systemd",
    "chromium",
    "ethtool",
    "exabgp",
    "gobgp",
    "gobgpd",
    "ip",
    "iperf3",
    "nft",
    "openssl",
    "ping",
    "script",
    "setpriv",
    "swanctl",
    "sysctl",
    "tcpdump",
    "tshark",
    "vtysh",
];

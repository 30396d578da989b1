//! On what, and with which versions, a run was made.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine and the programs on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    /// Of the programs, what they say themselves.
    pub(crate) versions: BTreeMap<String, String>,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        let memory_kib =
            value("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            processor: value("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_kib.unwrap_or_default().div_ceil(1 << 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            versions: versions(),
        }
    }
}

/// The first value of a key in a file of `key : value` lines.
fn value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'));
    value.map(|value| value.trim().to_owned())
}

fn versions() -> BTreeMap<String, String> {
    let asked: [(&str, &[&str]); 6] = [
        ("gotthard", &["git", "describe", "--always", "--dirty", "--tags"]),
        ("rustc", &["rustc", "--version"]),
        ("iperf3", &["iperf3", "--version"]),
        ("strongswan", &["dpkg-query", "--show", "--showformat=${Version}", "charon-systemd"]),
        ("wireguard-go", &["dpkg-query", "--show", "--showformat=${Version}", "wireguard-go"]),
        ("boringtun-cli", &["boringtun-cli", "--version"]),
    ];
    asked.into_iter().filter_map(|(name, command)| Some((name.to_owned(), first_line(command)?))).collect()
}

/// The first line that a program prints.
fn first_line(command: &[&str]) -> Option<String> {
    let [program, arguments @ ..] = command else { return None };
    let output = Command::new(program).args(arguments).env("PATH", search_path()?).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned).filter(|_| output.status.success())
}

/// `PATH`, and where the bench installs programs of crates.io: TARGET/peers/bin, beside TARGET/PROFILE/gotthard-benches.
fn search_path() -> Option<OsString> {
    let path = std::env::var_os("PATH")?;
    let own = std::env::current_exe().ok()?;
    let installed = own.ancestors().nth(2)?.join("peers/bin");
    std::env::join_paths(std::env::split_paths(&path).chain([installed])).ok()
}

//! A program as a candidate: `NAME=COMMAND` of the command line, and the WireGuard programs.
//!
//! The command runs on both ends, in the foreground, and makes a TUN device called `{interface}`. In it `{side}` is
//! `left` or `right`, `{local}` and `{remote}` are the outer addresses. A program that then listens where wg(8) looks for
//! it is configured as a WireGuard peer; any other must know what to do by itself.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gotthard_lab::{Process, wait};

use super::bed::{Bed, Side};
use super::up::Ends;
use crate::interrupt;

/// Starts the command on both ends and addresses its devices.
pub(super) fn start(bed: &Bed, command: &str, dir: &Path) -> Result<Ends> {
    // wg(8) knows a program by its device alone, whatever its host: no two may be called the same.
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let devices = Side::BOTH.map(|side| format!("gtw{serial}-{}", side.name()));
    let [left, right] = &devices;
    let ends = [(Side::Left, left), (Side::Right, right)];
    let [left, right] = ends.map(|(side, device)| spawn(bed, command, side, device, dir));
    let ends_up = Ends::Processes { left: left?, right: right? };
    if await_sockets(&devices) {
        wireguard(bed, &devices, dir)?;
    }
    for (side, device) in ends {
        bed.address_inside(side, device)?;
    }
    Ok(ends_up)
}

fn spawn(bed: &Bed, command: &str, side: Side, device: &str, dir: &Path) -> Result<Process> {
    let host = bed.host(side);
    let line = command
        .replace("{interface}", device)
        .replace("{side}", side.name())
        .replace("{local}", &bed.outer(side).to_string())
        .replace("{remote}", &bed.outer(side.other()).to_string());
    let mut shell = host.command("sh");
    shell.args(["-c", &format!("exec {line}")]);
    let (mut process, _) = Process::spawn_with_output(&mut shell, side.name(), dir)?;
    wait::until_true(START, format!("`{line}` to make its device"), || {
        interrupt::check()?;
        if !process.is_running()? {
            bail!("`{line}` has ended: {}", process.log().trim());
        }
        Ok(host.ip(&format!("link show {device}")).is_ok())
    })?;
    Ok(process)
}

/// Makes both ends each other's peer.
fn wireguard(bed: &Bed, devices: &[String; 2], dir: &Path) -> Result<()> {
    let key = |side: Side| dir.join(format!("{}.key", side.name()));
    let make_key = |side: Side| {
        let file = key(side);
        let script = "umask 077; wg genkey | tee \"$0\" | wg pubkey";
        let public = bed.host(side).output("sh", &["-c", script, &file.to_string_lossy()]);
        public.context("wg (apt-get install wireguard-tools)")
    };
    let publics = [make_key(Side::Left)?, make_key(Side::Right)?];
    let ends = Side::BOTH.into_iter().zip(devices).zip(publics.iter().rev());
    for ((side, device), theirs) in ends {
        let endpoint = format!("{}:{PORT}", bed.outer(side.other()));
        let (key, port) = (key(side), PORT.to_string());
        bed.host(side).output(
            "wg",
            &[
                "set",
                device,
                "private-key",
                &key.to_string_lossy(),
                "listen-port",
                &port,
                "peer",
                theirs.trim(),
                "endpoint",
                &endpoint,
                "allowed-ips",
                "0.0.0.0/0",
            ],
        )?;
    }
    Ok(())
}

/// Waits a moment for both programs to listen where wg(8) looks for them: they do so soon after their device is there.
fn await_sockets(devices: &[String; 2]) -> bool {
    let listening = || Ok(devices.iter().all(|device| socket(device).exists()));
    wait::until_true(LISTENING, "a WireGuard program to listen", listening).is_ok()
}

fn socket(device: &str) -> PathBuf {
    Path::new("/var/run/wireguard").join(format!("{device}.sock"))
}

/// Removes the sockets of programs that were killed.
pub(super) fn remove_sockets() {
    let Ok(entries) = fs::read_dir("/var/run/wireguard") else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("gtw") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

static SERIAL: AtomicU32 = AtomicU32::new(0);

const PORT: u16 = 51_820;
const START: Duration = Duration::from_secs(5);
const LISTENING: Duration = Duration::from_millis(1500);

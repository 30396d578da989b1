//! TCP streams by iperf3: one server a candidate, one client a measurement.

use core::time::Duration;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gotthard_lab::{Process, wait};
use serde_json::Value;

use super::bed::{Bed, Side};
use super::cell::Sender;
use crate::interrupt;

/// What a measurement saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    /// What the receivers got, in bits per second.
    pub(super) rate: f64,
    /// The same in bits.
    pub(super) bits: f64,
    /// Segments that the senders sent again.
    pub(super) retransmits: u64,
}

/// Starts the server on the right end; returns when it listens.
pub(super) fn serve(bed: &Bed, dir: &Path) -> Result<Process> {
    let mut command = bed.right.command("iperf3");
    command.args(["-s", "--forceflush", "-B", &Side::Right.inner().to_string()]);
    let (server, output) = Process::spawn_with_output(&mut command, "iperf3-server", dir)?;
    wait::until_true(START, "iperf3 to listen", || {
        interrupt::check()?;
        Ok(fs::read_to_string(&output)?.contains("Server listening"))
    })?;
    Ok(server)
}

/// Runs streams for some seconds and returns what the receiving end saw.
pub(super) fn run(bed: &Bed, dir: &Path, flows: u8, sender: Sender, seconds: u32) -> Result<Streams> {
    let start = std::time::Instant::now();
    loop {
        let report = client(bed, dir, flows, sender, seconds)?;
        match report.get("error").and_then(Value::as_str) {
            None => return read(&report),
            // It takes the server a moment to be done with the measurement before.
            Some(error) if error.contains("busy") && start.elapsed() < START => {}
            Some(error) => bail!("iperf3: {error}"),
        }
    }
}

fn client(bed: &Bed, dir: &Path, flows: u8, sender: Sender, seconds: u32) -> Result<Value> {
    let mut command = bed.left.command("iperf3");
    command.args(["-J", "--connect-timeout", "3000", "-P", &flows.to_string(), "-t", &seconds.to_string()]);
    command.args(["-B", &Side::Left.inner().to_string(), "-c", &Side::Right.inner().to_string()]);
    if sender == Sender::Right {
        command.arg("-R");
    }
    let (mut client, output) = Process::spawn_with_output(&mut command, "iperf3-client", dir)?;
    let deadline = Duration::from_secs(seconds.into()) + END;
    wait::until_true(deadline, "iperf3 to end", || {
        interrupt::check()?;
        Ok(!client.is_running()?)
    })?;
    let text = fs::read_to_string(output)?;
    serde_json::from_str(&text).with_context(|| format!("iperf3: {text}{}", client.log()))
}

fn read(report: &Value) -> Result<Streams> {
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64);
    let (rate, bytes) = (number("/end/sum_received/bits_per_second"), number("/end/sum_received/bytes"));
    let retransmits = report.pointer("/end/sum_sent/retransmits").and_then(Value::as_u64);
    match (rate, bytes, retransmits) {
        (Some(rate), Some(bytes), Some(retransmits)) if bytes > 0.0 => {
            Ok(Streams { rate, bits: bytes * 8.0, retransmits })
        }
        _ => bail!("nothing arrived"),
    }
}

const START: Duration = Duration::from_secs(5);
const END: Duration = Duration::from_secs(8);

//! What a host sends is what the other receives, octet by octet, on every way through two gateways of ours; and what a
//! gateway takes of its host at full load.
//!
//! `GOTTHARD_INTEGRITY_MB=1024` carries a gigabyte each way and path.

use std::net::IpAddr;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use gotthard_lab::pair::{End, INSIDE, Pair};
use gotthard_lab::run::say;
use gotthard_lab::{Gotthard, Netns, Path, Run, payload, scenarios};

scenarios!(a_long_payload_arrives_as_it_was_sent_on_every_path_in_little_memory);

fn a_long_payload_arrives_as_it_was_sent_on_every_path_in_little_memory(run: &Run) -> Result<()> {
    let megabytes = megabytes()?;
    for (path, seed) in Path::all().zip(1..) {
        let start = Instant::now();
        let pair = Pair::new(run, &path.to_string(), [End::Gotthard(Some(path)); 2])?;
        let carried = Instant::now();
        carry_both_ways(&pair, megabytes << 20, seed).with_context(|| path.to_string())?;
        let seconds = carried.elapsed().as_secs_f64();
        let peaks =
            pair.gateways().map(|gateway| little_is_taken(gateway, path)).collect::<Result<Vec<_>>>()?;
        say(&format!(
            "lab:   {:<22} {:<4} {megabytes} MiB each way at {:.2} Gbit/s, at most {} KiB resident; {:.1} s",
            path.to_string(),
            run.suite.word(),
            bits(megabytes) / seconds / GIGA,
            peaks.iter().max().context("two gateways")?,
            start.elapsed().as_secs_f32()
        ));
    }
    Ok(())
}

/// Both directions at once, for both gateways to be at full load.
fn carry_both_ways(pair: &Pair, octets: u64, seed: u64) -> Result<()> {
    let [left, right] = &pair.hosts;
    let carry =
        |from: &Netns, to: &Netns, address: IpAddr, seed| payload::carry(from, to, address, octets, seed);
    thread::scope(|scope| {
        let back = scope.spawn(|| carry(right, left, INSIDE[0], seed << 32));
        let forth = carry(left, right, INSIDE[1], seed).context("from left to right");
        // One direction has just ended, the other may run yet.
        let threads = pair.gateways().try_for_each(no_kernel_worker);
        let back = back.join().map_err(|_| anyhow!("panicked"))?.context("from right to left");
        forth.and(back).and(threads)
    })
}

/// The kernel starts a thread `iou-wrk-PID` in a process whose requests to io_uring would block: none of ours may.
fn no_kernel_worker(gateway: &Gotthard) -> Result<()> {
    let threads = gateway.process.threads()?;
    let found = threads.iter().find(|name| name.starts_with("iou-wrk"));
    ensure!(found.is_none(), "{threads:?}");
    ensure!(threads.iter().any(|name| name.starts_with("gth-worker")), "{threads:?}");
    Ok(())
}

/// Returns the largest resident set so far in KiB.
fn little_is_taken(gateway: &Gotthard, path: Path) -> Result<u64> {
    no_kernel_worker(gateway)?;
    path.expect(&gateway.status()?.dataplane)?;
    let peak = gateway.process.peak_resident_kib()?;
    ensure!(peak <= PEAK_KIB, "{peak} KiB resident");
    Ok(peak)
}

fn megabytes() -> Result<u64> {
    match std::env::var(MEGABYTES) {
        Ok(text) => text.parse().with_context(|| format!("{MEGABYTES}={text}")),
        Err(_) => Ok(DEFAULT_MEGABYTES),
    }
}

/// Bits of the payload both ways.
#[allow(clippy::cast_precision_loss, reason = "two digits are shown")]
fn bits(megabytes: u64) -> f64 {
    (megabytes << 20) as f64 * 8.0 * 2.0
}

const MEGABYTES: &str = "GOTTHARD_INTEGRITY_MB";
/// A second or two on every path, also without offloads.
const DEFAULT_MEGABYTES: u64 = 128;
/// What a gateway may take of a small host's memory.
const PEAK_KIB: u64 = 64 << 10;
const GIGA: f64 = 1e9;

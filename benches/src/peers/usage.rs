//! What a process has used, from procfs: time on a core, memory at its height, kernel workers of its rings.

use core::time::Duration;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A process that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pid: u32,
}

impl Watched {
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// Time that its threads have spent on a core, in user space and in the kernel (`task/*/schedstat`, which counts
    /// nanoseconds; utime and stime of `stat` are the same time in ticks of 10 ms).
    pub(crate) fn cpu(self) -> Result<Duration> {
        let mut sum = Duration::ZERO;
        for task in self.tasks()? {
            // A thread may end while they are read.
            let Ok(schedstat) = fs::read_to_string(task.join("schedstat")) else { continue };
            let nanoseconds = schedstat.split(' ').next().and_then(|field| field.parse().ok());
            sum += Duration::from_nanos(nanoseconds.context("schedstat")?);
        }
        Ok(sum)
    }

    /// The largest resident set it has had, in KiB.
    pub(super) fn peak_kib(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Threads that io_uring made for what it could not do without blocking.
    pub(super) fn ring_workers(self) -> Result<usize> {
        let name = |task: &PathBuf| fs::read_to_string(task.join("comm")).unwrap_or_default();
        Ok(self.tasks()?.iter().filter(|task| name(task).starts_with("iou-wrk")).count())
    }

    fn tasks(self) -> Result<Vec<PathBuf>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid))?;
        Ok(tasks.map(|task| task.map(|task| task.path())).collect::<Result<_, _>>()?)
    }
}

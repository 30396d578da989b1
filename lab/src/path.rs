//! The ways a packet can take through our gateway; each can be forced by the configuration.

use core::fmt;
use core::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

use crate::status::Dataplane;

/// One way: back end, offloads, number of workers. Shown as `io_uring-offloads-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// What moves the packets.
    pub backend: &'static str,
    /// Whether many packets may come and go as one.
    pub offloads: bool,
    /// Threads that move packets.
    pub workers: usize,
}

impl Path {
    /// Every way.
    pub fn all() -> impl Iterator<Item = Self> {
        let workers = |backend, offloads| WORKERS.map(|workers| Self { backend, offloads, workers });
        let offloads = move |backend| [true, false].into_iter().flat_map(move |on| workers(backend, on));
        BACKENDS.into_iter().flat_map(offloads)
    }

    /// The way that `GOTTHARD_PATH` names, so that every scenario can be run on each.
    pub fn wanted() -> Result<Option<Self>> {
        let wanted = std::env::var(WANTED).ok();
        wanted.map(|name| name.parse().with_context(|| format!("{WANTED}={name}"))).transpose()
    }

    /// The keys that force it, below `[gateway]`.
    pub fn keys(self) -> String {
        let Self { backend, offloads, workers } = self;
        format!("backend = \"{backend}\"\noffloads = {offloads}\nworkers = {workers}\n")
    }

    /// Fails unless a running gateway says that it takes this way.
    pub fn expect(self, runs: &Dataplane) -> Result<()> {
        ensure!(runs.backend == self.backend && runs.workers == self.workers, "{self}: {runs:?}");
        ensure!(runs.offloads.is_empty() != self.offloads, "{self}: {runs:?}");
        Ok(())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offloads = if self.offloads { "offloads" } else { "plain" };
        write!(f, "{}-{offloads}-{}", self.backend, self.workers)
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let names = || Self::all().map(|path| path.to_string()).collect::<Vec<_>>().join(" ");
        Self::all().find(|path| path.to_string() == name).with_context(|| format!("one of {}", names()))
    }
}

/// The back ends, as `backend` below `[gateway]` names them.
const BACKENDS: [&str; 2] = ["io_uring", "syscalls"];
/// One serves all; of two, one receives.
const WORKERS: [usize; 2] = [1, 2];
/// Names the way that every gateway of a scenario takes which forces none itself.
const WANTED: &str = "GOTTHARD_PATH";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_a_name_of_its_own_that_leads_back_to_it() -> Result<()> {
        let names: Vec<_> = Path::all().map(|path| path.to_string()).collect();
        assert_eq!(names.len(), 8);
        assert_eq!(names.first().map(String::as_str), Some("io_uring-offloads-1"));
        for (name, path) in names.iter().zip(Path::all()) {
            assert_eq!(name.parse::<Path>()?, path);
        }
        assert!("netmap-offloads-1".parse::<Path>().is_err());
        Ok(())
    }
}

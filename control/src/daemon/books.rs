//! What the tunnels carried this calendar month (UTC), by cloud and connection, and for how long each connection was there:
//! what the clouds bill. The books outlive the daemon, in a file of the state folder.
//!
//! They are written seldom, by a thread of its own, and whole or not at all: a daemon that is killed loses a minute. Where
//! they cannot be written, that is told once and the counting goes on in memory.

mod ledger;

use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gotthard_ike::Time;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{info, warn};

use self::ledger::Ledger;
use super::record::Carried;
use crate::api::status::TrafficStatus;
use crate::config::model::{Config, Connection};
use crate::config::prices::Prices;
use crate::{state_file, whole_file};

/// The books of a gateway, and their file.
pub(super) struct Books {
    ledger: Ledger,
    file: PathBuf,
    writing: Option<JoinHandle<io::Result<()>>>,
    /// When the latest write began; `None`: there was none.
    written: Option<Time>,
    /// The latest write failed, and that was told.
    failed: bool,
}

impl Books {
    /// Takes over what a daemon before us has written.
    pub(super) fn open(state: &Path) -> Self {
        let file = state.join(FILE);
        let ledger = state_file::read(&file, Ledger::from_json);
        let ledger = ledger.unwrap_or_else(|| Ledger::new(unix_s()));
        Self { ledger, file, writing: None, written: None, failed: false }
    }

    /// Notes that these connections are there; a new month begins here.
    pub(super) fn look(&mut self, config: &Config) {
        let connections = config.connections.iter();
        self.ledger
            .look(unix_s(), connections.map(|connection| (connection.cloud, connection.name.as_str())));
    }

    /// Counts what a tunnel of the connection has carried.
    pub(super) fn carried(&mut self, connection: &Connection, carried: Carried) {
        self.ledger.carried(connection.cloud, &connection.name, carried);
    }

    /// What it comes to; of the named connection, or of all.
    pub(super) fn status(&self, prices: &Prices, connection: Option<&str>) -> TrafficStatus {
        self.ledger.status(prices, connection)
    }

    /// Writes them where that is due, and takes note of how the latest write went.
    pub(super) async fn tend(&mut self, now: Time) {
        if let Some(writing) = self.writing.take_if(|writing| writing.is_finished()) {
            self.end(writing.await.unwrap_or_else(|error| Err(io::Error::other(error))));
        }
        let due = self.written.is_none_or(|written| now - written >= WRITE_EVERY);
        if due && self.writing.is_none() {
            self.written = Some(now);
            self.writing = Some(self.begin());
        }
    }

    /// Writes them for the last time.
    pub(super) async fn close(&mut self) {
        let earlier = self.writing.take();
        let written = timeout(PATIENCE, async {
            if let Some(earlier) = earlier {
                // What it has written is written again.
                drop(earlier.await);
            }
            self.begin().await.unwrap_or_else(|error| Err(io::Error::other(error)))
        });
        let written = written.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        self.end(written);
    }

    fn begin(&self) -> JoinHandle<io::Result<()>> {
        let (file, octets) = (self.file.clone(), self.ledger.to_json());
        spawn_blocking(move || whole_file::write(&file, &octets, MODE))
    }

    fn end(&mut self, written: io::Result<()>) {
        let file = self.file.display();
        match written {
            Ok(()) if self.failed => info!(%file, "what the tunnels carried this month is written again"),
            Ok(()) => {}
            Err(error) if !self.failed => {
                warn!(%file, %error, "what the tunnels carried this month is not written: a restart would forget it");
                self.failed = true;
                return;
            }
            Err(_) => return,
        }
        self.failed = false;
    }
}

/// What the wall clock shows, in seconds since 1970.
fn unix_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The file, below the state folder.
const FILE: &str = "traffic.json";
const MODE: u32 = 0o600;
/// Between two writes.
const WRITE_EVERY: Duration = Duration::from_mins(1);
/// How long the end of the daemon waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;

//! One event, told to every hook of a folder: in the order of their names, one after the other.

use core::time::Duration;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::{Instrument as _, debug, info_span};

use super::event::Event;
use super::folder::{self, Found};
use super::process;

/// What the hooks are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Round {
    event: String,
    connection: String,
    tunnel: String,
    /// The whole environment of each.
    pub(super) environment: Vec<(String, String)>,
}

/// What is to be told of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Of each file that is not run: why, in a line.
    pub(super) refused: Vec<String>,
    /// Hooks that did not end well, and why.
    pub(super) failed: Vec<(PathBuf, String)>,
}

impl Round {
    /// `missed`: events of the same lane that were dropped right before this one.
    pub(super) fn of(event: &Event, missed: u64) -> Self {
        let variables = event.environment(missed).into_iter();
        Self {
            event: event.name().to_owned(),
            connection: event.connection.clone(),
            tunnel: event.tunnel.as_ref().map(|tunnel| tunnel.name.clone()).unwrap_or_default(),
            environment: variables.map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    /// Runs the hooks that the folder has; each may take `limit`.
    pub(super) async fn run(&self, folder: PathBuf, limit: Duration) -> Outcome {
        let Self { event, connection, tunnel, environment } = self;
        let Found { hooks, refused } = scan(folder).await;
        let mut failed = Vec::new();
        for hook in hooks {
            let span = info_span!("hooks", event, connection, tunnel, file = %hook.display());
            match process::run(&hook, environment, limit).instrument(span).await {
                Ok(()) => debug!(hook = %hook.display(), "hook done"),
                Err(why) => failed.push((hook, why)),
            }
        }
        Outcome { refused, failed }
    }
}

/// Looks which hooks there are, and runs none.
pub(super) async fn look(folder: PathBuf) -> Outcome {
    Outcome { refused: scan(folder).await.refused, failed: Vec::new() }
}

/// A folder that cannot be read holds no hooks, and says why.
async fn scan(folder: PathBuf) -> Found {
    let scanned = {
        let folder = folder.clone();
        spawn_blocking(move || folder::scan(&folder)).await
    };
    let refused = |error: std::io::Error| Found { refused: vec![shown(&folder, &error)], hooks: Vec::new() };
    scanned.map_err(std::io::Error::other).flatten().unwrap_or_else(refused)
}

fn shown(folder: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", folder.display())
}

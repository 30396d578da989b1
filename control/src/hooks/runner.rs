//! Runs hooks beside the daemon's loop: a lane for each tunnel, a task for each lane that has something to do.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tracing::{Instrument as _, info_span, warn};

use super::beside::{Beside, Line};
use super::event::Event;
use super::process;
use super::queue::Queue;
use super::round::{self, Outcome, Round};
use crate::events::kind;

/// The hooks of a gateway. Telling it of an event never waits; a runtime must be there.
#[derive(Debug)]
pub struct Hooks {
    crew: Arc<Crew>,
}

/// What the tasks share.
#[derive(Debug)]
struct Crew {
    limit: Duration,
    state: Mutex<State>,
    /// Turns: events whose hooks run at once.
    turns: Semaphore,
    idle: Notify,
}

#[derive(Debug, Default)]
struct State {
    folder: Option<PathBuf>,
    /// Who runs the hooks of its folder.
    beside: Option<Beside>,
    /// Those that have a task.
    lanes: HashMap<Lane, Queue>,
    /// Refusals that were told, each once.
    told: BTreeSet<String>,
    closed: bool,
}

type Lane = (String, Option<String>);

impl Hooks {
    /// No folder yet; a hook may take `limit`.
    pub fn new(limit: Duration) -> Self {
        let (state, turns, idle) = (Mutex::default(), Semaphore::new(MAX_RUNNING), Notify::new());
        Self { crew: Arc::new(Crew { limit, state, turns, idle }) }
    }

    /// Has the hooks of that process's folder run by it.
    pub fn leave_to(&self, beside: Beside) {
        self.crew.state().beside = Some(beside);
    }

    /// Whether another process runs the hooks of a folder.
    pub fn are_left(&self, folder: &Path) -> bool {
        self.crew.state().beside.as_ref().is_some_and(|beside| beside.folder() == folder)
    }

    /// Takes the folder for events from here on, and tells what of it will not be run. `None`: there are no hooks.
    pub fn set_folder(&self, folder: Option<PathBuf>) {
        let mut state = self.crew.state();
        state.told.clear();
        state.folder.clone_from(&folder);
        drop(state);
        if let Some(folder) = folder {
            let crew = Arc::clone(&self.crew);
            tokio::spawn(async move { crew.run(None, folder).await });
        }
    }

    /// Runs every hook for this event, after those of earlier events of its lane.
    pub fn tell(&self, event: Event) {
        let mut state = self.crew.state();
        if state.folder.is_none() || state.closed {
            return;
        }
        let lane = event.lane();
        if let Some(queue) = state.lanes.get_mut(&lane) {
            return queue.push(event);
        }
        let mut queue = Queue::default();
        queue.push(event);
        state.lanes.insert(lane.clone(), queue);
        drop(state);
        tokio::spawn(Arc::clone(&self.crew).serve(lane));
    }

    /// Waits for the hooks of the events so far; after `patience` no further one starts. Those that run have their time.
    pub async fn finish(&self, patience: Duration) {
        if timeout(patience, self.crew.idle()).await.is_ok() {
            return;
        }
        self.crew.state().closed = true;
        if timeout(self.crew.limit + process::GRACE * 3, self.crew.idle()).await.is_err() {
            warn!("hooks are left behind");
        }
    }
}

impl Crew {
    /// Runs what waits in a lane, until nothing does.
    async fn serve(self: Arc<Self>, lane: Lane) {
        while let Some((event, missed, folder)) = self.next(&lane) {
            let (connection, tunnel) = &lane;
            let tunnel = tunnel.as_deref().unwrap_or_default();
            let span = info_span!("hooks", event = event.name(), connection, tunnel);
            async {
                if missed > 0 {
                    warn!(missed, "hooks are slower than what happens: superseded events were dropped");
                }
                self.run(Some(Round::of(&event, missed)), folder).await;
            }
            .instrument(span)
            .await;
        }
        self.idle.notify_waiters();
    }

    /// The next event of a lane; `None`: there is none, and the lane is gone.
    fn next(&self, lane: &Lane) -> Option<(Event, u64, PathBuf)> {
        let mut state = self.state();
        let next = if state.closed { None } else { state.lanes.get_mut(lane).and_then(Queue::pop) };
        let next = next.and_then(|(event, missed)| Some((event, missed, state.folder.clone()?)));
        if next.is_none() {
            state.lanes.remove(lane);
        }
        next
    }

    /// Has the hooks of a folder run, or without a round looked at, and tells what became of it.
    async fn run(&self, round: Option<Round>, folder: PathBuf) {
        // The semaphore is never closed.
        let Ok(_turn) = self.turns.acquire().await else { return };
        let beside =
            self.state().beside.as_ref().filter(|beside| beside.folder() == folder).map(Beside::line);
        let outcome = match (beside, round) {
            (Some(line), round) => ask(&line, round).await,
            (None, Some(round)) => round.run(folder, self.limit).await,
            (None, None) => round::look(folder).await,
        };
        for refused in &outcome.refused {
            let mut state = self.state();
            let news = state.told.len() < MAX_TOLD && state.told.insert(refused.clone());
            drop(state);
            if news {
                warn!(event = kind::HOOK_FAILED, "hook refused: {}", refused.escape_debug());
            }
        }
        for (hook, why) in &outcome.failed {
            warn!(hook = %hook.display(), why, event = kind::HOOK_FAILED, "hook failed");
        }
    }

    async fn idle(&self) {
        loop {
            let changed = self.idle.notified();
            tokio::pin!(changed);
            // Before looking, so that what ends meanwhile is not missed.
            changed.as_mut().enable();
            if self.state().lanes.is_empty() {
                return;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` of the process beside us is a refusal.
async fn ask(line: &Line, round: Option<Round>) -> Outcome {
    line.ask(round).await.unwrap_or_else(|| Outcome {
        refused: vec!["the process that runs hooks is gone: start the daemon again".to_owned()],
        failed: Vec::new(),
    })
}

/// Hooks that run at once: when all tunnels fall together, the host is not to fall with them.
pub(super) const MAX_RUNNING: usize = 8;
/// Refusals that are remembered, so that each is told once.
const MAX_TOLD: usize = 256;

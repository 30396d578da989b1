//! The beat of the page: the status every second while somebody watches, and every five for the history of the tunnels.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::sse::Event as Message;
use futures_util::stream::{select, unfold};
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::api::events::messages;
use crate::api::messages::{Request, Response};
use crate::api::server::Call;
use crate::api::status::{ConnectionStatus, Status, TunnelStatus};
use crate::events::Events;
use crate::history::{History, Sample};

/// What is known of the last hour, and who is told of the present.
pub(super) struct Pulse {
    events: Events,
    history: Mutex<History>,
    /// The last report. A client that is slow misses those in between; nothing queues up for it.
    reports: watch::Sender<Arc<str>>,
    /// Somebody new wants a report, and not in a second only.
    asked: Notify,
    places: Arc<Semaphore>,
}

/// What a page is told, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    /// Seconds since the page is served: the clock of the samples.
    now_s: u64,
    status: &'a Status,
    /// The last sample of each tunnel that has one.
    samples: Vec<Latest<'a>>,
}

#[derive(Serialize)]
struct Latest<'a> {
    connection: &'a str,
    tunnel: &'a str,
    #[serde(flatten)]
    sample: Sample,
}

impl Pulse {
    pub(super) fn new(events: Events) -> Self {
        Self {
            events,
            history: Mutex::default(),
            reports: watch::Sender::new(Arc::from("")),
            asked: Notify::new(),
            places: Arc::new(Semaphore::new(MAX_WATCHERS)),
        }
    }

    /// Asks the daemon until it ends.
    pub(super) async fn beat(&self, calls: mpsc::Sender<Call>) {
        let begin = Instant::now();
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.asked.notified() => {}
            }
            let due = self.history().is_due(begin.elapsed());
            let watched = self.reports.receiver_count() > 0;
            if due || watched {
                let Some(response) = ask(&calls).await else { return };
                if let Response::Status(status) = response {
                    self.take(begin.elapsed(), &status, due);
                }
            }
        }
    }

    /// The samples of a tunnel, the oldest first; `None`: there is no such tunnel.
    pub(super) fn samples(&self, connection: &str, tunnel: &str) -> Option<VecDeque<Sample>> {
        self.history().of(connection, tunnel).cloned()
    }

    /// The last events, and reports and events from here on, the first report at once; `None`: too many are told already.
    pub(super) fn watch(&self) -> Option<impl Stream<Item = Message> + Send + use<>> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let reports = unfold((self.reports.subscribe(), place), next);
        self.asked.notify_one();
        let reports = reports.map(|report| Message::default().event(REPORT).retry(RETRY).data(report));
        let last = self.events.since(0, 0).last;
        Some(select(reports, messages(self.events.follow(Some(last.saturating_sub(SHOWN_EVENTS))))))
    }

    fn take(&self, now: Duration, status: &Status, due: bool) {
        let mut history = self.history();
        if due {
            history.take(now, status);
        }
        if self.reports.receiver_count() > 0 {
            let samples = latest(&history, status);
            let report = Report { now_s: now.as_secs(), status, samples };
            let report = serde_json::to_string(&report).unwrap_or_default();
            self.reports.send_replace(report.into());
        }
    }

    /// A thread that panicked with it left whole samples.
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn latest<'a>(history: &History, status: &'a Status) -> Vec<Latest<'a>> {
    let of = |(connection, tunnel): (&'a ConnectionStatus, &'a TunnelStatus)| {
        let sample = *history.of(&connection.name, &tunnel.name)?.back()?;
        Some(Latest { connection: &connection.name, tunnel: &tunnel.name, sample })
    };
    status.tunnels().filter_map(of).collect()
}

type Watcher = (watch::Receiver<Arc<str>>, OwnedSemaphorePermit);

async fn next((mut reports, place): Watcher) -> Option<(Arc<str>, Watcher)> {
    reports.changed().await.ok()?;
    let report = Arc::clone(&reports.borrow_and_update());
    Some((report, (reports, place)))
}

/// What the daemon answers to the question for its status; `None`: it ends.
async fn ask(calls: &mpsc::Sender<Call>) -> Option<Response> {
    let (answer, answered) = oneshot::channel();
    calls.send(Call { request: Request::Status { connection: None }, answer }).await.ok()?;
    answered.await.ok()
}

/// Between two reports.
const BEAT: Duration = Duration::from_secs(1);
/// Name of the message that carries a report.
const REPORT: &str = "report";
/// A page whose stream ended asks again after this time.
const RETRY: Duration = Duration::from_secs(1);
/// Events that a page begins with.
const SHOWN_EVENTS: u64 = 50;
/// Pages that are told live at once.
const MAX_WATCHERS: usize = 16;

#[cfg(test)]
mod tests {
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    /// CPU time and not the clock's, so that a busy machine changes nothing.
    #[test]
    fn a_report_of_a_thousand_tunnels_with_their_samples_is_bounded_in_octets_and_time() {
        let mut status = crate::api::sample::status();
        let one = status.connections.remove(0);
        status.connections =
            (0..500).map(|n| ConnectionStatus { name: format!("aws-{n}"), ..one.clone() }).collect();
        let pulse = Pulse::new(Events::default());
        let reports = pulse.reports.subscribe();
        pulse.take(Duration::ZERO, &status, true);
        let cost = (1..=5).map(|at| {
            let before = cpu_time();
            pulse.take(Duration::from_secs(5 * at), &status, true);
            cpu_time().saturating_sub(before)
        });
        let cost = cost.min().unwrap();
        let report = reports.borrow();
        assert_eq!(
            (report.matches("\"peer\":").count(), report.matches("\"at_s\":25").count()),
            (1000, 1000)
        );
        assert!(report.len() < 1000 * 1536, "{} octets", report.len());
        let bound = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 20 });
        assert!(cost < bound, "{cost:?} of CPU time, {} octets", report.len());
    }

    fn cpu_time() -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
    }
}

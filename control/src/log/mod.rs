//! Logs: what happened at INFO, what an operator should look at at WARN. What is an event goes to the stream of events too,
//! whatever the level of the log.
//!
//! Lines go to standard error, or with all their fields to the journal where standard error leads there (`journal.rs`). Those that
//! anybody outside can cause are at most ten a second ([`limit`]).

mod journal;
pub mod limit;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use self::journal::Journal;
use self::limit::Limit;
use crate::events::{Events, layer};

/// What the log feeds.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// What happened.
    pub events: Events,
    /// Lines that are not logged.
    pub limit: Limit,
}

/// Starts logging; `GOTTHARD_LOG` sets the level (`debug`, or by module: `gotthard_ike=trace,info`).
pub fn init() -> Logs {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .with_env_var("GOTTHARD_LOG")
        .from_env_lossy();
    let lines = match Journal::of_standard_error() {
        Some(journal) => journal.boxed(),
        None => fmt::layer().with_writer(std::io::stderr).with_ansi(false).boxed(),
    };
    let logs = Logs::default();
    // The names of spans are noted by the layer of the events, before a line is written. A second call (tests) keeps the
    // first subscriber.
    let _ = registry()
        .with(layer::layer(logs.events.clone()))
        .with(lines.with_filter(filter))
        .with(logs.limit.clone())
        .try_init();
    logs
}

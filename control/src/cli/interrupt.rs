//! Ctrl-C, also while nobody waits for it: `ctrl_c` of tokio tells only of what comes after it was called, and from its first
//! call on the process does not end by itself.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Takes the place of the signal's own effect.
pub(super) struct Interrupt(Option<Signal>);

impl Interrupt {
    /// From here on none is lost. Where it cannot be caught it ends the process, as ever.
    pub(super) fn catch() -> Self {
        Self(signal(SignalKind::interrupt()).ok())
    }

    /// Waits for one, or takes one that has come.
    pub(super) async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => core::future::pending().await,
        }
    }
}

//! What the daemon is asked by signals: SIGTERM and SIGINT end it, SIGHUP has it read its configuration again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that concern the daemon.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

/// What a signal asks for.
pub(super) enum Asked {
    End,
    Reload,
}

impl Signals {
    /// Takes them from the system; they end the process no more.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.reload.recv() => Asked::Reload,
        }
    }
}

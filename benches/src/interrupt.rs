//! Ctrl-C and SIGTERM: noticed, so that what is under way can be taken down in order.

use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: OnceLock<()> = OnceLock::new();

/// Catches SIGINT, SIGTERM and SIGHUP from here on. The channel says when the first has come.
pub(crate) fn catch() -> Result<Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    drop(guard);
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        });
        let _ = INTERRUPTED.set(());
        // Nobody needs to listen: [`check`] tells it as well.
        let _ = sender.send(());
        // With the runtime gone the signals would have their default effect again, in the middle of taking down.
        loop {
            thread::park();
        }
    })?;
    Ok(receiver)
}

/// Fails once a signal has come.
pub(crate) fn check() -> Result<()> {
    if INTERRUPTED.get().is_some() {
        bail!("interrupted; everything is taken down");
    }
    Ok(())
}

//! `gotthard demo`: a gateway and a cloud on this machine, two tunnels between them, traffic, a failover, figures.
//!
//! Both sides are `gotthard run`, each in a network namespace of its own; the cloud side answers on two addresses, as an
//! AWS connection does. The namespaces have no name and the daemons die with us, so nothing is left behind, whatever
//! ends the demonstration.

mod daemon;
mod host;
mod network;
mod probes;
mod report;
mod settings;
mod stage;
mod story;
mod stream;

use std::fs::OpenOptions;
use std::io;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use gotthard_dataplane::netns;
use tokio::signal::unix::{SignalKind, signal};

use self::report::Steps;
use self::stage::Stage;

/// Runs the demonstration. For a process that has one thread still.
pub fn run() -> anyhow::Result<ExitCode> {
    require_tun()?;
    netns::isolate().map_err(|error| not_permitted(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(perform());
    // Threads that still wait for a packet hold up nobody.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn perform() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let steps = Steps::start();
    let mut stage = Stage::build()?;
    let result = tokio::select! {
        result = story::play(&mut stage, steps) => result,
        _ = interrupt.recv() => Err(anyhow!("interrupted; everything is cleaned up")),
        _ = terminate.recv() => Err(anyhow!("terminated; everything is cleaned up")),
        _ = hang_up.recv() => Err(anyhow!("the terminal is gone; everything is cleaned up")),
    };
    let cleared = stage.clear().await;
    result.and(cleared)
}

/// Says what is missing where there can be no tunnel device; better here than in a daemon's log.
fn require_tun() -> anyhow::Result<()> {
    match OpenOptions::new().read(true).write(true).open(TUN) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "the demonstration needs tunnel devices, and there is no {TUN}: load the module (modprobe tun), or give \
             the container the device (--device {TUN})"
        ),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => bail!(
            "the demonstration needs tunnel devices, and this user may not open {TUN}: run it as root (sudo gotthard \
             demo), or allow it to all, as most distributions do (chmod 0666 {TUN})"
        ),
        Err(error) => Err(error).with_context(|| format!("opening {TUN}")),
    }
}

fn not_permitted(error: &io::Error) -> anyhow::Error {
    // ENOSPC is the kernel's word for a limit on namespaces that is reached, and has nothing to do with space.
    let why = if error.kind() == io::ErrorKind::StorageFull {
        "their number is limited".to_owned()
    } else {
        error.to_string()
    };
    anyhow!(
        "the demonstration needs network namespaces of its own, and the kernel refuses them ({why}): run it as root \
         (sudo gotthard demo; in a container: --privileged), or permit user namespaces to ordinary users \
         (user.max_user_namespaces > 0, kernel.unprivileged_userns_clone = 1, \
         kernel.apparmor_restrict_unprivileged_userns = 0, each where the kernel has it)"
    )
}

const TUN: &str = "/dev/net/tun";

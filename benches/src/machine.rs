//! The machine, for one bench with network namespaces at a time.

use std::fs::File;
use std::sync::mpsc::Receiver;

use anyhow::{Result, ensure};
use gotthard_lab::netns;
use gotthard_lab::run::turn;

use crate::interrupt;

/// The turn of one bench; it ends when this is dropped. Signals are noticed from its beginning on, since there is
/// something to take down.
pub(crate) struct Turn {
    _signalled: Receiver<()>,
    _turn: File,
}

/// Waits until no other bench or scenario measures, and removes what a killed one has left behind.
pub(crate) fn take() -> Result<Turn> {
    ensure!(rustix::process::geteuid().is_root(), "network namespaces and TUN devices need root");
    eprintln!("waiting for the machine to be free of other measurements …");
    let turn = turn()?;
    let signalled = interrupt::catch()?;
    netns::remove_leftovers()?;
    Ok(Turn { _signalled: signalled, _turn: turn })
}

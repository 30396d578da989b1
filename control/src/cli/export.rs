//! `gotthard export frr|bird`.

use super::args::{Daemon, ExportArgs};
use super::check;
use super::exit::Exit;
use super::text;
use crate::export;

/// Prints the neighbours; why there are none goes to standard error.
pub(super) fn export(wanted: &ExportArgs) -> Exit {
    let loaded = match check::read(&wanted.config.config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    match export::plan(&loaded.config, wanted.connection.as_deref()) {
        Ok(plan) => {
            print!(
                "{}",
                match wanted.daemon {
                    Daemon::Frr => export::frr(&plan),
                    Daemon::Bird => export::bird(&plan),
                }
            );
            Exit::Ok
        }
        Err(refused) => {
            eprintln!("error: {}", text::lines(&refused.to_string()));
            Exit::Failed
        }
    }
}

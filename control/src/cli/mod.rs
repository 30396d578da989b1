//! The command line: arguments in, exit code out. What it knows of the daemon are the messages of [`crate::api`].
//!
//! Standard output carries what was asked for, standard error the remarks and mistakes.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the module whose output a person or a script reads"
)]

mod args;
mod capture;
mod check;
mod doctor;
mod drill;
mod events;
mod exit;
mod explain;
mod export;
mod feed;
mod import;
mod interrupt;
mod keys;
mod order;
mod routes;
mod show;
mod table;
mod text;
mod top;
mod watch;

use std::future::Future;
use std::process::ExitCode;

use clap::Parser;

use crate::config::{ConfigErrors, RunOptions};
use crate::log::Logs;
use crate::{daemon, demo, hooks, log};

pub use args::Cli;
use args::{Command, KeysCommand};
pub use exit::Exit;

/// Runs the command that the process's arguments ask for.
pub fn main() -> ExitCode {
    if let Some(code) = hooks::beside::main() {
        return code;
    }
    let cli = Cli::parse();
    match cli.command {
        Command::Run { config } => {
            let logs = log::init();
            run(RunOptions { config: config.config, socket: cli.socket, state: cli.state }, logs)
        }
        Command::Check { config } => check::check(&config.config).into(),
        Command::Status(wanted) => in_runtime(show::status(&cli.socket, wanted)),
        Command::Top => in_runtime(top::top(&cli.socket)),
        Command::Routes(wanted) => in_runtime(routes::routes(&cli.socket, wanted)),
        Command::Up { target } => in_runtime(order::up(&cli.socket, target)),
        Command::Down { target } => in_runtime(order::down(&cli.socket, target)),
        Command::Rekey(wanted) => in_runtime(order::rekey(&cli.socket, wanted)),
        Command::Drill(wanted) => in_runtime(drill::drill(&cli.socket, wanted)),
        Command::Capture(wanted) => in_runtime(capture::capture(&cli.socket, wanted)),
        Command::Events(wanted) => in_runtime(events::events(&cli.socket, wanted)),
        Command::Reload => in_runtime(order::reload(&cli.socket)),
        Command::Explain { code } => explain::explain(code.as_deref()).into(),
        Command::Import(wanted) => import::import(&wanted).into(),
        Command::Export(wanted) => export::export(&wanted).into(),
        Command::Doctor(wanted) => in_runtime(doctor::doctor(&cli.socket, wanted)),
        Command::Keys { what: KeysCommand::Export(wanted) } => keys::export(&wanted).into(),
        Command::Demo => ended(demo::run()),
    }
}

fn run(options: RunOptions, logs: Logs) -> ExitCode {
    match runtime() {
        Ok(runtime) => ended(runtime.block_on(daemon::run(options, logs))),
        Err(error) => ended(Err(error.into())),
    }
}

/// The exit code of a long-lived command, and its last words.
fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            let invalid = error.downcast_ref::<ConfigErrors>().is_some();
            eprintln!("error: {}", text::lines(&format!("{error:#}")));
            if invalid { Exit::ConfigInvalid.into() } else { Exit::Failed.into() }
        }
    }
}

fn in_runtime(command: impl Future<Output = Exit>) -> ExitCode {
    match runtime() {
        Ok(runtime) => runtime.block_on(command).into(),
        Err(error) => ended(Err(error.into())),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

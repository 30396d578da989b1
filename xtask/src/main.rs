//! The project's own commands, as `cargo xtask COMMAND`.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its standard streams"
)]

mod fuzz;
mod guard;
mod package;
mod packages;
mod scenarios;
mod steps;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test              everything that CI runs: Debian packages of the lab (as root), fmt, clippy, doc, deny,
                    all tests, the model with 100,000 seeds, the scenarios against real peers, the perf guard,
                    and 10 s of each fuzz target
  scenarios [PREFIX] the scenarios, or the programs of lab/tests whose names begin with PREFIX, one a core
  fuzz [SECONDS [PREFIX]]
                    each fuzz target, or those whose names begin with PREFIX, for SECONDS (default 20), one a core
  guard [--bless]   count the instructions of each kernel and compare with benches/baselines; --bless accepts them
  package [PROFILE] build the deb and the rpm, in target/PROFILE/package (default: release)
  packages          install the Debian packages of the lab";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<ExitCode> {
    std::env::set_current_dir(steps::root()).context("the workspace's folder")?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["test"] => Ok(steps::test()),
        ["scenarios", prefix @ ..] if prefix.len() < 2 => {
            scenarios::run(prefix.first().unwrap_or(&"")).map(|()| ExitCode::SUCCESS)
        }
        ["fuzz"] => fuzz::run(steps::FUZZ_SECONDS, "").map(|()| ExitCode::SUCCESS),
        ["fuzz", seconds, prefix @ ..] if prefix.len() < 2 => {
            let seconds = seconds.parse().with_context(|| format!("SECONDS, not {seconds:?}"))?;
            fuzz::run(seconds, prefix.first().unwrap_or(&"")).map(|()| ExitCode::SUCCESS)
        }
        ["guard"] => guard(),
        ["guard", "--bless"] => guard::bless().map(|()| ExitCode::SUCCESS),
        ["package", profile @ ..] if profile.len() < 2 => {
            package(profile.first().unwrap_or(&package::RELEASE))
        }
        ["packages"] => packages::install().map(|()| ExitCode::SUCCESS),
        [] | ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("unknown arguments {args:?}\n{USAGE}"),
    }
}

fn package(profile: &str) -> Result<ExitCode> {
    println!("{}", package::build(profile)?.display());
    Ok(ExitCode::SUCCESS)
}

fn guard() -> Result<ExitCode> {
    match guard::check()? {
        guard::Verdict::Kept => Ok(ExitCode::SUCCESS),
        guard::Verdict::Skipped(why) => bail!("nothing was compared: {why}"),
    }
}

//! The side-by-side throughput bench: every candidate between the same two hosts, in rounds that take turns.
//!
//! Within a round each cell is measured for one candidate after the other, so that what the machine does meanwhile
//! weighs on all of them alike; the tables show medians of the rounds.

mod bed;
mod candidate;
pub(crate) mod cell;
mod command;
pub(crate) mod generator;
mod measure;
mod programs;
mod tcp;
mod udp;
mod up;
pub(crate) mod usage;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;

pub(crate) use self::bed::{INNER_MTU, OUTER_MTU};
use self::candidate::{Candidate, Named};
use self::programs::Programs;
use self::up::Up;
use crate::report::{self, Report, Row, Sample, Settings};
use crate::{interrupt, machine};

/// What is measured, and where the report goes.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How often each cell is measured
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long a TCP measurement lasts
    #[arg(long, default_value_t = 1)]
    seconds: u32,
    /// Only the candidates whose names begin so
    #[arg(long, num_args = 1.., value_name = "NAME")]
    only: Vec<String>,
    /// A further program, run on both ends; it may use {interface}, {side}, {local} and {remote}
    #[arg(long, value_name = "NAME=COMMAND")]
    command: Vec<Named>,
    /// Folder for the JSON, the table and the pictures; without it they are only printed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A candidate, what runs of it, and its row.
struct Contender {
    candidate: Candidate,
    up: Option<Up>,
    row: Row,
}

/// Measures and reports.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.rounds > 0 && arguments.seconds > 0, "there is nothing to measure");
    let _turn = machine::take()?;
    command::remove_sockets();
    let dir = tempfile::Builder::new().prefix("gotthard-benches-").tempdir()?;
    let rows = measure_all(arguments, dir.path());
    command::remove_sockets();
    let settings = Settings { rounds: arguments.rounds, seconds: arguments.seconds };
    let report = Report::new(settings, rows?);
    println!("{}", report::markdown(&report));
    match &arguments.out {
        Some(out) => report::write(&report, out),
        None => Ok(()),
    }
}

fn measure_all(arguments: &Arguments, dir: &Path) -> Result<Vec<Row>> {
    let mut contenders = start_all(arguments, dir)?;
    for round in 1..=arguments.rounds {
        for cell in cell::Cell::all() {
            for contender in &mut contenders {
                if contender.candidate.cells.contains(&cell) {
                    contender.measure(round, cell, arguments)?;
                }
            }
        }
    }
    Ok(contenders.into_iter().map(Contender::end).collect())
}

fn start_all(arguments: &Arguments, dir: &Path) -> Result<Vec<Contender>> {
    let programs = Programs::new()?;
    let wanted = |candidate: &Candidate| {
        let named = |only: &String| candidate.name.starts_with(only.as_str());
        arguments.only.is_empty() || arguments.only.iter().any(named)
    };
    let candidates: Vec<_> = candidate::all(&arguments.command).into_iter().filter(wanted).collect();
    ensure!(!candidates.is_empty(), "no candidate is called {:?}", arguments.only);
    let mut contenders = Vec::new();
    for candidate in candidates {
        eprintln!("starting {} …", candidate.name);
        let started = Up::start(&candidate, &programs, dir);
        interrupt::check()?;
        let obstacle = started.as_ref().err().map(|error| format!("{error:#}"));
        if let Some(obstacle) = &obstacle {
            eprintln!("{} is left out: {obstacle}", candidate.name);
        }
        let mut row = Row::new(&candidate.name, &candidate.title, candidate.class, obstacle);
        row.runs = started.as_ref().ok().and_then(Up::runs);
        contenders.push(Contender { candidate, up: started.ok(), row });
    }
    Ok(contenders)
}

impl Contender {
    fn measure(&mut self, round: u32, cell: cell::Cell, arguments: &Arguments) -> Result<()> {
        let Some(up) = &mut self.up else { return Ok(()) };
        let measured = measure::measure(up, cell, arguments.seconds);
        interrupt::check()?;
        let said = match &measured {
            Ok(figure) => format!("{:.2} Gbps", figure.gbps),
            Err(error) => format!("{error:#}"),
        };
        eprintln!("round {round} of {}: {}, {}: {said}", arguments.rounds, self.candidate.name, cell.title());
        self.row.samples.push(match measured {
            Ok(figure) => Sample { round, cell, figure: Some(figure), failure: None },
            Err(error) => Sample { round, cell, figure: None, failure: Some(format!("{error:#}")) },
        });
        Ok(())
    }

    /// Takes down, with what the processes say of themselves at their end.
    fn end(mut self) -> Row {
        if let Some(up) = &mut self.up {
            if let Some(gateways) = up.gateways() {
                for gateway in gateways {
                    let peak = gateway.peak_kib().unwrap_or_default();
                    self.row.peak_kib = self.row.peak_kib.max(Some(peak));
                    self.row.ring_workers += gateway.ring_workers().unwrap_or_default();
                }
            }
            // What has been measured is worth more than a clean end.
            match up.end() {
                Ok(drops) => self.row.drops = drops,
                Err(error) => eprintln!("{} did not end well: {error:#}", self.candidate.name),
            }
        }
        self.row
    }
}

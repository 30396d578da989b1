//! `gotthard doctor`: looks at the host, and says why it does not work. With `--fix` it writes one file, which it shows first.

use core::fmt::Write as _;
use std::path::Path;

use super::args::{DoctorArgs, Output};
use super::check;
use super::exit::Exit;
use super::text;
use crate::api::client::ask;
use crate::api::messages::{Request, Response};
use crate::doctor::collect::{Told, collect};
use crate::doctor::{Finding, Report, Verdict, drop_in, judge};
use crate::whole_file;

/// Examines the host; fails where a check has found a problem.
pub(super) async fn doctor(socket: &Path, wanted: DoctorArgs) -> Exit {
    let config = match check::read(&wanted.config.config) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    let report = judge::judge(&config, &collect(&config, told(socket).await));
    match wanted.output {
        Output::Table => print!("{}", render(&report)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default()),
    }
    if wanted.fix && mend(&wanted.drop_in, &report) != Exit::Ok {
        return Exit::Failed;
    }
    if report.healthy { Exit::Ok } else { Exit::Failed }
}

/// What the daemon says; without one the host is looked at all the same.
async fn told(socket: &Path) -> Told {
    let mut told = Told::default();
    if let Ok(Response::Status(status)) = ask(socket, &Request::Status { connection: None }).await {
        told.status = Some(*status);
    }
    if let Ok(Response::Routes(table)) = ask(socket, &Request::Routes { connection: None }).await {
        told.overlaps = Some(table.overlaps);
    }
    told
}

fn render(report: &Report) -> String {
    let width = report.checks.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Finding { check, verdict, message, fix, .. } in &report.checks {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "PROBLEM",
            Verdict::Unknown => "unknown",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{word:<7}  {check:<width$}  {}", text::line(message));
        if let Some(fix) = fix {
            let _ = writeln!(out, "{:7}  {:width$}  fix: {}", "", "", text::line(fix));
        }
    }
    out
}

/// Shows the drop-in on standard error, beside whatever form the report has, and writes it.
fn mend(path: &Path, report: &Report) -> Exit {
    let shown = path.display().to_string();
    if report.settings().next().is_none() {
        eprintln!("{}: no setting of the kernel needs to be changed", text::line(&shown));
        return Exit::Ok;
    }
    let before = std::fs::read_to_string(path).unwrap_or_default();
    let after = drop_in::render(&before, report.settings());
    eprint!("{}:\n{}", text::line(&shown), text::lines(&after));
    match whole_file::write(path, after.as_bytes(), drop_in::MODE) {
        Ok(()) => {
            eprintln!("written; it counts from the next boot on, or now with: sysctl --system");
            Exit::Ok
        }
        Err(error) => {
            eprintln!("error: {}: {error}", text::line(&shown));
            Exit::Failed
        }
    }
}

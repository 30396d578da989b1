//! `gotthard drill`: starts it, shows how far it is, and ends it when interrupted. The daemon measures.

use core::time::Duration;
use std::fmt::Write as _;
use std::path::Path;

use tokio::time::sleep;

use super::args::{DrillArgs, Output};
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::order::{answer, unexpected};
use super::text;
use crate::api::drill::{DrillMove, DrillOrder, DrillReport, DrillState};
use crate::api::messages::{Request, Response};

/// Exits with 0 where it passed.
pub(super) async fn drill(socket: &Path, wanted: DrillArgs) -> Exit {
    let DrillArgs { connection, target, source, rate, output } = wanted;
    let order = DrillOrder { connection, target, source, rate };
    let mut interrupt = Interrupt::catch();
    let mut request = Request::Drill(order);
    let mut shown = String::new();
    loop {
        let state = match ask(socket, &request).await {
            Ok(state) => state,
            Err(exit) => return exit,
        };
        if state.stage != shown {
            eprintln!("{} ({} of {} echoes answered)", text::line(&state.stage), state.answered, state.sent);
            shown.clone_from(&state.stage);
        }
        if let Some(report) = state.report {
            print!("{}", rendered(&report, output));
            return if report.passed { Exit::Ok } else { Exit::Failed };
        }
        request = tokio::select! {
            () = sleep(PERIOD) => Request::DrillState,
            () = interrupt.next() => Request::DrillEnd,
        };
    }
}

async fn ask(socket: &Path, request: &Request) -> Result<DrillState, Exit> {
    let Response::Drill(state) = answer(socket, request.clone()).await? else { return Err(unexpected()) };
    Ok(*state)
}

fn rendered(report: &DrillReport, output: Output) -> String {
    match output {
        Output::Json => serde_json::to_string_pretty(report).unwrap_or_default() + "\n",
        Output::Table => table(report),
    }
}

// Writing to a String cannot fail.
fn table(report: &DrillReport) -> String {
    let DrillReport { connection, passed, reason, rate, sent, lost, moves, .. } = report;
    let verdict = if *passed { "PASSED" } else { "FAILED" };
    let mut out = format!("{}  {verdict}", text::line(connection));
    if let Some(reason) = reason {
        let _ = write!(out, "  {}", text::line(reason));
    }
    out.push('\n');
    for DrillMove { from, to, took_ms, gap_ms, sent, lost } in moves {
        let (from, to) = (text::line(&from.join("+")), text::line(&to.join("+")));
        let _ = writeln!(
            out,
            "  {from} -> {to}  moved in {took_ms:.1} ms  gap {gap_ms:.1} ms  {lost} of {sent} echoes lost"
        );
    }
    let _ = writeln!(out, "  in all {lost} of {sent} echoes lost, {rate} a second");
    out
}

/// Often enough for the daemon to know that we are there.
const PERIOD: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_first_and_each_move_has_its_gap() {
        let step = |from: &str, to: &str, gap_ms, lost| DrillMove {
            from: vec![from.to_owned()],
            to: vec![to.to_owned()],
            took_ms: 2.34,
            gap_ms,
            sent: 1003,
            lost,
        };
        let report = DrillReport {
            connection: "aws-prod".to_owned(),
            passed: false,
            reason: Some("7 echoes were lost while the traffic moved".to_owned()),
            target: None,
            rate: 1000,
            sent: 3010,
            lost: 7,
            moves: vec![step("1", "2", 6.5, 7), step("2", "1", 0.0, 0)],
        };
        let expected = "\
aws-prod  FAILED  7 echoes were lost while the traffic moved
  1 -> 2  moved in 2.3 ms  gap 6.5 ms  7 of 1003 echoes lost
  2 -> 1  moved in 2.3 ms  gap 0.0 ms  0 of 1003 echoes lost
  in all 7 of 3010 echoes lost, 1000 a second
";
        assert_eq!(table(&report), expected);
        let json: DrillReport = serde_json::from_str(&rendered(&report, Output::Json)).unwrap();
        assert_eq!(json, report);
    }
}

//! The tables, in Markdown.

use core::fmt::Write as _;

use super::aims;
use super::model::{Class, Report, Row};
use crate::peers::cell::{Cell, ONE_STREAM};
use crate::peers::{INNER_MTU, OUTER_MTU};

/// All tables of a run, with what they were measured on and how.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> core::fmt::Result {
    let (machine, settings) = (&report.machine, report.settings);
    writeln!(text, "`{}`\n", report.command)?;
    writeln!(
        text,
        "{}, on {} ({} cores, {} GiB), Linux {}. Medians of {} interleaved rounds; {} s a TCP measurement. \
         MTU {OUTER_MTU} outside and {INNER_MTU} inside for all. Gateways and generator share the cores.\n",
        report.date,
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        settings.rounds,
        settings.seconds
    )?;
    let versions: Vec<_> = machine.versions.iter().map(|(name, said)| format!("{name}: {said}")).collect();
    writeln!(text, "{}\n", versions.join("; "))?;
    let (rates, costs, udp): (Vec<Cell>, Vec<Cell>, Vec<Cell>) = (cells(true), cells(true), cells(false));
    heading(text, "TCP, Gbps (of veth alone, of the best gateway)")?;
    table(text, report, &rates, |row, cell| rate(report, row, cell))?;
    heading(text, "TCP, seconds on a core for each Gbit: left gateway / right gateway")?;
    table(text, report, &costs, cost)?;
    heading(text, "TCP, segments sent again")?;
    table(text, report, &costs, |row, cell| {
        row.median(cell, |figure| figure.retransmits.map(|count| count as f64))
            .map(|count| format!("{count:.0}"))
    })?;
    heading(text, "UDP at the highest rate with at most 1 % lost, thousand packets a second (Gbps inside)")?;
    table(text, report, &udp, packets)?;
    heading(text, "UDP, seconds on a core for each Gbit: left gateway / right gateway")?;
    table(text, report, &udp, cost)?;
    particular(text, report)?;
    processes(text, report)?;
    heading(text, "Ratios, and what is aimed at")?;
    aims::write(text, report)
}

fn cells(tcp: bool) -> Vec<Cell> {
    Cell::STANDARD.into_iter().filter(|cell| matches!(cell, Cell::Tcp { .. }) == tcp).collect()
}

fn heading(text: &mut String, title: &str) -> core::fmt::Result {
    writeln!(text, "### {title}\n")
}

/// One row a candidate, one column a cell. A candidate that could not run is a row with the reason.
fn table(
    text: &mut String,
    report: &Report,
    cells: &[Cell],
    show: impl Fn(&Row, Cell) -> Option<String>,
) -> core::fmt::Result {
    let titles: Vec<_> = cells.iter().map(|cell| cell.title()).collect();
    writeln!(text, "| | {} |\n|---|{}", titles.join(" | "), "---:|".repeat(cells.len()))?;
    for row in report.rows.iter().filter(|row| row.class != Class::Particular) {
        let shown = cells.iter().map(|cell| match (&row.obstacle, show(row, *cell)) {
            (None, Some(shown)) => shown,
            (None, None) if row.failure(*cell).is_some() => "failed".to_owned(),
            _ => "—".to_owned(),
        });
        let shown: Vec<_> = shown.collect();
        writeln!(text, "| {} | {} |", row.title, shown.join(" | "))?;
    }
    writeln!(text)
}

fn rate(report: &Report, row: &Row, cell: Cell) -> Option<String> {
    let gbps = row.gbps(cell)?;
    let bare = report.row("veth").and_then(|row| row.gbps(cell));
    let gateways = report.rows.iter().filter(|row| row.class.is_gateway());
    let best = gateways.filter_map(|row| row.gbps(cell)).max_by(f64::total_cmp);
    let of =
        |whole: Option<f64>| whole.map_or("—".to_owned(), |whole| format!("{:.0} %", gbps / whole * 100.0));
    Some(format!("{gbps:.2} ({}, {})", of(bare), of(best)))
}

fn cost(row: &Row, cell: Cell) -> Option<String> {
    let of = |side: usize| row.median(cell, |figure| figure.cpu?.get(side).copied());
    Some(format!("{:.3} / {:.3}", of(0)?, of(1)?))
}

fn packets(row: &Row, cell: Cell) -> Option<String> {
    let packets = row.median(cell, |figure| figure.packets)?;
    Some(format!("{:.0} ({:.2})", packets / 1e3, row.gbps(cell)?))
}

/// What was measured of us alone: one figure each, beside the same figure of the standard gateway.
fn particular(text: &mut String, report: &Report) -> core::fmt::Result {
    if !report.rows.iter().any(|row| row.class == Class::Particular) {
        return Ok(());
    }
    heading(text, "Particular cases")?;
    writeln!(text, "| | | Gbps | core s a Gbit | sent again |\n|---|---|---:|---:|---:|")?;
    for row in report.rows.iter().filter(|row| row.class == Class::Particular) {
        let cell = row.samples.first().map_or(ONE_STREAM, |sample| sample.cell);
        let gbps = row.gbps(cell).map_or("—".to_owned(), |gbps| format!("{gbps:.2}"));
        let again = row.median(cell, |figure| figure.retransmits.map(|count| count as f64));
        let again = again.map_or("—".to_owned(), |count| format!("{count:.0}"));
        let cost = cost(row, cell).unwrap_or("—".to_owned());
        writeln!(text, "| {} | {} | {gbps} | {cost} | {again} |", row.title, cell.title())?;
    }
    writeln!(text)
}

/// Memory, drops, and reasons of what is missing.
fn processes(text: &mut String, report: &Report) -> core::fmt::Result {
    heading(text, "The gateways' processes over the whole run")?;
    writeln!(
        text,
        "| | what runs | largest resident set, MiB | io_uring kernel workers | UDP packets reordered | dropped by reason |\n\
         |---|---|---:|---:|---:|---|"
    )?;
    for row in &report.rows {
        if let Some(obstacle) = &row.obstacle {
            writeln!(text, "| {} | left out: {} | | | | |", row.title, one_line(obstacle))?;
            continue;
        }
        let Some(peak) = row.peak_kib else { continue };
        let drops: Vec<_> = row.drops.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let reordered = Cell::all().filter_map(|cell| row.largest(cell, |figure| figure.reordered)).max();
        writeln!(
            text,
            "| {} | {} | {:.1} | {} | {} | {} |",
            row.title,
            row.runs.as_deref().unwrap_or_default(),
            peak as f64 / 1024.0,
            row.ring_workers,
            reordered.map_or("—".to_owned(), |count| count.to_string()),
            drops.join(", ")
        )?;
    }
    let failures = report.rows.iter().flat_map(|row| {
        let failed = |cell: &Cell| row.obstacle.is_none() && row.failure(*cell).is_some();
        Cell::all().filter(failed).map(|cell| (row, cell)).collect::<Vec<_>>()
    });
    for (row, cell) in failures {
        let why = row.failure(cell).unwrap_or_default();
        writeln!(text, "\n{}, {}: a round failed: {}", row.title, cell.title(), one_line(why))?;
    }
    writeln!(text)
}

/// The first line of a reason, fit for a cell.
fn one_line(reason: &str) -> String {
    reason.lines().next().unwrap_or_default().replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Figure, Sample, Settings};

    fn row(name: &str, class: Class, gbps: f64) -> Row {
        let figure = Some(Figure { gbps, cpu: Some([0.05, 0.075]), ..Figure::default() });
        let samples = vec![Sample { round: 1, cell: ONE_STREAM, figure, failure: None }];
        Row { samples, ..Row::new(name, name, class, None) }
    }

    #[test]
    fn a_rate_is_shown_beside_the_link_and_the_best_gateway() {
        let missing = Row::new("absent", "absent", Class::Program, Some("it is not\ninstalled".to_owned()));
        let rows = vec![
            row("veth", Class::Link, 20.0),
            row("gotthard", Class::Ours, 8.0),
            row("strongswan", Class::Strongswan, 2.0),
            missing,
        ];
        let text = markdown(&Report::new(Settings { rounds: 1, seconds: 1 }, rows));
        assert!(text.contains("| gotthard | 8.00 (40 %, 100 %) |"), "{text}");
        assert!(text.contains("| strongswan | 2.00 (10 %, 25 %) |"), "{text}");
        assert!(text.contains("| gotthard | 0.050 / 0.075 |"), "{text}");
        assert!(text.contains("| one stream, GCM : veth alone | 0.400 | ≥ 0.45 | missed |"), "{text}");
        assert!(text.contains("| absent | left out: it is not | | | | |"), "{text}");
    }
}

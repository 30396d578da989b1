//! The pictures of a run.

use super::chart::{Bars, Chart, Mark};
use super::model::{Class, Report, Row};
use crate::peers::cell::{Cell, EIGHT_STREAMS, ONE_STREAM, ONE_STREAM_HOSTILE};

/// Their names and what they show.
pub(super) fn all(report: &Report) -> [(&'static str, Chart); 2] {
    [("peers", peers(report)), ("ceiling", ceiling(report))]
}

/// Everybody side by side.
fn peers(report: &Report) -> Chart {
    let cells = [ONE_STREAM, EIGHT_STREAMS, ONE_STREAM_HOSTILE];
    Chart {
        title: "TCP through one tunnel, Gbps".to_owned(),
        series: vec!["one stream", "eight streams", "one stream, path without super-packets"],
        rows: bars(report, &cells, |row| row.class != Class::Particular),
        marks: Vec::new(),
        caption: caption(report),
    }
}

/// What protects packets, beside what clouds let through one tunnel.
fn ceiling(report: &Report) -> Chart {
    Chart {
        title: "One TCP stream through one tunnel, Gbps".to_owned(),
        series: Vec::new(),
        rows: bars(report, &[ONE_STREAM], |row| row.class.is_gateway()),
        marks: vec![
            Mark { at: 1.25, label: "a cloud's tunnel: 1.25" },
            Mark { at: 5.0, label: "the largest that AWS sells: 5" },
        ],
        caption: caption(report),
    }
}

fn bars(report: &Report, cells: &[Cell], shown: impl Fn(&Row) -> bool) -> Vec<Bars> {
    let measured = |row: &&Row| shown(row) && cells.iter().any(|cell| row.gbps(*cell).is_some());
    let bars = |row: &Row| Bars {
        label: row.title.clone(),
        ours: row.class == Class::Ours,
        values: cells.iter().map(|cell| row.gbps(*cell)).collect(),
    };
    report.rows.iter().filter(measured).map(bars).collect()
}

fn caption(report: &Report) -> Vec<String> {
    let (machine, settings) = (&report.machine, report.settings);
    vec![
        report.command.clone(),
        format!(
            "medians of {} interleaved rounds; both gateways and iperf3 on the same {} cores; {}, Linux {}, {}",
            settings.rounds,
            machine.cores,
            machine.processor,
            machine.kernel,
            report.date.split('T').next().unwrap_or_default()
        ),
    ]
}

//! The data of a run, as its JSON has it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::peers::cell::Cell;

/// All of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The command that made it.
    pub(crate) command: String,
    /// When it ended, in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) rows: Vec<Row>,
}

/// How it was measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) rounds: u32,
    /// Of a TCP measurement.
    pub(crate) seconds: u32,
}

/// One candidate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What the command line calls it.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) class: Class,
    /// Why it could not run.
    pub(crate) obstacle: Option<String>,
    /// What its gateways say that they run; known of ours.
    pub(crate) runs: Option<String>,
    /// Largest resident set of its gateways, in KiB.
    pub(crate) peak_kib: Option<u64>,
    /// Threads that io_uring made for its gateways.
    pub(crate) ring_workers: usize,
    /// What its gateways dropped in the whole run, by reason; known of ours.
    pub(crate) drops: BTreeMap<String, u64>,
    pub(crate) samples: Vec<Sample>,
}

/// What a row is in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    /// The link by itself: a bound.
    Link,
    /// Our gateway.
    Ours,
    /// Our gateway without crypto: a bound too.
    NoCrypto,
    /// Our gateway in a case that no other is measured in.
    Particular,
    /// strongSwan.
    Strongswan,
    /// A WireGuard program, or a command of the caller's.
    Program,
}

impl Class {
    /// True for what protects the packets.
    pub(crate) fn is_gateway(self) -> bool {
        matches!(self, Self::Ours | Self::Strongswan | Self::Program)
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) round: u32,
    pub(crate) cell: Cell,
    pub(crate) figure: Option<Figure>,
    /// Why there is none.
    pub(crate) failure: Option<String>,
}

/// What a measurement saw; what does not apply is absent.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// At the receiver: of TCP the payload, of UDP the inner packets.
    pub(crate) gbps: f64,
    /// Inner packets a second.
    pub(crate) packets: Option<f64>,
    /// Seconds on a core for each gigabit, of the left gateway and of the right.
    pub(crate) cpu: Option<[f64; 2]>,
    /// Segments sent again.
    pub(crate) retransmits: Option<u64>,
    /// Lost packets, 0 to 1.
    pub(crate) loss: Option<f64>,
    /// Packets that came after a later one.
    pub(crate) reordered: Option<u64>,
}

impl Report {
    /// Of a run that ends here.
    pub(crate) fn new(settings: Settings, rows: Vec<Row>) -> Self {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        Self {
            command: format!("cargo run --release -p gotthard-benches -- {}", arguments.join(" ")),
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            machine: Machine::this(),
            settings,
            rows,
        }
    }

    /// The row of a candidate.
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

impl Row {
    /// A candidate that nothing is known of yet.
    pub(crate) fn new(name: &str, title: &str, class: Class, obstacle: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            class,
            obstacle,
            runs: None,
            peak_kib: None,
            ring_workers: 0,
            drops: BTreeMap::new(),
            samples: Vec::new(),
        }
    }

    /// The median over the rounds of something that was measured; `None` where no round has it.
    pub(crate) fn median(&self, cell: Cell, of: impl Fn(&Figure) -> Option<f64>) -> Option<f64> {
        let figures = self.samples.iter().filter(|sample| sample.cell == cell);
        let mut values: Vec<_> = figures.filter_map(|sample| of(sample.figure.as_ref()?)).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
        Some(f64::midpoint(*low, *high))
    }

    /// The median rate of a cell.
    pub(crate) fn gbps(&self, cell: Cell) -> Option<f64> {
        self.median(cell, |figure| Some(figure.gbps))
    }

    /// The largest value over the rounds.
    pub(crate) fn largest(&self, cell: Cell, of: impl Fn(&Figure) -> Option<u64>) -> Option<u64> {
        let figures = self.samples.iter().filter(|sample| sample.cell == cell);
        figures.filter_map(|sample| of(sample.figure.as_ref()?)).max()
    }

    /// Why a cell has no figure.
    pub(crate) fn failure(&self, cell: Cell) -> Option<&str> {
        let of_cell = self.samples.iter().find(|sample| sample.cell == cell && sample.figure.is_none());
        self.obstacle.as_deref().or(of_cell.and_then(|sample| sample.failure.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::cell::{EIGHT_STREAMS, ONE_STREAM};

    fn row(rates: &[Option<f64>]) -> Row {
        let sample = |gbps: &Option<f64>| Sample {
            round: 1,
            cell: ONE_STREAM,
            figure: gbps.map(|gbps| Figure { gbps, ..Figure::default() }),
            failure: gbps.is_none().then(|| "nothing arrived".to_owned()),
        };
        let samples = rates.iter().map(sample).collect();
        Row { samples, ..Row::new("a", "A", Class::Ours, None) }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(row(&[Some(9.0), Some(1.0), Some(2.0)]).gbps(ONE_STREAM), Some(2.0));
        assert_eq!(row(&[Some(4.0), Some(1.0), Some(2.0), Some(9.0)]).gbps(ONE_STREAM), Some(3.0));
        assert_eq!(row(&[]).gbps(ONE_STREAM), None);
        assert_eq!(row(&[Some(4.0)]).gbps(EIGHT_STREAMS), None);
    }

    #[test]
    fn a_round_that_failed_is_told_and_spoils_no_median() {
        let row = row(&[Some(4.0), None, Some(6.0)]);
        assert_eq!(row.gbps(ONE_STREAM), Some(5.0));
        assert_eq!(row.failure(ONE_STREAM), Some("nothing arrived"));
        assert_eq!(row.failure(EIGHT_STREAMS), None);
    }

    #[test]
    fn a_report_survives_its_json() {
        let report = Report::new(Settings { rounds: 1, seconds: 1 }, vec![row(&[Some(1.5)])]);
        let json = serde_json::to_string(&report).expect("JSON");
        let read: Report = serde_json::from_str(&json).expect("the same");
        assert_eq!(serde_json::to_string(&read).expect("JSON"), json);
    }
}

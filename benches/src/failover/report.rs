//! The table of gaps, and the page that it stands on.

use core::fmt;
use core::time::Duration;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{Contender, Show};

/// All gaps of one event with one gateway.
#[derive(Debug)]
pub(super) struct Row {
    contender: Contender,
    show: Show,
    /// From the LAN to the cloud.
    pub(super) egress: Vec<Duration>,
    /// From the cloud to the LAN, of those runs that waited for it.
    pub(super) ingress: Vec<Duration>,
    /// Packets from the LAN to the cloud that one run lost, at most.
    pub(super) lost: usize,
    /// The longest time until both tunnels and sessions were up again.
    pub(super) back: Option<Duration>,
}

impl Row {
    pub(super) const fn new(contender: Contender, show: Show) -> Self {
        Self { contender, show, egress: Vec::new(), ingress: Vec::new(), lost: 0, back: None }
    }

    /// The cells that say what this is a row of.
    fn name(&self) -> String {
        let what = match self.show {
            Show::BlackHole => "black hole",
            Show::OneWay => "black hole, from the endpoint to us alone",
            Show::Delete => "Delete of the IKE SA",
            Show::Cease => "Cease of the BGP session",
            Show::LinkDown => "device down",
            Show::Maintenance => "AWS's maintenance: MED, endpoint killed and started again",
            Show::Drain => "`gotthard down`, and `up` again",
        };
        let who = match self.contender {
            Contender::Gotthard => "Gotthard",
            Contender::Static => "Gotthard, static routes",
            Contender::Beside => "strongSwan + BIRD",
        };
        format!("| {what} | {who} |")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = self.back.map_or_else(String::new, |back| format!("{:.1}", back.as_secs_f64()));
        let (egress, ingress) = (shown(&self.egress), shown(&self.ingress));
        writeln!(f, "{} {egress} | {} | {ingress} | {back} |", self.name(), self.lost)
    }
}

/// The rows as a table in Markdown.
pub(super) fn table(rows: &[Row]) -> String {
    rows.iter().fold(HEAD.to_owned(), |text, row| text + &row.to_string())
}

/// Puts the rows between the two marks of the page, in the place of those of the same name; the others stay.
pub(super) fn write(page: &Path, rows: &[Row]) -> Result<()> {
    let text = std::fs::read_to_string(page)?;
    let (before, rest) = text.split_once(BEGIN).context(BEGIN)?;
    let (table, after) = rest.split_once(END).context(END)?;
    Ok(std::fs::write(page, format!("{before}{BEGIN}\n{}{END}{after}", renewed(table, rows)))?)
}

/// The rows and those of the table that they do not replace, in the order of the events.
fn renewed(table: &str, rows: &[Row]) -> String {
    let is_kept =
        |line: &&str| line.starts_with("| ") && !rows.iter().any(|row| line.starts_with(&row.name()));
    let kept =
        table.trim_start().lines().skip(HEAD.lines().count()).filter(is_kept).map(|line| format!("{line}\n"));
    let mut lines: Vec<String> = kept.chain(rows.iter().map(Row::to_string)).collect();
    let names: Vec<String> = Show::value_variants()
        .iter()
        .flat_map(|show| Contender::ALL.map(|contender| Row::new(contender, *show).name()))
        .collect();
    lines.sort_by_key(|line| names.iter().position(|name| line.starts_with(name)));
    HEAD.to_owned() + &lines.concat()
}

/// How many, their median, 99th percentile and longest.
fn shown(gaps: &[Duration]) -> String {
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get((sorted.len() * share).div_ceil(100).saturating_sub(1));
    let ms = |gap: Option<&Duration>| gap.map_or_else(String::new, |gap| gap.as_millis().to_string());
    format!("{} | {} | {} | {}", sorted.len(), ms(at(50)), ms(at(99)), ms(sorted.last()))
}

const HEAD: &str = "| what happens | gateway | runs | egress median, ms | 99 % | longest | packets lost at most | runs | ingress median, ms | 99 % | longest | all is back after, s |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";
const BEGIN: &str = "<!-- gotthard-benches failover -->";
const END: &str = "<!-- end -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_of_a_hundred_gaps_is_the_last_but_one() {
        let gaps: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(shown(&gaps), "100 | 50 | 99 | 100");
        assert_eq!(shown(&gaps[..1]), "1 | 100 | 100 | 100");
        assert_eq!(shown(&[]), "0 |  |  | ");
    }

    #[test]
    fn rows_of_the_same_name_are_renewed_and_the_others_stay_in_the_order_of_the_events() {
        let row = |show, gap| Row {
            egress: vec![Duration::from_millis(gap)],
            ..Row::new(Contender::Gotthard, show)
        };
        let first = renewed("", &[row(Show::Cease, 8), row(Show::Delete, 7)]);
        let second = renewed(&format!("\n{first}"), &[row(Show::Delete, 9)]);
        assert_eq!(second, table(&[row(Show::Delete, 9), row(Show::Cease, 8)]));
    }
}

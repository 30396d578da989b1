//! The table of gaps, and the page that it stands on.

use core::fmt::Write as _;
use core::time::Duration;
use std::path::Path;

use anyhow::{Context, Result};

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
}

impl Row {
    pub(super) const fn new(contender: Contender, show: Show) -> Self {
        Self { contender, show, egress: Vec::new(), ingress: Vec::new() }
    }
}

/// The rows as a table in Markdown.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(HEAD);
    for Row { contender, show, egress, ingress } in rows {
        let what = match show {
            Show::BlackHole => "black hole",
            Show::OneWay => "black hole, from the endpoint to us alone",
            Show::Delete => "Delete of the IKE SA",
            Show::Cease => "Cease of the BGP session",
            Show::LinkDown => "device down",
        };
        let who = match contender {
            Contender::Gotthard => "Gotthard",
            Contender::Beside => "strongSwan + BIRD",
        };
        let _ = writeln!(text, "| {what} | {who} | {} | {} |", shown(egress), shown(ingress));
    }
    text
}

/// Puts the table between the two marks of the page.
pub(super) fn write(page: &Path, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(page)?;
    let (before, rest) = text.split_once(BEGIN).context(BEGIN)?;
    let (_, after) = rest.split_once(END).context(END)?;
    Ok(std::fs::write(page, format!("{before}{BEGIN}\n{table}{END}{after}"))?)
}

/// How many, their median, 99th percentile and longest.
fn shown(gaps: &[Duration]) -> String {
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get((sorted.len() * share).div_ceil(100).saturating_sub(1));
    let ms = |gap: Option<&Duration>| gap.map_or_else(String::new, |gap| gap.as_millis().to_string());
    format!("{} | {} | {} | {}", sorted.len(), ms(at(50)), ms(at(99)), ms(sorted.last()))
}

const HEAD: &str = "| what ends | gateway | runs | egress median, ms | 99 % | longest | runs | ingress median, ms | 99 % | longest |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
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
}

//! What the demonstration tells: its steps as they happen, and a table of what was measured.

use std::io::{self, Write as _};
use std::time::Instant;

use super::network::{CLOUD_HOST, GATEWAY_HOST, Wire};
use super::probes::Outcome;
use super::stream::Rate;
use crate::api::status::TunnelStatus;

/// Tells the steps on standard output, with the time since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    start: Instant,
}

impl Steps {
    /// The start is now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Something has happened, or begins.
    pub(super) fn tell(self, text: &str) -> io::Result<()> {
        say(&format!("  [{:4.1} s] {text}\n", self.start.elapsed().as_secs_f64()))
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// One TCP stream through one tunnel.
    pub(super) rate: Rate,
    /// The failover.
    pub(super) probes: Outcome,
}

/// Tells what is going to be seen.
pub(super) fn introduce(wires: &[Wire; 2]) -> io::Result<()> {
    say(&introduction(wires))
}

/// Tells what was seen.
pub(super) fn conclude(tunnels: &[TunnelStatus], figures: &Figures) -> io::Result<()> {
    say(&format!("\n{}\n{}", tunnel_table(tunnels), figure_table(figures)))
}

/// Whole and at once, so that it is seen when it happens.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn introduction([first, second]: &[Wire; 2]) -> String {
    let line = |wire: &Wire| {
        let (near, far) = (format!("{} ", wire.gateway), format!(" {}", wire.cloud));
        format!("{near:─<13}── tunnel {} ──{far:─>14}", wire.tunnel)
    };
    format!(
        "Gotthard: two IPsec tunnels between a gateway and a cloud, both on this machine, in network namespaces\n\
         of their own. Nothing of this machine's network is touched, and nothing is left behind.\n\n  \
         {GATEWAY_HOST} ── gateway ─┬─ {} ─┬─ cloud ── {CLOUD_HOST}\n{:24}└─ {} ─┘\n\n",
        line(first),
        "",
        line(second),
    )
}

fn tunnel_table(tunnels: &[TunnelStatus]) -> String {
    let head = ["TUNNEL", "PEER", "IKE", "ESP", "MTU"].map(str::to_owned).to_vec();
    let row = |tunnel: &TunnelStatus| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let mtu = tunnel.esp.mtu.map_or_else(|| "-".to_owned(), |mtu| mtu.to_string());
        let esp = match &tunnel.esp.encapsulation {
            Some(encapsulation) => format!("{} in {encapsulation}", or_none(&tunnel.esp.suite)),
            None => or_none(&tunnel.esp.suite),
        };
        vec![tunnel.name.clone(), tunnel.peer.to_string(), or_none(&tunnel.ike.suite), esp, mtu]
    };
    let rows: Vec<_> = core::iter::once(head).chain(tunnels.iter().map(row)).collect();
    aligned(&rows)
}

fn figure_table(figures: &Figures) -> String {
    let Figures { rate, probes } = figures;
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![
        row(["MEASURED", "HERE", "TO COMPARE WITH"]),
        row([
            "one TCP stream, one tunnel",
            &format!("{} Gbps", three_digits(rate.gbps())),
            "1.25 Gbps, the ceiling of a single AWS tunnel",
        ]),
        row([
            "failover gap",
            &format!("{} ms", probes.gap.as_millis()),
            "three echoes in vain within 0.9 s; AWS itself waits 30 s or more",
        ]),
        row(["packets lost", &format!("{} of {}", probes.lost, probes.sent), "1000 a second were sent"]),
    ];
    if cfg!(debug_assertions) {
        rows.push(row(["", "", "this is a debug build; cargo run --release -- demo is faster"]));
    }
    aligned(&rows)
}

/// Columns as wide as their widest cell, two blanks between them, two before.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(format!("  {}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    text
}

/// A figure with three significant digits.
fn three_digits(figure: f64) -> String {
    // Rounded first: 9.996 has no second decimal left as 10.0.
    let rounded: f64 = format!("{figure:.2e}").parse().unwrap_or(figure);
    let decimals = [(100.0, 0), (10.0, 1), (1.0, 2), (0.1, 3), (0.01, 4)];
    let decimals = decimals.iter().find(|(from, _)| rounded >= *from).map_or(5, |(_, decimals)| *decimals);
    format!("{rounded:.decimals$}")
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::network::WIRES;
    use super::*;

    #[test]
    fn figures_have_three_significant_digits() {
        for (figure, shown) in [
            (1.25, "1.25"),
            (9.996, "10.0"),
            (12.345, "12.3"),
            (0.1234, "0.123"),
            (0.099_96, "0.100"),
            (0.012_34, "0.0123"),
            (123.4, "123"),
            (0.0, "0.00000"),
        ] {
            assert_eq!(three_digits(figure), shown);
        }
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_blanks() {
        let rows = [vec!["A", "BB", "C"], vec!["aaa", "b", "c"], vec!["a", "b", ""]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect()).to_vec();
        assert_eq!(aligned(&rows), "  A    BB  C\n  aaa  b   c\n  a    b\n");
    }

    #[test]
    fn the_figures_stand_beside_what_they_are_compared_with() {
        let figures = Figures {
            rate: Rate { octets: 375_000_000, elapsed: Duration::from_secs(3) },
            probes: Outcome { gap: Duration::from_millis(4321), sent: 6000, lost: 4300 },
        };
        let table = figure_table(&figures);
        for part in ["1.00 Gbps", "1.25 Gbps", "4321 ms", "within 0.9 s", "4300 of 6000"] {
            assert!(table.contains(part), "{part} in\n{table}");
        }
    }

    #[test]
    fn the_wires_of_the_introduction_join_at_both_ends() {
        let text = introduction(&WIRES);
        let joints = |sought: [char; 2]| -> Vec<Vec<usize>> {
            let columns = |line: &str| -> Vec<usize> {
                line.chars()
                    .enumerate()
                    .filter(|(_, c)| sought.contains(c))
                    .map(|(column, _)| column)
                    .collect()
            };
            text.lines().map(columns).filter(|columns| !columns.is_empty()).collect()
        };
        let (above, below) = (joints(['┬', '┬']), joints(['└', '┘']));
        assert_eq!(above, below, "{text}");
        assert_eq!(above.first().map(Vec::len), Some(2), "{text}");
    }
}

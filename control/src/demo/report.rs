//! What the demonstration tells: its steps as they happen, and a table of what was measured.

use core::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Instant;

use super::network::{CLOUD_HOST, GATEWAY_HOST, Wire};
use super::probes::Outcome;
use super::stream::Rate;
use crate::api::status::TunnelStatus;

/// Tells on standard output, with the time since the start.
#[derive(Debug)]
pub(super) struct Narrator {
    start: Instant,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// One TCP stream through one tunnel.
    pub(super) rate: Rate,
    /// The failover.
    pub(super) probes: Outcome,
    /// What decides when a tunnel is given up.
    pub(super) dpd_interval: &'static str,
}

impl Narrator {
    /// The start is now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// What is going to be seen.
    pub(super) fn introduce(&self, wires: &[Wire; 2]) -> io::Result<()> {
        say(&introduction(wires))
    }

    /// Something has happened, or begins.
    pub(super) fn step(&self, text: &str) -> io::Result<()> {
        say(&format!("  [{:4.1} s] {text}\n", self.start.elapsed().as_secs_f64()))
    }

    /// The end of it.
    pub(super) fn table(&self, tunnels: &[TunnelStatus], figures: &Figures) -> anyhow::Result<()> {
        Ok(say(&format!("\n{}\n{}", tunnel_table(tunnels), figure_table(figures)))?)
    }
}

/// Whole and at once, so that it is seen when it happens.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn introduction([first, second]: &[Wire; 2]) -> String {
    let line = |wire: &Wire| format!("{:>13} ── tunnel {} ── {:<14}", wire.gateway, wire.tunnel, wire.cloud);
    let (host, far) = (format!("{GATEWAY_HOST}"), format!("{CLOUD_HOST}"));
    let mut text = "Gotthard: two IPsec tunnels between a gateway and a cloud, both on this machine, in network namespaces\n\
         of their own. Nothing of this machine's network is touched, and nothing is left behind.\n\n"
        .to_owned();
    // Writing into a string cannot fail.
    let _ = writeln!(text, "  {host:9} ── gateway ─┬─ {} ─┬─ cloud ── {far}", line(first));
    let _ = writeln!(text, "  {:9}            └─ {} ─┘\n", "", line(second));
    text
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
    aligned(core::iter::once(head).chain(tunnels.iter().map(row)).collect())
}

fn figure_table(figures: &Figures) -> String {
    let Figures { rate, probes, dpd_interval } = figures;
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
            &format!("IKE liveness with dpd_interval = {dpd_interval} decides; AWS itself waits 30 s or more"),
        ]),
        row(["packets lost", &format!("{} of {}", probes.lost, probes.sent), "1000 a second were sent"]),
    ];
    if cfg!(debug_assertions) {
        rows.push(row(["", "", "a debug build: cargo run --release -- demo is many times as fast"]));
    }
    aligned(rows)
}

/// Columns as wide as their widest cell, two blanks between them, two before.
fn aligned(rows: Vec<Vec<String>>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: String = row.iter().zip(&widths).map(|(cell, width)| format!("  {cell:width$}")).collect();
        text.push_str(cells.trim_end());
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
        assert_eq!(aligned(rows), "  A    BB  C\n  aaa  b   c\n  a    b\n");
    }

    #[test]
    fn the_figures_stand_beside_what_they_are_compared_with() {
        let figures = Figures {
            rate: Rate { octets: 375_000_000, elapsed: Duration::from_secs(3) },
            probes: Outcome { gap: Duration::from_millis(4321), sent: 6000, lost: 4300 },
            dpd_interval: "1s",
        };
        let table = figure_table(&figures);
        for part in ["1.00 Gbps", "1.25 Gbps", "4321 ms", "dpd_interval = 1s", "4300 of 6000"] {
            assert!(table.contains(part), "{part} in\n{table}");
        }
    }

    #[test]
    fn the_introduction_is_aligned() {
        let text = introduction(&WIRES);
        let column = |line: &str, c: char| line.chars().position(|other| other == c);
        let lines: Vec<&str> = text.lines().collect();
        let [.., above, below, _] = lines[..] else { panic!("{text}") };
        assert_eq!(column(above, '┬'), column(below, '└'), "{text}");
        assert_eq!(
            above.chars().rev().position(|c| c == '┬'),
            below.chars().rev().position(|c| c == '┘').map(|n| n + 22)
        );
    }
}

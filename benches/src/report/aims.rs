//! The ratios that the packet path is judged by, each with what is aimed at on a machine of two cores.

use core::fmt::{Result, Write as _};

use super::model::{Class, Report, Row};
use crate::peers::cell::{Cell, EIGHT_STREAMS, LARGE_UDP, ONE_STREAM};

/// One of them.
struct Aim {
    what: &'static str,
    figure: Option<f64>,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

pub(super) fn write(text: &mut String, report: &Report) -> Result {
    writeln!(text, "| | measured | aim | |\n|---|---:|---:|---|")?;
    for Aim { what, figure, bound } in aims(report) {
        let (aim, met) = match bound {
            Bound::AtLeast(least) => (format!("≥ {least}"), figure.map(|figure| figure >= least)),
            Bound::AtMost(most) => (format!("≤ {most}"), figure.map(|figure| figure <= most)),
        };
        let met = met.map_or("not measured", |met| if met { "met" } else { "missed" });
        let figure = figure.map_or("—".to_owned(), |figure| format!("{figure:.3}"));
        writeln!(text, "| {what} | {figure} | {aim} | {met} |")?;
    }
    writeln!(text)
}

fn aims(report: &Report) -> Vec<Aim> {
    use Bound::{AtLeast, AtMost};
    let gbps = |name, cell| report.row(name).and_then(|row| row.gbps(cell));
    let ratio = |ours, theirs, cell| over(gbps(ours, cell), gbps(theirs, cell));
    let wireguard = best_wireguard(report);
    let wireguard_gbps = wireguard.and_then(|row| row.gbps(ONE_STREAM));
    let cost = |row: Option<&Row>| row.and_then(|row| dearer_end(row, ONE_STREAM));
    let (our_cost, their_cost) = (cost(report.row("gotthard")), cost(wireguard));
    let aim = |what, figure, bound| Aim { what, figure, bound };
    vec![
        aim(
            "one stream, GCM : without crypto",
            ratio("gotthard", "gotthard-no-crypto", ONE_STREAM),
            AtLeast(0.65),
        ),
        aim("one stream, GCM : veth alone", ratio("gotthard", "veth", ONE_STREAM), AtLeast(0.45)),
        aim("one stream, GCM : strongSwan GCM", ratio("gotthard", "strongswan", ONE_STREAM), AtLeast(12.0)),
        aim(
            "one stream, GCM : best WireGuard program",
            over(gbps("gotthard", ONE_STREAM), wireguard_gbps),
            AtLeast(2.5),
        ),
        aim("one stream, CBC : GCM", ratio("gotthard-cbc", "gotthard", ONE_STREAM), AtLeast(0.7)),
        aim(
            "one stream, CBC : strongSwan CBC",
            ratio("gotthard-cbc", "strongswan-cbc", ONE_STREAM),
            AtLeast(15.0),
        ),
        aim(
            "one stream, io_uring : system calls",
            ratio("gotthard", "gotthard-syscalls", ONE_STREAM),
            AtLeast(1.0),
        ),
        aim(
            "UDP 1400, io_uring : system calls",
            ratio("gotthard", "gotthard-syscalls", LARGE_UDP),
            AtLeast(1.15),
        ),
        aim(
            "one stream, zero checksums : gathered (GRO)",
            over(gbps("zero-checksums", ONE_STREAM), gbps("routed", ONE_STREAM)),
            AtLeast(0.4),
        ),
        aim(
            "eight streams, two workers : one",
            over(gbps("two-workers", EIGHT_STREAMS), gbps("gotthard", EIGHT_STREAMS)),
            AtLeast(1.3),
        ),
        aim(
            "1,000 flows, 1,000 SAs of 10,000 : one SA",
            ratio("many-sas", "one-sa", Cell::Flows),
            AtLeast(0.9),
        ),
        aim("core seconds a Gbit, GCM, the dearer gateway", our_cost, AtMost(0.1)),
        aim("the same : best WireGuard program", over(our_cost, their_cost), AtMost(0.333)),
    ]
}

/// The fastest program with one stream.
fn best_wireguard(report: &Report) -> Option<&Row> {
    let rows = report.rows.iter().filter(|row| row.class == Class::Program);
    rows.max_by(|a, b| a.gbps(ONE_STREAM).unwrap_or(0.0).total_cmp(&b.gbps(ONE_STREAM).unwrap_or(0.0)))
}

/// Core seconds a gigabit of the end that spends more.
fn dearer_end(row: &Row, cell: Cell) -> Option<f64> {
    row.median(cell, |figure| figure.cpu.map(|[left, right]| left.max(right)))
}

fn over(figure: Option<f64>, whole: Option<f64>) -> Option<f64> {
    Some(figure? / whole?)
}

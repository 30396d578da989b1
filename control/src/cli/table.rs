//! A status for people: aligned columns, and below a tunnel its first broken link.

use core::fmt::Write;
use core::time::Duration;

use super::text;
use crate::api::status::{
    BrokenLink, CloudTraffic, ConnectionState, ConnectionStatus, DataplaneStatus, Duty, IkeState, Link,
    LinkState, MonthTraffic, Note, ProbeState, Status, TunnelState, TunnelStatus,
};
use crate::cost;
use crate::counted::counted;
use crate::history::rates::Rates;

/// An earlier status, for rates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'s> {
    pub(super) status: &'s Status,
    /// Time between the two.
    pub(super) elapsed: Duration,
}

/// The table, with a line break at its end.
pub(super) fn render(status: &Status, before: Option<Before<'_>>) -> String {
    if status.connections.is_empty() {
        return "no connection is configured\n".to_owned();
    }
    let connections = status.connections.iter().map(|connection| render_connection(connection, before));
    let gateway = render_dataplane(&status.dataplane) + &render_month(&status.traffic.this_month);
    let parts: Vec<String> = connections.chain([gateway]).collect();
    parts.join("\n")
}

/// One line, the same for all connections.
fn render_dataplane(dataplane: &DataplaneStatus) -> String {
    let DataplaneStatus { backend, workers, offloads, cbc } = dataplane;
    let offloads = if offloads.is_empty() { "none".to_owned() } else { offloads.join(" ") };
    let workers = counted(*workers as u64, "worker", "workers");
    let line = format!("packet path  {backend}, {workers}, offloads: {offloads}, AES-CBC: {cbc}");
    text::line(&line) + "\n"
}

/// One line a cloud: what came from it and went to it this month, and what it bills where that is known.
fn render_month(month: &MonthTraffic) -> String {
    let line = |traffic: &CloudTraffic| {
        let CloudTraffic { cloud, in_bytes, out_bytes, cost, currency, .. } = traffic;
        let carried = format!("this month   {cloud}: in {}, out {}", octets(*in_bytes), octets(*out_bytes));
        let cost = (*cost > 0.0).then(|| format!(", about {}", cost::shown(*cost, currency)));
        text::line(&(carried + &cost.unwrap_or_default())) + "\n"
    };
    month.clouds.iter().map(line).collect()
}

fn render_connection(connection: &ConnectionStatus, before: Option<Before<'_>>) -> String {
    let carrying = connection.tunnels.iter().filter(|tunnel| tunnel.state == TunnelState::Up).count();
    let state = match connection.state {
        ConnectionState::Up => "UP",
        ConnectionState::Degraded => "DEGRADED",
        ConnectionState::Down => "DOWN",
    };
    let all = connection.tunnels.len();
    let tunnels = counted(all as u64, "tunnel carries", "tunnels carry");
    let mut out = format!("{}  {state}  {carrying} of {tunnels} traffic\n", text::line(&connection.name));
    let rows: Vec<Row> = connection.tunnels.iter().map(|tunnel| row(connection, tunnel, before)).collect();
    let widths: Row = core::array::from_fn(|column| {
        let cells = rows.iter().map(|row| &row[column]).map(String::as_str).chain([HEADER[column]]);
        " ".repeat(cells.map(|cell| cell.chars().count()).max().unwrap_or_default())
    });
    write_row(&mut out, &HEADER.map(str::to_owned), &widths);
    for (row, tunnel) in rows.iter().zip(&connection.tunnels) {
        write_row(&mut out, row, &widths);
        if let Some(broken) = &tunnel.broken {
            write_broken(&mut out, broken);
        }
        for note in &tunnel.notes {
            let _ = writeln!(out, "    {}", note_line(note));
        }
    }
    out
}

fn row(connection: &ConnectionStatus, tunnel: &TunnelStatus, before: Option<Before<'_>>) -> Row {
    [
        format!("{} {}", text::line(&tunnel.name), mark(tunnel)),
        tunnel.peer.to_string(),
        ike(tunnel).to_owned(),
        esp(tunnel).to_owned(),
        probe(tunnel),
        bgp(tunnel),
        tunnel.routes.installed.to_string(),
        traffic(connection, tunnel, before),
        since(tunnel.since_s),
    ]
}

/// How it is, in one character.
pub(super) const fn mark(tunnel: &TunnelStatus) -> char {
    match (tunnel.state, tunnel.duty) {
        (TunnelState::Up, Duty::Held | Duty::Draining) => '◐',
        (TunnelState::Up, Duty::Carrying | Duty::Standby | Duty::None) => '●',
        (TunnelState::Connecting | TunnelState::Down | TunnelState::AdminDown, _) => '▲',
    }
}

pub(super) fn ike(tunnel: &TunnelStatus) -> &'static str {
    match (tunnel.state, tunnel.ike.state) {
        (TunnelState::AdminDown, _) => "admin-down",
        (_, IkeState::Established) => "up",
        (_, IkeState::Connecting) => "connecting",
        (_, IkeState::Down) => "down",
    }
}

pub(super) const fn esp(tunnel: &TunnelStatus) -> &'static str {
    match tunnel.esp.state {
        LinkState::Up => "up",
        LinkState::Down => "down",
    }
}

pub(super) fn bgp(tunnel: &TunnelStatus) -> String {
    tunnel.bgp.as_ref().map_or_else(|| "-".to_owned(), |bgp| text::line(&bgp.state))
}

pub(super) fn probe(tunnel: &TunnelStatus) -> String {
    match (tunnel.probe.state, tunnel.probe.rtt_ms) {
        (ProbeState::Up, Some(rtt)) => format!("{rtt:.1} ms"),
        (ProbeState::Up, None) => "up".to_owned(),
        (ProbeState::Down, _) => "down".to_owned(),
        (ProbeState::Off, _) => "-".to_owned(),
    }
}

/// Rates where there is an earlier status of the same tunnel, else what it carried in all.
fn traffic(connection: &ConnectionStatus, tunnel: &TunnelStatus, before: Option<Before<'_>>) -> String {
    let rates = before.and_then(|before| {
        let earlier = before.status.tunnel(&connection.name, &tunnel.name)?;
        Rates::between(&earlier.esp, &tunnel.esp, before.elapsed)
    });
    match rates {
        Some(rates) => pair(rates.rx_bps.into(), rates.tx_bps.into(), "b/s"),
        None => pair(approximate(tunnel.esp.rx_bytes), approximate(tunnel.esp.tx_bytes), "B"),
    }
}

/// Two values in the unit that suits the larger: `0.9 / 0.3 Gb/s`.
fn pair(rx: f64, tx: f64, unit: &str) -> String {
    let (size, prefix) = scale(rx.max(tx));
    let digits = |value: f64| usize::from(value > 0.0 && size > 1.0);
    format!("{:.*} / {:.*} {prefix}{unit}", digits(rx), rx / size, digits(tx), tx / size)
}

/// One value in the unit that suits it: `0.9 Gb/s`.
pub(super) fn one(value: f64, unit: &str) -> String {
    let (size, prefix) = scale(value);
    format!("{:.*} {prefix}{unit}", usize::from(size > 1.0), value / size)
}

/// A count of octets: `1.5 GB`.
pub(super) fn octets(count: u64) -> String {
    one(approximate(count), "B")
}

fn scale(largest: f64) -> (f64, &'static str) {
    PREFIXES.iter().copied().find(|(size, _)| largest >= *size).unwrap_or((1.0, ""))
}

/// `00:04:12`, or `6d 02:11` from a day on.
pub(super) fn since(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days}d {hours:02}:{minutes:02}")
    } else {
        format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
    }
}

fn write_row(out: &mut String, row: &Row, widths: &Row) {
    let cells: Vec<String> =
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}", width = width.len())).collect();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "  {}", cells.join("  ").trim_end());
}

fn write_broken(out: &mut String, broken: &BrokenLink) {
    for line in broken_lines(broken) {
        let _ = writeln!(out, "    {line}");
    }
}

/// What a broken link says: what it is and what to do, and where more stands.
pub(super) fn broken_lines(broken: &BrokenLink) -> [String; 2] {
    let link = match broken.link {
        Link::Ike => "IKE",
        Link::Esp => "ESP",
        Link::Probe => "PROBE",
        Link::Bgp => "BGP",
        Link::Routes => "ROUTES",
    };
    let (code, message, remedy) =
        (text::line(&broken.code), text::line(&broken.message), text::line(&broken.remedy));
    [
        format!("first broken link: {link}  {code}  {message}: {remedy}"),
        format!("see: gotthard explain {code}"),
    ]
}

/// What is to be known of a tunnel that works.
pub(super) fn note_line(note: &Note) -> String {
    let [code, message, remedy] = [&note.code, &note.message, &note.remedy].map(|text| text::line(text));
    format!("note: {code}  {message}: {remedy}")
}

/// For display: above 2^53 the last digits are rounded.
#[allow(clippy::cast_precision_loss, reason = "two digits are shown")]
fn approximate(octets: u64) -> f64 {
    octets as f64
}

type Row = [String; 9];

const HEADER: [&str; 9] = ["TUNNEL", "PEER", "IKE", "ESP", "PROBE", "BGP", "ROUTES", "RX / TX", "SINCE"];
const PREFIXES: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::sample;

    #[test]
    fn columns_are_aligned_and_the_broken_link_is_below_its_tunnel() {
        let expected = "\
aws\\u{1b}  DEGRADED  1 of 2 tunnels carry traffic
  TUNNEL  PEER            IKE   ESP   PROBE   BGP  ROUTES  RX / TX       SINCE
  1 ●     198.51.100.11   up    up    8.1 ms  -    1       1.5 / 0.2 GB  6d 02:11
  2 ▲     198.51.100.112  down  down  -       -    0       0 / 0 B       00:04:12
    first broken link: IKE  GTH-IKE-02  the peer does not answer: is UDP 500 open?\\n
    see: gotthard explain GTH-IKE-02

packet path  io_uring, 2 workers, offloads: tso udp_gro, AES-CBC: vaes+sha-ni
";
        let mut status = sample::status();
        status.connections[0].name.push('\u{1b}');
        assert_eq!(render(&status, None), expected);
    }

    #[test]
    fn between_two_statuses_there_are_rates() {
        let (then, mut now) = (sample::status(), sample::status());
        now.connections[0].tunnels[0].esp.rx_bytes += 225_000_000;
        now.connections[0].tunnels[0].esp.tx_bytes += 25_000_000;
        let table = render(&now, Some(Before { status: &then, elapsed: Duration::from_secs(2) }));
        assert!(table.contains("  900.0 / 100.0 Mb/s  "), "{table}");
        assert!(table.contains("  0 / 0 b/s  "), "{table}");
    }

    #[test]
    fn a_tunnel_that_is_up_and_not_to_be_used_has_a_mark_of_its_own() {
        let mut status = sample::status();
        for duty in [Duty::Held, Duty::Draining] {
            status.connections[0].tunnels[0].duty = duty;
            assert!(render(&status, None).contains("1 ◐"), "{duty:?}");
        }
    }

    #[test]
    fn the_month_stands_below_with_what_it_costs_where_that_is_known() {
        let mut status = sample::status();
        let aws = CloudTraffic {
            cloud: "aws".to_owned(),
            in_bytes: 1_200_000_000_000,
            out_bytes: 80_300_000_000,
            connection_s: 1_555_200,
            cost: 122.18,
            currency: "USD".to_owned(),
        };
        let generic = CloudTraffic { cloud: "generic\n".to_owned(), cost: 0.0, ..aws.clone() };
        status.traffic.this_month.clouds = vec![aws, generic];
        let table = render(&status, None);
        let expected = "\
this month   aws: in 1.2 TB, out 80.3 GB, about $122.18
this month   generic\\n: in 1.2 TB, out 80.3 GB
";
        assert!(table.ends_with(expected), "{table}");
    }

    #[test]
    fn an_empty_gateway_says_so() {
        let empty = Status::new(DataplaneStatus::default(), Vec::new());
        assert_eq!(render(&empty, None), "no connection is configured\n");
    }
}

//! The screen of `gotthard top`, for any size: what has no room is left out, the least needed first.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row as TableRow, Table, TableState, Wrap};

use super::state::{Row, Top};
use crate::api::status::{BgpStatus, ConnectionState, Duty, TunnelState, TunnelStatus};
use crate::cli::{table, text};
use crate::counted::counted;
use crate::events::{Event, Severity};

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, top: &Top) {
    let area = frame.area();
    let rows = top.rows();
    let place = top.place(&rows);
    let tall = area.height;
    let wanted = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(1);
    let detail = if tall >= 16 { DETAIL } else { 0 };
    // Events have what is left, and a third of a tall screen at least.
    let events =
        if tall >= 20 { (tall / 3).max(tall.saturating_sub(wanted.saturating_add(2 + detail))) } else { 0 };
    let [title, tunnels, details, happened, help] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(detail),
        Constraint::Length(events),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(summary(top), title);
    tunnel_table(frame, &rows, place, tunnels);
    if let Some(row) = place.and_then(|place| rows.get(place)).filter(|_| detail > 0) {
        frame.render_widget(selected(row), details);
    }
    if events > 0 {
        frame.render_widget(last_events(top, events), happened);
    }
    let keys = format!("q quit  ↑↓ select  s sort: {}", top.sort.name());
    frame.render_widget(Paragraph::new(keys).style(SOFT), help);
}

fn summary(top: &Top) -> Line<'_> {
    let Some(status) = top.status() else { return Line::from("gotthard") };
    let mut spans = vec![Span::styled("gotthard", Style::new().add_modifier(Modifier::BOLD))];
    for connection in &status.connections {
        let (word, color) = match connection.state {
            ConnectionState::Up => ("UP", Color::Green),
            ConnectionState::Degraded => ("DEGRADED", Color::Yellow),
            ConnectionState::Down => ("DOWN", Color::Red),
        };
        spans.push(Span::raw(format!("  {} ", text::line(&connection.name))));
        spans.push(Span::styled(word, color));
    }
    Line::from(spans)
}

fn tunnel_table(frame: &mut Frame<'_>, rows: &[Row<'_>], place: Option<usize>, area: Rect) {
    if rows.is_empty() {
        return frame.render_widget("no connection is configured", area);
    }
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| area.width >= column.from).collect();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| (column.value)(row)).collect()).collect();
    let widths = columns.iter().enumerate().map(|(index, column)| {
        let lengths = cells.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
        let widest = lengths.chain([column.name.len()]).max().unwrap_or_default();
        Constraint::Length(u16::try_from(widest).unwrap_or(u16::MAX))
    });
    let widths: Vec<Constraint> = widths.collect();
    let lines = cells.iter().zip(rows).map(|(cells, row)| {
        TableRow::new(cells.iter().map(|cell| Cell::from(cell.as_str()))).style(color(row.tunnel))
    });
    let header = TableRow::new(columns.iter().map(|column| column.name)).style(SOFT);
    let table = Table::new(lines, widths)
        .header(header)
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(place));
}

/// What there is to say of one tunnel.
fn selected<'r>(row: &Row<'r>) -> Paragraph<'r> {
    let TunnelStatus { name, peer, interface, esp, .. } = row.tunnel;
    let title = format!(" {}/{} ", text::line(&row.connection.name), text::line(name));
    let mut lines = vec![Line::from(format!(
        "{peer}  {}  {}  MTU {}  {} in, {} out",
        text::line(interface),
        esp.suite.as_deref().map_or_else(|| "no SA".to_owned(), text::line),
        esp.mtu.map_or_else(|| "-".to_owned(), |mtu| mtu.to_string()),
        table::octets(esp.rx_bytes),
        table::octets(esp.tx_bytes),
    ))];
    if let Some(broken) = &row.tunnel.broken {
        lines.extend(table::broken_lines(broken).map(|line| Line::styled(line, Color::Red)));
    } else {
        lines.extend(row.tunnel.bgp.as_ref().map(|bgp| Line::from(session(bgp))));
        lines.push(Line::from(drops(row.tunnel)));
    }
    lines.extend(row.tunnel.notes.iter().map(|note| Line::styled(table::note_line(note), Color::Yellow)));
    Paragraph::new(lines).wrap(Wrap { trim: true }).block(Block::new().borders(Borders::TOP).title(title))
}

fn session(bgp: &BgpStatus) -> String {
    let BgpStatus { state, peer_asn, received, sent, .. } = bgp;
    let received = counted(*received, "prefix", "prefixes");
    format!("BGP {} with AS {peer_asn}  {received} received, {sent} sent", text::line(state))
}

fn drops(tunnel: &TunnelStatus) -> String {
    let counts = &tunnel.esp.drops;
    let named = [("replay", &counts.replay), ("icv", &counts.icv)];
    let others = counts.other.iter().map(|(reason, count)| (reason.as_str(), count));
    let all = named.into_iter().chain(others).filter(|(_, count)| **count > 0);
    let all: Vec<String> = all.map(|(reason, count)| format!("{} {count}", text::line(reason))).collect();
    if all.is_empty() { "no packet was dropped".to_owned() } else { format!("dropped: {}", all.join(", ")) }
}

fn last_events(top: &Top, height: u16) -> Paragraph<'_> {
    let lines: Vec<Line<'_>> = top.events().take(usize::from(height)).map(event).collect();
    Paragraph::new(lines).block(Block::new().borders(Borders::TOP).title(" Events "))
}

fn event(event: &Event) -> Line<'_> {
    // The time of day of an RFC 3339 date.
    let time = text::line(event.time.get(11..19).unwrap_or(&event.time));
    let place: Vec<String> =
        [&event.connection, &event.tunnel].into_iter().flatten().map(|name| text::line(name)).collect();
    let line =
        format!("{time}  {}  {}  {}", text::line(&event.code), place.join("/"), text::line(&event.message));
    Line::styled(
        line,
        match event.severity {
            Severity::Info => Color::Reset,
            Severity::Warning => Color::Yellow,
            Severity::Error => Color::Red,
        },
    )
}

const fn color(tunnel: &TunnelStatus) -> Color {
    match (tunnel.state, tunnel.duty) {
        (TunnelState::Up, Duty::Held | Duty::Draining) | (TunnelState::Connecting, _) => Color::Yellow,
        (TunnelState::Up, Duty::Carrying | Duty::Standby | Duty::None) => Color::Green,
        (TunnelState::Down, _) => Color::Red,
        (TunnelState::AdminDown, _) => Color::DarkGray,
    }
}

/// A column, and the width of the screen from which on it is shown.
struct Column {
    name: &'static str,
    from: u16,
    value: fn(&Row<'_>) -> String,
}

const COLUMNS: [Column; 11] = [
    Column { name: "TUNNEL", from: 0, value: |row| name(row) },
    Column { name: "PEER", from: 110, value: |row| row.tunnel.peer.to_string() },
    Column { name: "IKE", from: 72, value: |row| table::ike(row.tunnel).to_owned() },
    Column { name: "ESP", from: 72, value: |row| table::esp(row.tunnel).to_owned() },
    Column { name: "RTT", from: 60, value: |row| table::probe(row.tunnel) },
    Column { name: "BGP", from: 72, value: |row| table::bgp(row.tunnel) },
    Column { name: "ROUTES", from: 96, value: |row| row.tunnel.routes.installed.to_string() },
    Column { name: "RX", from: 0, value: |row| table::one(row.rates.rx_bps.into(), "b/s") },
    Column { name: "TX", from: 0, value: |row| table::one(row.rates.tx_bps.into(), "b/s") },
    Column { name: "DROPS", from: 72, value: |row| row.tunnel.esp.drops.total().to_string() },
    Column { name: "SINCE", from: 96, value: |row| table::since(row.tunnel.since_s) },
];

fn name(row: &Row<'_>) -> String {
    let mark = table::mark(row.tunnel);
    format!("{mark} {}/{}", text::line(&row.connection.name), text::line(&row.tunnel.name))
}

/// Lines of the selected tunnel: a rule, its facts, and a broken link over two lines.
const DETAIL: u16 = 5;
const SOFT: Style = Style::new().fg(Color::DarkGray);

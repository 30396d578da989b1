//! The screen as text, at sizes that terminals have.

use core::time::Duration;
use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::state::{Key, Sort, Top};
use super::{draw, ends};
use crate::api::sample;
use crate::api::status::BgpStatus;
use crate::events::{Event, Severity};

#[test]
fn a_usual_terminal_shows_tunnels_the_broken_link_and_events() {
    let mut top = top();
    top.press(Key::Down);
    let screen = screen(&top, 80, 24);
    assert!(screen[0].starts_with("gotthard  aws DEGRADED"), "{screen:#?}");
    assert!(screen[1].starts_with("TUNNEL   IKE   ESP   RTT     BGP  RX         TX"), "{screen:#?}");
    assert!(screen[2].starts_with("● aws/1  up    up    8.1 ms  -    80.0 Mb/s  8.0 kb/s"), "{screen:#?}");
    assert!(screen[3].starts_with("▲ aws/2  down  down  -       -    0 b/s      0 b/s"), "{screen:#?}");
    let text = screen.join("\n");
    for part in ["aws/2 ─", "first broken link: IKE  GTH-IKE-02", "12:00:01  GTH-EVT-01  aws/1  tunnel up"]
    {
        assert!(text.contains(part), "{part}: {screen:#?}");
    }
    assert_eq!(screen[23], "q quit  ↑↓ select  s sort: configuration");
}

#[test]
fn a_small_one_shows_what_is_needed_most() {
    let screen = screen(&top(), 40, 10);
    assert_eq!(screen[1], "TUNNEL   RX         TX");
    assert_eq!(screen[2], "● aws/1  80.0 Mb/s  8.0 kb/s");
    assert!(screen[9].starts_with("q quit"));
    assert!(!screen.join("\n").contains("GTH-EVT"));
}

#[test]
fn a_large_one_shows_all() {
    let screen = screen(&top(), 200, 60);
    for column in ["TUNNEL", "PEER", "IKE", "ESP", "RTT", "BGP", "ROUTES", "RX", "TX", "DROPS", "SINCE"] {
        assert!(screen[1].contains(column), "{column}: {screen:#?}");
    }
    assert!(screen[2].contains("198.51.100.11"));
}

#[test]
fn the_selected_tunnel_shows_its_session_and_the_prefixes_of_it() {
    let mut status = sample::status();
    status.connections[0].tunnels[0].bgp = Some(BgpStatus {
        state: "established".to_owned(),
        peer_asn: 64512,
        received: 12,
        sent: 1,
        hold_time_s: Some(30),
        since_s: Some(600),
        error: None,
    });
    let mut top = Top::default();
    top.take(Duration::from_secs(1), status);
    let screen = screen(&top, 80, 24);
    assert!(screen[2].starts_with("● aws/1  up    up    8.1 ms  established"), "{screen:#?}");
    let text = screen.join("\n");
    assert!(text.contains("BGP established with AS 64512  12 prefixes received, 1 sent"), "{text}");
    assert!(text.contains("no packet was dropped"), "{text}");
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [(1, 1), (3, 2), (10, 4), (79, 16), (500, 3)] {
        screen(&top(), width, height);
    }
}

#[test]
fn what_comes_from_outside_moves_no_cursor() {
    let mut top = Top::default();
    let mut status = sample::status();
    status.connections[0].name = "a\x1b[2J\u{202e}b".to_owned();
    status.connections[0].tunnels[0].broken = status.connections[0].tunnels[1].broken.clone();
    top.take(Duration::from_secs(1), status);
    top.happened(event("said \x1b]0;x\x07\r\n", "2\x1b"));
    let text = screen(&top, 120, 30).join("\n");
    assert!(
        text.contains("a\\u{1b}[2J\\u{202e}b/1") && text.contains("said \\u{1b}]0;x\\u{7}\\r\\n"),
        "{text}"
    );
    assert!(!text.chars().any(|c| c.is_control() && c != '\n') && !text.contains('\u{202e}'));
}

#[test]
fn the_selection_stays_with_its_tunnel() {
    let mut top = top();
    let selected = |top: &Top| top.place(&top.rows()).map(|place| top.rows()[place].tunnel.name.clone());
    assert_eq!(selected(&top).as_deref(), Some("1"));
    for (key, expected) in
        [(Key::Up, "1"), (Key::Down, "2"), (Key::Down, "2"), (Key::First, "1"), (Key::Last, "2")]
    {
        top.press(key);
        assert_eq!(selected(&top).as_deref(), Some(expected), "{key:?}");
    }
    top.press(Key::Sort);
    assert_eq!(
        (top.sort, top.place(&top.rows())),
        (Sort::Broken, Some(0)),
        "the broken one moved to the top"
    );
    top.press(Key::Up);
    assert_eq!(selected(&top).as_deref(), Some("2"));
    let mut without = sample::status();
    without.connections[0].tunnels.pop();
    top.take(Duration::from_secs(3), without);
    assert_eq!(selected(&top).as_deref(), Some("1"), "the selected tunnel is gone");
}

#[test]
fn every_order_is_reached_and_the_first_comes_again() {
    let mut top = top();
    let orders: Vec<Sort> = (0..6).map(|_| (top.sort, top.press(Key::Sort)).0).collect();
    let all = [Sort::Configured, Sort::Broken, Sort::Rate, Sort::RoundTrip, Sort::Drops, Sort::Configured];
    assert_eq!(orders, all);
    let names = |top: &Top| top.rows().iter().map(|row| row.tunnel.name.clone()).collect::<String>();
    for (sort, expected) in [
        (Sort::Configured, "12"),
        (Sort::Broken, "21"),
        (Sort::Rate, "12"),
        (Sort::RoundTrip, "12"),
        (Sort::Drops, "21"),
    ] {
        top.sort = sort;
        assert_eq!(names(&top), expected, "{sort:?}");
    }
}

#[test]
fn q_and_control_c_end_it() {
    let key = |code, modifiers| KeyEvent::new(code, modifiers);
    assert!(ends(&key(KeyCode::Char('q'), KeyModifiers::NONE)));
    assert!(ends(&key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    assert!(!ends(&key(KeyCode::Char('c'), KeyModifiers::NONE)));
}

/// Two statuses a second apart, and an event. The second tunnel has dropped packets.
fn top() -> Top {
    let mut top = Top::default();
    let mut status = sample::status();
    status.connections[0].tunnels[1].esp.drops.replay = 7;
    top.take(Duration::from_secs(1), status.clone());
    status.connections[0].tunnels[0].esp.rx_bytes += 10_000_000;
    status.connections[0].tunnels[0].esp.tx_bytes += 1000;
    top.take(Duration::from_secs(2), status);
    top.happened(event("tunnel up", "1"));
    top
}

fn event(message: &str, tunnel: &str) -> Event {
    Event {
        seq: 1,
        time: "2026-11-22T12:00:01.000Z".to_owned(),
        severity: Severity::Info,
        code: "GTH-EVT-01".to_owned(),
        name: "tunnel-up".to_owned(),
        cause: None,
        connection: Some("aws".to_owned()),
        tunnel: Some(tunnel.to_owned()),
        message: message.to_owned(),
        fields: BTreeMap::new(),
    }
}

/// The lines of the screen, without the blanks at their ends.
fn screen(top: &Top, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, top)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect()
}

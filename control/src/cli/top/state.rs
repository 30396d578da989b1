//! What `gotthard top` shows: statuses, events and keys go in, rows come out. Pure.

use core::cmp::{Ordering, Reverse};
use core::time::Duration;
use std::collections::VecDeque;

use crate::api::status::{ConnectionStatus, Status, TunnelState, TunnelStatus};
use crate::events::Event;
use crate::history::rates::Rates;

/// The screen's state.
#[derive(Debug, Default)]
pub(super) struct Top {
    status: Option<Status>,
    /// The status before, and when each of the two was asked for.
    before: Option<Status>,
    asked: Duration,
    elapsed: Duration,
    /// The newest first.
    events: VecDeque<Event>,
    /// Connection and tunnel. By name, so that it stays when the order changes.
    selected: Option<(String, String)>,
    pub(super) sort: Sort,
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    First,
    Last,
    Sort,
}

/// The order of the tunnels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// As the configuration has them.
    #[default]
    Configured,
    /// What does not work before what does.
    Broken,
    /// The busiest first.
    Rate,
    /// The slowest first.
    RoundTrip,
    /// The most drops first.
    Drops,
}

/// One tunnel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'t> {
    pub(super) connection: &'t ConnectionStatus,
    pub(super) tunnel: &'t TunnelStatus,
    pub(super) rates: Rates,
}

impl Top {
    /// Takes a status that was asked for at this time.
    pub(super) fn take(&mut self, now: Duration, status: Status) {
        self.elapsed = now.saturating_sub(self.asked);
        self.asked = now;
        self.before = self.status.replace(status);
        let known = self.selected.as_ref().is_some_and(|(connection, tunnel)| {
            self.status.as_ref().is_some_and(|status| status.tunnel(connection, tunnel).is_some())
        });
        if !known {
            self.selected = self.rows().first().map(Row::name);
        }
    }

    /// Takes an event; the oldest makes room.
    pub(super) fn happened(&mut self, event: Event) {
        self.events.push_front(event);
        self.events.truncate(EVENTS);
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: Key) {
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let at = self.place(&rows).unwrap_or(0);
        let to = match key {
            Key::Up => at.saturating_sub(1),
            Key::Down => at.saturating_add(1).min(last),
            Key::First => 0,
            Key::Last => last,
            Key::Sort => {
                self.sort = self.sort.next();
                return;
            }
        };
        self.selected = rows.get(to).map(Row::name);
    }

    /// The tunnels in their order.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let Some(status) = &self.status else { return Vec::new() };
        let mut rows: Vec<Row<'_>> = status.tunnels().map(|names| self.row(names)).collect();
        rows.sort_by(|a, b| self.sort.compare(a, b));
        rows
    }

    /// Where the selected tunnel is.
    pub(super) fn place(&self, rows: &[Row<'_>]) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        rows.iter().position(|row| row.name() == *selected)
    }

    /// The events, the newest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    pub(super) const fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    fn row<'t>(&'t self, (connection, tunnel): (&'t ConnectionStatus, &'t TunnelStatus)) -> Row<'t> {
        let before = self.before.as_ref().and_then(|before| before.tunnel(&connection.name, &tunnel.name));
        let rates = before.and_then(|before| Rates::between(&before.esp, &tunnel.esp, self.elapsed));
        Row { connection, tunnel, rates: rates.unwrap_or_default() }
    }
}

impl Row<'_> {
    fn name(&self) -> (String, String) {
        (self.connection.name.clone(), self.tunnel.name.clone())
    }
}

impl Sort {
    /// In the words of the help line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configuration",
            Self::Broken => "broken first",
            Self::Rate => "rate",
            Self::RoundTrip => "round trip",
            Self::Drops => "drops",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Configured => Self::Broken,
            Self::Broken => Self::Rate,
            Self::Rate => Self::RoundTrip,
            Self::RoundTrip => Self::Drops,
            Self::Drops => Self::Configured,
        }
    }

    fn compare(self, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        let rate = |row: &Row<'_>| row.rates.rx_bps + row.rates.tx_bps;
        let rtt = |row: &Row<'_>| row.tunnel.probe.rtt_ms.unwrap_or(-1.0);
        match self {
            Self::Configured => Ordering::Equal,
            Self::Broken => Reverse(brokenness(a.tunnel)).cmp(&Reverse(brokenness(b.tunnel))),
            Self::Rate => rate(b).total_cmp(&rate(a)),
            Self::RoundTrip => rtt(b).total_cmp(&rtt(a)),
            Self::Drops => b.tunnel.esp.drops.total().cmp(&a.tunnel.esp.drops.total()),
        }
    }
}

fn brokenness(tunnel: &TunnelStatus) -> u8 {
    match tunnel.state {
        TunnelState::Down => 3,
        TunnelState::Connecting => 2,
        TunnelState::AdminDown => 0,
        TunnelState::Up => u8::from(tunnel.broken.is_some()),
    }
}

/// More than a screen has lines.
const EVENTS: usize = 100;

//! The books themselves, without a clock or a file: a month's octets by cloud and connection, and the month before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::status::{CloudTraffic, MonthTraffic, TrafficStatus};
use crate::config::presets::Cloud;
use crate::config::prices::Prices;
use crate::cost::{Amount, Month};
use crate::daemon::record::Carried;

/// Two months.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// Always [`VERSION`].
    schema_version: u32,
    this: Book,
    last: Option<Book>,
}

/// One month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    month: Month,
    /// When the connections were last looked at, in seconds since 1970; 0: never.
    looked_s: u64,
    /// By the names of the cloud and of the connection.
    clouds: Clouds,
}

/// One connection in a month. What finds no room is counted under an empty name, which no connection has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    in_bytes: u64,
    out_bytes: u64,
    /// Since when it is there in this month, in seconds since 1970; 0: no clock has told.
    from_s: u64,
    /// When it was last there. In between the cloud has it whether or not we run, and bills it.
    to_s: u64,
}

impl Ledger {
    /// Empty books at a moment in seconds since 1970.
    pub(super) fn new(unix_s: u64) -> Self {
        Self { schema_version: VERSION, this: Book::new(Month::of(unix_s)), last: None }
    }

    /// Those of a file; `None`: it does not hold books, or another Gotthard's.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        let ledger: Self = serde_json::from_str(text).ok()?;
        (ledger.schema_version == VERSION).then_some(ledger)
    }

    /// For the file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        // Integers and strings cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Notes that these connections are there now, in seconds since 1970; a new month begins with them.
    pub(super) fn look<'a>(&mut self, unix_s: u64, connections: impl Iterator<Item = (Cloud, &'a str)>) {
        let month = Month::of(unix_s);
        self.turn_to(&month);
        // A clock that shows no time of this month measures no hours.
        let now = (month == self.this.month && month.is_credible()).then_some(unix_s);
        let begun = self.this.month.start();
        for (cloud, name) in connections {
            let mut stayed =
                || self.last.as_mut().is_some_and(|last| last.continues(cloud, name, begun, unix_s));
            if let Some(entry) = self.this.named(cloud, name)
                && let Some(now) = now
            {
                if entry.from_s == 0 {
                    entry.from_s = if stayed() { begun } else { now };
                }
                entry.to_s = entry.to_s.max(now);
            }
        }
        self.this.looked_s = now.unwrap_or(self.this.looked_s);
    }

    /// Counts what a tunnel has carried.
    pub(super) fn carried(&mut self, cloud: Cloud, connection: &str, carried: Carried) {
        if carried == Carried::default() {
            return;
        }
        let entry = self.this.entry(cloud, connection);
        entry.in_bytes = entry.in_bytes.saturating_add(carried.received);
        entry.out_bytes = entry.out_bytes.saturating_add(carried.sent);
    }

    /// What it comes to; of the named connection, or of all.
    pub(super) fn status(&self, prices: &Prices, connection: Option<&str>) -> TrafficStatus {
        TrafficStatus {
            this_month: self.this.status(prices, connection),
            last_month: self.last.as_ref().map(|book| book.status(prices, connection)),
        }
    }

    /// A clock that was set wrong and is set right goes back to the month before; one that was never set tells nothing.
    fn turn_to(&mut self, month: &Month) {
        if *month == self.this.month || !month.is_credible() {
            return;
        }
        if !self.this.month.is_credible() {
            // What was counted before the clock was set belongs to the month that it shows now.
            self.this.month = month.clone();
            return;
        }
        let next = match self.last.take() {
            Some(last) if last.month == *month => last,
            _ => Book::new(month.clone()),
        };
        self.last = Some(core::mem::replace(&mut self.this, next));
    }
}

impl Book {
    const fn new(month: Month) -> Self {
        Self { month, looked_s: 0, clouds: BTreeMap::new() }
    }

    /// The entry of a connection, made where it is missing; `None`: there is no room.
    fn named(&mut self, cloud: Cloud, name: &str) -> Option<&mut Entry> {
        let full = self.clouds.values().map(BTreeMap::len).sum::<usize>() >= MAX_CONNECTIONS;
        let entries = entries(&mut self.clouds, cloud);
        // Most are known, and need no name of their own.
        if !entries.contains_key(name) {
            if full {
                return None;
            }
            entries.insert(name.to_owned(), Entry::default());
        }
        entries.get_mut(name)
    }

    /// The entry of a connection that was looked at, or the one of those that found no room.
    fn entry(&mut self, cloud: Cloud, name: &str) -> &mut Entry {
        let entries = entries(&mut self.clouds, cloud);
        let name = if entries.contains_key(name) { name } else { OTHERS };
        entries.entry(name.to_owned()).or_default()
    }

    /// Whether the connection was there to the end of this month, which is then noted: it was when the daemon last looked,
    /// and that is not long ago.
    fn continues(&mut self, cloud: Cloud, name: &str, end_s: u64, now_s: u64) -> bool {
        let looked = (self.looked_s > 0).then_some(self.looked_s);
        let recent = looked.and_then(|looked| now_s.checked_sub(looked)).is_some_and(|away| away <= AWAY);
        let entry = self.clouds.get_mut(cloud.name()).and_then(|entries| entries.get_mut(name));
        match entry {
            Some(entry) if recent && entry.to_s >= self.looked_s => {
                entry.to_s = end_s;
                true
            }
            Some(_) | None => false,
        }
    }

    fn status(&self, prices: &Prices, connection: Option<&str>) -> MonthTraffic {
        let clouds = Cloud::ALL.into_iter().filter_map(|cloud| {
            let entries = self.clouds.get(cloud.name())?.iter();
            let mut entries =
                entries.filter(|(name, _)| connection.is_none_or(|wanted| wanted == *name)).peekable();
            entries.peek()?;
            let (mut in_bytes, mut out_bytes, mut connection_s) = (0_u64, 0_u64, 0_u64);
            for (_, entry) in entries {
                in_bytes = in_bytes.saturating_add(entry.in_bytes);
                out_bytes = out_bytes.saturating_add(entry.out_bytes);
                connection_s = connection_s.saturating_add(entry.to_s.saturating_sub(entry.from_s));
            }
            let price = prices.of(cloud);
            Some(CloudTraffic {
                cloud: cloud.name().to_owned(),
                in_bytes,
                out_bytes,
                connection_s,
                cost: Amount::of(price, in_bytes, connection_s).units(),
                currency: price.currency.as_str().to_owned(),
            })
        });
        MonthTraffic { month: self.month.to_string(), clouds: clouds.collect() }
    }
}

type Clouds = BTreeMap<String, BTreeMap<String, Entry>>;

/// Those of one cloud.
fn entries(clouds: &mut Clouds, cloud: Cloud) -> &mut BTreeMap<String, Entry> {
    clouds.entry(cloud.name().to_owned()).or_default()
}

const VERSION: u32 = 1;
/// Under this name is counted what finds no room.
const OTHERS: &str = "";
/// Connections of a month that have entries of their own; two full books are half of a file that is read.
const MAX_CONNECTIONS: usize = 2048;
/// A daemon that rested longer over a month's end does not know whether the cloud had the connection in between.
const AWAY: u64 = 7 * 24 * 3600;

#[cfg(test)]
mod tests;

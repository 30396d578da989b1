//! What the clouds bill for a month: the calendar, and the money for octets and hours. Pure; what was carried is counted in
//! `daemon/books.rs`, and what a cloud asks stands in `config/prices.rs`.
//!
//! Clouds bill what leaves them, which is what comes in here, and the hours of a VPN connection. Allowances, steps of the
//! price and taxes are not modelled: they hang on the whole account.

use core::fmt;
use core::time::Duration;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::config::prices::{Currency, Price};

/// A calendar month in UTC, which is when clouds begin a new bill.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month(String);

impl Month {
    /// The month of a moment, in seconds since 1970.
    pub fn of(unix_s: u64) -> Self {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s.min(LAST_SECOND));
        let written = humantime::format_rfc3339_seconds(at).to_string();
        Self(written.chars().take(LENGTH).collect())
    }

    /// Its first second since 1970.
    pub fn start(&self) -> u64 {
        start(&self.0).unwrap_or_default()
    }

    /// Whether a clock may show it: one that was never set shows 1970.
    pub fn is_credible(&self) -> bool {
        self.0.as_str() >= FIRST_CREDIBLE
    }
}

impl TryFrom<String> for Month {
    type Error = NoMonth;

    fn try_from(written: String) -> Result<Self, NoMonth> {
        if written.len() == LENGTH && start(&written).is_some() { Ok(Self(written)) } else { Err(NoMonth) }
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.0
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a month as in `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no month such as 2026-11")]
pub struct NoMonth;

/// Money, in millionths of a currency's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u64);

impl Amount {
    /// What a cloud asks for `egress` octets that left it, and for `connection_s` seconds of VPN connections.
    pub fn of(price: &Price, egress: u64, connection_s: u64) -> Self {
        let share = |price: u64, amount: u64, unit: u64| {
            u128::from(price).saturating_mul(u128::from(amount)) / u128::from(unit)
        };
        let octets = share(price.egress_per_gb, egress, GIGABYTE);
        let hours = share(price.connection_hour, connection_s, HOUR);
        Self(u64::try_from(octets.saturating_add(hours)).unwrap_or(u64::MAX))
    }

    /// In whole units, rounded to hundredths: for those who read numbers.
    #[allow(clippy::cast_precision_loss, reason = "hundredths are exact below 90 trillion")]
    pub fn units(self) -> f64 {
        (self.0.saturating_add(5_000) / 10_000) as f64 / 100.0
    }
}

/// Money for people: `$12.30`, `12.30 EUR`.
pub fn shown(units: f64, currency: &str) -> String {
    if currency == Currency::USD.as_str() { format!("${units:.2}") } else { format!("{units:.2} {currency}") }
}

fn start(month: &str) -> Option<u64> {
    let at = humantime::parse_rfc3339(&format!("{month}-01T00:00:00Z")).ok()?;
    Some(at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
}

/// Octets of a gigabyte on a cloud's bill, which is a GiB.
pub const GIGABYTE: u64 = 1 << 30;
const HOUR: u64 = 3600;
/// `2026-11`.
const LENGTH: usize = 7;
/// The end of the year 9999: no date behind it can be written.
const LAST_SECOND: u64 = 253_402_300_799;
/// There was no Gotthard before.
const FIRST_CREDIBLE: &str = "2025-01";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::Cloud;

    #[test]
    fn a_month_ends_with_its_last_second() {
        for (unix_s, expected) in [
            (0, "1970-01"),
            (1_709_164_800, "2024-02"),
            (1_709_251_199, "2024-02"),
            (1_709_251_200, "2024-03"),
            (1_798_761_599, "2026-12"),
            (1_798_761_600, "2027-01"),
            (u64::MAX, "9999-12"),
        ] {
            assert_eq!(Month::of(unix_s).to_string(), expected, "{unix_s}");
        }
        let month = Month::of(1_798_761_599);
        assert_eq!(Month::of(month.start()), month);
        assert!(Month::of(month.start() - 1) < month);
        assert!(month.is_credible() && !Month::of(86_400).is_credible());
    }

    #[test]
    fn what_is_no_month_is_not_read() {
        for written in ["", "2026", "2026-13", "2026-1", "2026-11-01", "x026-11", "2026-11T"] {
            assert_eq!(Month::try_from(written.to_owned()), Err(NoMonth), "{written}");
        }
        assert_eq!(Month::try_from("2026-11".to_owned()).map(String::from), Ok("2026-11".to_owned()));
    }

    #[test]
    fn a_month_of_aws_costs_its_gigabytes_and_its_hours() {
        let price = Cloud::Aws.list_price();
        assert_eq!(Amount::of(&price, 1000 * GIGABYTE, 0), Amount(90_000_000));
        assert_eq!(Amount::of(&price, 0, 720 * HOUR), Amount(36_000_000));
        assert_eq!(Amount::of(&price, GIGABYTE / 2, 90), Amount(45_000 + 1_250));
        assert_eq!(Amount::of(&price, 0, 0), Amount(0));
        assert_eq!(
            Amount::of(&Cloud::Generic.list_price(), u64::MAX, u64::MAX),
            Amount(0),
            "no price is known"
        );
        let dearest = Price { egress_per_gb: u64::MAX, connection_hour: u64::MAX, ..price };
        assert_eq!(Amount::of(&dearest, u64::MAX, u64::MAX), Amount(u64::MAX));
    }

    #[test]
    fn money_is_rounded_to_hundredths() {
        for (micros, units) in [(0, "$0.00"), (4_999, "$0.00"), (5_000, "$0.01"), (126_000_000, "$126.00")] {
            assert_eq!(shown(Amount(micros).units(), "USD"), units);
        }
        assert_eq!(shown(12.3, "EUR"), "12.30 EUR");
    }
}

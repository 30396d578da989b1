//! The table `[gateway.prices]`: what each cloud asks for what leaves it, and for an hour of a VPN connection.

use super::document::{Table, Value};
use super::presets::Cloud;
use super::values;

/// What one cloud asks. Prices are in millionths of the currency's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// For a gigabyte (2^30 octets) that leaves the cloud, and comes in here.
    pub egress_per_gb: u64,
    /// For an hour of a VPN connection with all its tunnels.
    pub connection_hour: u64,
    /// Of both.
    pub currency: Currency,
}

/// The three letters of a currency (ISO 4217).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency([u8; 3]);

impl Currency {
    /// What the clouds' lists are in.
    pub const USD: Self = Self(*b"USD");

    /// The letters.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn parse(written: &str) -> Option<Self> {
        let letters: [u8; 3] = written.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }
}

/// The prices of every cloud; by default those of its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    aws: Price,
    azure: Price,
    gcp: Price,
    generic: Price,
}

impl Prices {
    /// Those of one cloud.
    pub const fn of(&self, cloud: Cloud) -> &Price {
        match cloud {
            Cloud::Aws => &self.aws,
            Cloud::Azure => &self.azure,
            Cloud::Gcp => &self.gcp,
            Cloud::Generic => &self.generic,
        }
    }
}

impl Default for Prices {
    fn default() -> Self {
        let [aws, azure, gcp, generic] = Cloud::ALL.map(Cloud::list_price);
        Self { aws, azure, gcp, generic }
    }
}

impl Cloud {
    /// The public list at the first step above the free one, in US dollars: us-east-1, East US, us-central1. Other regions
    /// and contracts differ, so that an operator sets what the bill says.
    pub const fn list_price(self) -> Price {
        let (egress_per_gb, connection_hour) = match self {
            Self::Aws => (90_000, 50_000),
            // The hours are those of the gateway by its SKU, which no peer tells, however many connections it has.
            Self::Azure => (87_000, 0),
            // 0.05 for each of the two tunnels of HA VPN.
            Self::Gcp => (120_000, 100_000),
            Self::Generic => (0, 0),
        };
        Price { egress_per_gb, connection_hour, currency: Currency::USD }
    }
}

/// Reads the table; every mistake in it is reported.
pub(super) fn read(table: Table<'_>) -> Prices {
    let aws = of_cloud(&table, "aws", Cloud::Aws);
    let azure = of_cloud(&table, "azure", Cloud::Azure);
    let gcp = of_cloud(&table, "gcp", Cloud::Gcp);
    let generic = of_cloud(&table, "generic", Cloud::Generic);
    table.finish();
    Prices { aws, azure, gcp, generic }
}

fn of_cloud(table: &Table<'_>, key: &'static str, cloud: Cloud) -> Price {
    let list = cloud.list_price();
    let Some(table) = table.read(key, |value| value.table(TABLE_REMEDY)) else { return list };
    let currency = table.read("currency", currency);
    // What is not said is the list's, and that is in dollars.
    let all = currency.is_some_and(|currency| currency != list.currency);
    let price = |key: &'static str, of_list: u64| {
        let read = if all { table.require(key, PRICE_REMEDY, price) } else { table.read(key, price) };
        read.unwrap_or(of_list)
    };
    let egress_per_gb = price("egress_per_gb", list.egress_per_gb);
    let connection_hour = price("connection_hour", list.connection_hour);
    table.finish();
    Price { egress_per_gb, connection_hour, currency: currency.unwrap_or(list.currency) }
}

fn price(value: &Value<'_>) -> Option<u64> {
    let written = value.number(PRICE_REMEDY)?;
    let Some(millionths) = millionths(written) else {
        return value.refuse(format!("{} is no price", values::shown(written)), PRICE_REMEDY);
    };
    if millionths > DEAREST {
        return value.refuse(format!("{} is out of bounds", values::shown(written)), PRICE_REMEDY);
    }
    Some(millionths)
}

/// A decimal number without a sign or an exponent, exactly.
fn millionths(written: &str) -> Option<u64> {
    let (whole, fraction) = written.split_once('.').unwrap_or((written, ""));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty() || fraction.len() > PLACES || !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<PLACES$}").parse().ok()
}

fn currency(value: &Value<'_>) -> Option<Currency> {
    let written = value.string(CURRENCY_REMEDY)?;
    match Currency::parse(written) {
        Some(currency) => Some(currency),
        None => value.refuse(format!("{} is no currency", values::shown(written)), CURRENCY_REMEDY),
    }
}

/// Digits behind the point.
const PLACES: usize = 6;
/// A price above is a slip of the point.
const DEAREST: u64 = 1_000_000 * 1_000_000;

const TABLE_REMEDY: &str = "write [gateway.prices.aws] and the keys below it";
const PRICE_REMEDY: &str =
    "write a price such as 0.09, without quotes: 0 to 1000000, at most six digits behind the point";
const CURRENCY_REMEDY: &str = "write three capital letters, such as \"USD\" or \"EUR\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_exactly() {
        for (written, expected) in [
            ("0", Some(0)),
            ("0.09", Some(90_000)),
            ("0.000001", Some(1)),
            ("12", Some(12_000_000)),
            ("1.5", Some(1_500_000)),
            ("0.0000001", None),
            ("-0.09", None),
            ("+0.09", None),
            ("9e-2", None),
            ("inf", None),
            ("nan", None),
            (".5", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(millionths(written), expected, "{written}");
        }
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!(
            Currency::parse("CHF").map(|currency| currency.as_str().to_owned()).as_deref(),
            Some("CHF")
        );
        for written in ["", "US", "usd", "$", "EURO", "E1R", "€"] {
            assert_eq!(Currency::parse(written), None, "{written}");
        }
    }
}

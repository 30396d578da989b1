//! The table `[gateway]`.

use super::document::Table;
use super::model::{Gateway, Local};
use super::values;

/// Reads the table; every mistake in it is reported.
pub(super) fn read(table: Table<'_>) -> Gateway {
    let local = table.read("local", |value| match value.string(LOCAL_REMEDY)? {
        "auto" => Some(Local::Auto),
        _ => values::address(value, "203.0.113.10").map(Local::Address),
    });
    let asn = table.read("asn", values::asn);
    let advertise = table.read("advertise", |value| values::prefixes(value, "10.10.0.0/16"));
    table.finish();
    Gateway { local: local.unwrap_or(Local::Auto), asn, advertise: advertise.unwrap_or_default() }
}

/// What a gateway without the table has.
pub(super) fn absent() -> Gateway {
    Gateway { local: Local::Auto, asn: None, advertise: Vec::new() }
}

const LOCAL_REMEDY: &str = "write our outer address, such as \"203.0.113.10\", or \"auto\"";

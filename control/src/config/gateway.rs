//! The table `[gateway]`.

use core::ops::RangeInclusive;
use std::path::PathBuf;

use super::document::{Table, Value};
use super::model::{Backend, Gateway, Local, MAIN_TABLE, PacketPath, RoutePlace, Workers};
use super::{prices, values};

/// Reads the table; every mistake in it is reported.
pub(super) fn read(table: Table<'_>) -> Gateway {
    let local = table.read("local", |value| match value.string(LOCAL_REMEDY)? {
        "auto" => Some(Local::Auto),
        _ => values::address(value, "203.0.113.10").map(Local::Address),
    });
    let asn = table.read("asn", values::asn);
    let advertise = table.read("advertise", |value| values::prefixes(value, "10.10.0.0/16"));
    let routes = route_place(&table);
    let packet_path = packet_path(&table);
    let debug_keys = table.read("debug_keys", key_file);
    let hooks = table.read("hooks", folder);
    let web = table.read("web", |value| values::listen_address(value, "127.0.0.1:8477"));
    let metrics = table.read("metrics", |value| values::listen_address(value, "127.0.0.1:9477"));
    let prices = table.read("prices", |value| value.table(PRICES_REMEDY)).map(prices::read);
    table.finish();
    Gateway {
        local: local.unwrap_or_default(),
        asn,
        advertise: advertise.unwrap_or_default(),
        routes,
        packet_path,
        debug_keys,
        hooks,
        web,
        metrics,
        prices: prices.unwrap_or_default(),
    }
}

fn route_place(table: &Table<'_>) -> RoutePlace {
    let default = RoutePlace::default();
    let own = table.read("table", |value| match u32::try_from(value.integer(&NUMBERS)?).ok()? {
        LOCAL_TABLE => value.refuse("255 is the table of the host's own addresses", TABLE_REMEDY),
        number => Some(number),
    });
    let own = own.unwrap_or(default.table);
    let rule_priority = table.read("rule_priority", |value| {
        let priority = u32::try_from(value.integer(&NUMBERS)?).ok()?;
        if own == MAIN_TABLE {
            return value.refuse("the main table needs no rule of ours", PRIORITY_REMEDY);
        }
        Some(priority)
    });
    let hash = table.read("multipath_hash", |value| values::choice(value, &HASHES));
    RoutePlace { table: own, rule_priority, hash_by_flow: hash.unwrap_or(default.hash_by_flow) }
}

fn packet_path(table: &Table<'_>) -> PacketPath {
    let default = PacketPath::default();
    let backend = table.read("backend", |value| values::choice(value, &BACKENDS));
    let workers = table.read("workers", workers);
    let offloads = table.read("offloads", Value::boolean);
    PacketPath {
        backend: backend.unwrap_or(default.backend),
        workers: workers.unwrap_or(default.workers),
        offloads: offloads.unwrap_or(default.offloads),
    }
}

fn workers(value: &Value<'_>) -> Option<Workers> {
    match value.word() {
        Some("auto") => Some(Workers::Auto),
        Some(written) => value.refuse(
            format!("{} is no number of threads", values::shown(written)),
            format!(
                "write \"auto\", or a whole number from {} to {} without quotes",
                WORKERS.start(),
                WORKERS.end()
            ),
        ),
        None => usize::try_from(value.integer(&WORKERS)?).ok().map(Workers::Count),
    }
}

fn key_file(value: &Value<'_>) -> Option<PathBuf> {
    let name = value.string(KEYS_REMEDY)?;
    if name.is_empty() || name.ends_with('/') || name.contains('\0') {
        return value.refuse("is no name of a file", KEYS_REMEDY);
    }
    Some(beside(value, name))
}

fn folder(value: &Value<'_>) -> Option<PathBuf> {
    let name = value.string(HOOKS_REMEDY)?;
    if name.is_empty() || name.contains('\0') {
        return value.refuse("is no name of a folder", HOOKS_REMEDY);
    }
    Some(beside(value, name))
}

/// A relative name is looked up beside the configuration file that has it.
fn beside(value: &Value<'_>, name: &str) -> PathBuf {
    value.place().file().parent().map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}

const BACKENDS: [(&str, Backend); 3] =
    [("auto", Backend::Auto), ("io_uring", Backend::IoUring), ("syscalls", Backend::Syscalls)];
/// Whether the kernel's way to spread packets may be changed.
const HASHES: [(&str, bool); 2] = [("flow", true), ("keep", false)];
/// Of tables, and of priorities of rules; 0 is no table, and a rule before that of the host's own addresses.
const NUMBERS: RangeInclusive<u64> = 1..=4_294_967_295;
/// `RT_TABLE_LOCAL`.
const LOCAL_TABLE: u32 = 255;
/// As many as can share an SA; each is a thread and a queue of every TUN device.
const WORKERS: RangeInclusive<u64> = 1..=32;

const TABLE_REMEDY: &str = "write the number of a table of its own, such as 71, or remove the key";
const PRIORITY_REMEDY: &str =
    "write `table` with the number of a table of its own, such as 71, or remove the key";
const KEYS_REMEDY: &str =
    "write the name of a file that gotthard makes, such as \"/root/keys\", or remove the key";
const HOOKS_REMEDY: &str = "write the name of a folder of executables, such as \"/etc/gotthard/hooks.d\"";
const PRICES_REMEDY: &str = "write [gateway.prices.aws] and the keys below it";
const LOCAL_REMEDY: &str = "write our outer address, such as \"203.0.113.10\", or \"auto\"";

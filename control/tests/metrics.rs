//! The page of metrics: what it has, what is described of it, and what the rules and the dashboard read of it.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(clippy::print_stdout, reason = "a test that measures says what it has measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use gotthard::api::messages::Sa;
use gotthard::api::status::{ConnectionStatus, Status};
use gotthard::metrics::{Format, Meters, Snapshot, page};
use serde_json::Value;

#[test]
fn the_labels_are_connection_and_tunnel_cloud_and_currency_and_nothing_else() {
    let page = full(Format::Open);
    let labels = page.lines().filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
    let names: BTreeSet<&str> =
        labels.flat_map(|labels| labels.split(',')).filter_map(|label| label.split('=').next()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["cloud", "connection", "currency", "le", "tunnel"]),
        "`le` is the bound of a bucket\n{page}"
    );
}

#[test]
fn the_page_says_what_the_status_says() {
    let page = full(Format::Open);
    for line in [
        "gotthard_tunnel_up{connection=\"aws-prod\",tunnel=\"1\"} 1",
        "gotthard_tunnel_round_trip_seconds{connection=\"aws-prod\",tunnel=\"1\"} 0.0081",
        "gotthard_failover_gap_seconds_bucket{connection=\"aws-prod\",le=\"1.0\"} 1",
        "gotthard_failover_gap_seconds_sum{connection=\"aws-prod\"} 0.95",
        "gotthard_connection_ike_rekey_seconds_bucket{connection=\"aws-prod\",le=\"0.25\"} 1",
        "gotthard_connection_child_rekey_seconds_bucket{connection=\"aws-prod\",le=\"0.025\"} 1",
        "gotthard_connection_child_rekey_seconds_bucket{connection=\"aws-prod\",le=\"2.5\"} 2",
        "gotthard_connection_child_rekey_seconds_sum{connection=\"aws-prod\"} 1.25",
        "gotthard_month_received_bytes{cloud=\"aws\"} 1200000000000",
        "gotthard_month_cost{cloud=\"aws\",currency=\"USD\"} 122.18",
        "# EOF",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    let tunnel = &shown()["connections"][0]["tunnels"][0];
    let sent = format!(
        "gotthard_tunnel_sent_bytes_total{{connection=\"aws-prod\",tunnel=\"1\"}} {}\n",
        tunnel["esp"]["tx_bytes"]
    );
    assert!(page.contains(&sent), "{sent}\n{page}");
}

#[test]
fn a_connection_that_is_gone_takes_its_durations_along() {
    let meters = meters();
    let left = |known: &[&str]| {
        meters.keep(&known.iter().copied().collect());
        let page = page(&Snapshot { status: status(), meters: meters.clone() }, Format::Open);
        [page.contains("gap_seconds_count"), page.contains("rekey_seconds_count")]
    };
    assert_eq!(left(&["aws-prod", "azure"]), [true, true]);
    assert_eq!(left(&["azure"]), [false, false]);
}

#[test]
fn the_older_format_has_the_same_samples() {
    let page = full(Format::Open);
    let samples = |page: &str| -> Vec<String> {
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let older = full(Format::Classic);
    assert_eq!(samples(&page), samples(&older));
    assert!(older.contains("# TYPE gotthard_tunnel_sent_bytes_total counter\n"), "{older}");
}

#[test]
fn every_metric_is_described_and_what_is_described_is_a_metric() {
    let described = read("docs/metrics.md");
    let rows = described.lines().filter_map(|line| line.strip_prefix("| `gotthard_"));
    let rows: BTreeMap<String, String> = rows
        .map(|row| {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_end_matches('`'));
            (format!("gotthard_{}", cells.next().unwrap()), cells.next().unwrap().to_owned())
        })
        .collect();
    assert_eq!(rows, families(&full(Format::Classic)));
}

#[test]
fn the_rules_and_the_dashboard_name_metrics_that_exist() {
    let samples: BTreeSet<String> = full(Format::Open)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| words(line).remove(0))
        .collect();
    let rules = read("contrib/prometheus/gotthard.rules.yml");
    let recorded: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    let dashboard = read("contrib/grafana/gotthard.json");
    let expressions: Vec<Value> = expressions(&serde_json::from_str(&dashboard).unwrap());
    assert!(expressions.len() > 10, "the dashboard shows something");
    let lines = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned);
    for line in lines.chain(expressions.iter().map(|text| text.as_str().unwrap().to_owned())) {
        let ours: Vec<String> = words(&line).into_iter().filter(|word| word.contains("gotthard_")).collect();
        assert!(!ours.is_empty(), "{line}");
        for word in ours {
            assert!(samples.contains(&word) || recorded.contains(&word.as_str()), "{word} in {line}");
        }
    }
}

/// CPU time and not the clock's, so that a busy machine changes nothing. With the optimiser of the scenarios or of a release a
/// hundredth of a core is the bound of a scrape a second; without it the code is several times slower.
#[test]
fn a_page_of_a_thousand_tunnels_costs_less_than_a_hundredth_of_a_core() {
    let mut status = status();
    let one = status.connections.remove(0);
    status.connections =
        (0..500).map(|n| ConnectionStatus { name: format!("aws-{n}"), ..one.clone() }).collect();
    assert_eq!(status.connections.iter().map(|connection| connection.tunnels.len()).sum::<usize>(), 1000);
    let meters = Meters::default();
    for connection in &status.connections {
        meters.rekeyed(&connection.name, Sa::Ike, Duration::from_millis(120));
        meters.rekeyed(&connection.name, Sa::Child, Duration::from_millis(11));
    }
    let snapshot = Snapshot { status, meters };
    let cost = (0..5).map(|_| {
        let before = cpu_time();
        let page = page(&snapshot, Format::Open);
        let cost = cpu_time().saturating_sub(before);
        assert!(page.lines().count() > 30_000, "{}", page.lines().count());
        cost
    });
    let cost = cost.min().unwrap();
    let bound = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 10 });
    println!("a page of 1,000 tunnels: {cost:?} of CPU time");
    assert!(cost < bound, "{cost:?}");
}

fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

/// The page of the status that the documents show, with every metric.
fn full(format: Format) -> String {
    page(&Snapshot { status: status(), meters: meters() }, format)
}

fn meters() -> Meters {
    let meters = Meters::default();
    meters.failed_over("aws-prod", Duration::from_millis(950));
    meters.rekeyed("aws-prod", Sa::Ike, Duration::from_millis(120));
    meters.rekeyed("aws-prod", Sa::Child, Duration::from_micros(15_625));
    meters.rekeyed("aws-prod", Sa::Child, Duration::from_micros(1_234_375));
    meters
}

fn status() -> Status {
    serde_json::from_value(shown()).unwrap()
}

fn shown() -> Value {
    let text = read("docs/status.md");
    let block = text.split("```").find_map(|block| block.strip_prefix("json\n")).unwrap();
    serde_json::from_str(block).unwrap()
}

/// The families of a page in the older format, with their types.
fn families(page: &str) -> BTreeMap<String, String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// Everything under a key `expr`, and the queries of variables.
fn expressions(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(map) => {
            let own = map.get("expr").into_iter().cloned();
            own.chain(map.values().flat_map(expressions)).collect()
        }
        Value::Array(values) => values.iter().flat_map(expressions).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// The names in an expression or a sample.
fn words(text: &str) -> Vec<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c: char| !is_of_name(c)).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

//! What is told of two tunnels that carry, rekey and fail over: the metrics as Prometheus reads them, and the events.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use gotthard_lab::exposition::{self, Wants, sample};
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::netns::Netns;
use gotthard_lab::site::{CLOUD_HOST, Site};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, scenarios, wait};
use rustix::process::Signal;
use serde_json::Value;

scenarios!(gcm: metrics_and_events_tell_of_a_rekey_and_of_a_failover_with_its_gap);

fn metrics_and_events_tell_of_a_rekey_and_of_a_failover_with_its_gap(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let mut aws = site.aws(run)?;
    let mut config = Config::aws(run.suite);
    config.gateway.push(format!("metrics = \"{PAGE}\""));
    let mut gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    let active = gateway.await_up(SOON)?.active()?;
    expect_ping(&site.lan, CLOUD_HOST)?;

    let before = scrape(&gateway, &site.gateway)?;
    let name = |tunnel: usize| format!("{{connection=\"{CONNECTION}\",tunnel=\"{}\"}}", tunnel + 1);
    let sent = format!("gotthard_tunnel_sent_bytes_total{}", name(active));
    ensure!(sample(&before, &sent)? > 0.0, "{before}");
    gateway.rekey(active + 1, &[])?;
    let after = scrape(&gateway, &site.gateway)?;
    ensure!(sample(&after, &sent)? >= sample(&before, &sent)?, "a rekey has lost what was counted");
    let rekeys = format!("gotthard_tunnel_child_rekeys_total{}", name(active));
    ensure!((sample(&after, &rekeys)? - 1.0).abs() < f64::EPSILON, "{after}");
    gateway.rekey(active + 1, &["--ike"])?;
    rekeys_are_timed(&gateway, &scrape(&gateway, &site.gateway)?)?;

    aws[active].kill()?;
    let moved =
        || -> Result<Option<Value>> { Ok(events(&gateway)?.into_iter().rfind(|e| e["name"] == "failover")) };
    wait::until_true(SOON, "the traffic to move", || {
        Ok(moved()?.is_some_and(|event| event["fields"]["gap_ms"].is_number()))
    })?;
    let gap = moved()?.context("a failover")?["fields"]["gap_ms"].as_f64().context("a gap")?;
    ensure!((1.0..60_000.0).contains(&gap), "{gap} ms");
    let page = scrape(&gateway, &site.gateway)?;
    let gaps = format!("gotthard_failover_gap_seconds_count{{connection=\"{CONNECTION}\"}}");
    ensure!((sample(&page, &gaps)? - 1.0).abs() < f64::EPSILON, "{page}");
    let told: Vec<Value> = events(&gateway)?.into_iter().map(|event| event["name"].clone()).collect();
    for name in ["started", "tunnel-up", "child-rekeyed", "peer-silent", "failover"] {
        ensure!(told.iter().any(|told| told == name), "{name} is not among {told:?}");
    }

    let before = booked(&gateway)?;
    gateway.process.signal(Signal::TERM)?;
    gateway.process.success(SOON)?;
    let gateway = Gotthard::start_there(run, &site.gateway, "gotthard", "info")?;
    gateway.await_running(SOON)?;
    let month = &status(&gateway)?["traffic"]["this_month"]["clouds"][0];
    for (key, before) in ["in_bytes", "out_bytes"].into_iter().zip(before) {
        ensure!(month[key].as_u64() >= Some(before), "{before} {key} before a restart: {month}");
    }
    Ok(())
}

/// The octets of this month from and to the cloud, held against what the tunnels have carried since their daemon began.
fn booked(gateway: &Gotthard) -> Result<[u64; 2]> {
    let status = status(gateway)?;
    let tunnels = status["connections"][0]["tunnels"].as_array().context("tunnels")?;
    let sum = |key: &str| tunnels.iter().filter_map(|tunnel| tunnel["esp"][key].as_u64()).sum::<u64>();
    let month = &status["traffic"]["this_month"];
    let cloud = &month["clouds"][0];
    ensure!(
        cloud["cloud"] == "aws" && month["clouds"].as_array().is_some_and(|all| all.len() == 1),
        "{month}"
    );
    for (booked, octets, packets) in
        [("in_bytes", "rx_bytes", "rx_packets"), ("out_bytes", "tx_bytes", "tx_packets")]
    {
        let (booked, octets, packets) = (cloud[booked].as_u64(), sum(octets), sum(packets));
        let [least, most] = ESP_OVERHEAD.map(|overhead| Some(octets + packets * overhead));
        ensure!(packets > 0 && least <= booked && booked <= most, "{octets} in {packets} packets: {month}");
    }
    let [received, sent] = ["in_bytes", "out_bytes"].map(|key| cloud[key].as_u64().context(key));
    Ok([received?, sent?])
}

fn status(gateway: &Gotthard) -> Result<Value> {
    Ok(serde_json::from_str(&gateway.ask(&["status", "--output", "json"])?)?)
}

/// Each took more than nothing, and no longer than the command that waited for it; the histograms have what the events tell.
fn rekeys_are_timed(gateway: &Gotthard, page: &str) -> Result<()> {
    let labels = format!("{{connection=\"{CONNECTION}\"}}");
    for (sa, event) in [("child", "child-rekeyed"), ("ike", "ike-rekeyed")] {
        let of = |sample: &str| format!("gotthard_connection_{sa}_rekey_seconds_{sample}{labels}");
        ensure!((sample(page, &of("count"))? - 1.0).abs() < f64::EPSILON, "{page}");
        let seconds = sample(page, &of("sum"))?;
        ensure!(seconds > 0.0 && seconds < SOON.as_secs_f64(), "{sa}: {seconds} s");
        let told = events(gateway)?.into_iter().find(|told| told["name"] == event).context(event)?;
        let millis = told["fields"]["took_ms"].as_f64().with_context(|| told.to_string())?;
        ensure!((millis - seconds * 1e3).abs() < 1.0, "{sa}: {millis} ms and {seconds} s");
    }
    Ok(())
}

fn events(gateway: &Gotthard) -> Result<Vec<Value>> {
    let page: Value = serde_json::from_str(&gateway.ask(&["events", "--output", "json"])?)?;
    page["events"].as_array().cloned().context("events")
}

/// The page, as a scraper gets it that knows no OpenMetrics; both formats are what Prometheus' own parsers take.
fn scrape(gateway: &Gotthard, host: &Netns) -> Result<String> {
    exposition::open_metrics(&exposition::on_socket(gateway.socket(), Wants::Open)?)?;
    let page = exposition::on_tcp(host, PAGE, Wants::Anything)?;
    exposition::promtool(&page)?;
    Ok(page)
}

/// Octets that AES-GCM in UDP over IPv4 adds to a packet: the outer IP and UDP headers, SPI and sequence number, IV, ICV,
/// padding and trailer.
const ESP_OVERHEAD: [u64; 2] = [60, 66];
const PAGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9477);
const SOON: Duration = Duration::from_secs(30);

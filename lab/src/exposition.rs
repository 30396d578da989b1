//! The page of metrics as scrapers see it: fetched over HTTP, and held against two parsers that are not ours.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::Netns;

/// What a scraper asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// OpenMetrics, as Prometheus.
    Open,
    /// Whatever there is.
    Anything,
}

/// The page on a control socket.
pub fn on_socket(socket: &Path, wants: Wants) -> Result<String> {
    let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    fetch(stream, wants)
}

/// The page on TCP, as somebody on that host has it.
pub fn on_tcp(host: &Netns, address: SocketAddr, wants: Wants) -> Result<String> {
    host.enter(|| {
        let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        fetch(stream, wants)
    })
}

fn fetch(mut stream: impl Read + Write, wants: Wants) -> Result<String> {
    let accept = match wants {
        Wants::Open => "application/openmetrics-text; version=1.0.0",
        Wants::Anything => "*/*",
    };
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: gotthard\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, page) = answer.split_once("\r\n\r\n").context("a head")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let open = head.lines().any(|line| line.starts_with("content-type: application/openmetrics-text"));
    ensure!(open == (wants == Wants::Open), "{head}");
    Ok(page.to_owned())
}

/// What Prometheus' own checker says of a page in the older format.
pub fn promtool(page: &str) -> Result<()> {
    let mut command = Command::new("promtool");
    let said = judged(command.args(["check", "metrics"]), page)?;
    ensure!(said.is_empty(), "{said}\n{page}");
    Ok(())
}

/// Reads a page with the OpenMetrics parser of Prometheus' Python client, which is strict: names and their ends, units, types,
/// order, buckets, no family and no sample twice, the end mark. Fails where a family has no help, too. How many samples there
/// are.
pub fn open_metrics(page: &str) -> Result<usize> {
    let mut command = Command::new(DEBIAN_PYTHON);
    let said = judged(command.args(["-c", PARSER]), page)?;
    said.trim().parse().with_context(|| said.clone())
}

/// What a program that was given a page has said, both ways; fails where it does.
fn judged(command: &mut Command, page: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    // Who refuses a page need not have read all of it.
    let _ = child.stdin.take().context("its input")?.write_all(page.as_bytes());
    let done = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    ensure!(done.status.success(), "{said}");
    Ok(said)
}

/// The value of a series, which is named with its labels.
pub fn sample(page: &str, series: &str) -> Result<f64> {
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no {series}:\n{page}"))?.parse()?)
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Another one that is found first does not have Debian's modules.
const DEBIAN_PYTHON: &str = "/usr/bin/python3";

const PARSER: &str = "\
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
seen = set()
for family in parse(sys.stdin.read()):
    assert family.documentation, family.name
    assert family.name.startswith('gotthard_'), family.name
    for sample in family.samples:
        series = (sample.name, tuple(sorted(sample.labels.items())))
        assert series not in seen, series
        seen.add(series)
print(len(seen))
";

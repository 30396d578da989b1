//! Traffic of real programs: ping and iperf3.

use core::time::Duration;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::capture::MARKER;
use crate::{Netns, Process, Run, wait};

/// What a ping saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Requests sent.
    pub sent: u32,
    /// Answers received.
    pub received: u32,
}

/// Pings with the marker as payload. `size` is that of the whole IP packet, which may not be fragmented.
pub fn ping(host: &Netns, to: IpAddr, count: u32, size: Option<usize>) -> Result<(Ping, String)> {
    let mut command = host.command("ping");
    command.args(["-n", "-i", "0.05", "-W", "2", "-c", &count.to_string(), "-p", &marker_hex()?]);
    if let Some(size) = size {
        let headers = if to.is_ipv4() { 28 } else { 48 };
        command.args(["-M", "do", "-s", &(size - headers).to_string()]);
    }
    let output = command.arg(to.to_string()).output()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // A packet that the host's own routes refuse is not sent at all, and ping gives up.
    if ["No route to host", "Network is unreachable"].iter().any(|refusal| text.contains(refusal)) {
        return Ok((Ping { sent: 0, received: 0 }, text));
    }
    let counted = |what: &str| {
        let words = text.lines().find(|line| line.contains("packets transmitted"))?;
        let part = words.split(", ").find(|part| part.contains(what))?;
        part.split(' ').next()?.parse().ok()
    };
    let sent = counted("transmitted").with_context(|| text.clone())?;
    let received = counted("received").with_context(|| text.clone())?;
    Ok((Ping { sent, received }, text))
}

/// Pings and fails unless every request is answered, be it late.
pub fn expect_ping(host: &Netns, to: IpAddr) -> Result<()> {
    let output =
        host.command("ping").args(EXPECT_PING).args(["-p", &marker_hex()?, &to.to_string()]).output()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    all_answered(&text).with_context(|| format!("ping from {}", host.name()))
}

/// Fails unless a ping with the arguments [`EXPECT_PING`] has printed an answer to each of its first requests: having sent
/// them it goes on sending until as many answers are there, for it has no other way to wait for the last.
pub fn all_answered(printed: &str) -> Result<()> {
    let answered = |number: &u32| printed.contains(&format!("icmp_seq={number} ttl="));
    ensure!((1..=5).all(|number| answered(&number)), "{printed}");
    Ok(())
}

/// Five requests, for [`all_answered`].
pub const EXPECT_PING: [&str; 7] = ["-n", "-i", "0.05", "-c", "5", "-w", "20"];

/// Pings until there is an answer.
pub fn await_ping(host: &Netns, to: IpAddr, deadline: Duration) -> Result<()> {
    let answered = || Ok(ping(host, to, 1, None)?.0.received == 1);
    wait::until_true(deadline, format!("{to} to answer {}", host.name()), answered)
}

fn marker_hex() -> Result<String> {
    let mut hex = String::new();
    MARKER.iter().try_for_each(|octet| write!(hex, "{octet:02x}"))?;
    Ok(hex)
}

/// Who sends in an iperf3 measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The client.
    Up,
    /// The server.
    Down,
    /// Both at once.
    Both,
}

/// One stream between two hosts.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// Where the client runs.
    pub client: &'a Netns,
    /// The client's address.
    pub from: IpAddr,
    /// Where the server runs.
    pub server: &'a Netns,
    /// The server's address.
    pub to: IpAddr,
    /// Who sends.
    pub direction: Direction,
    /// For how long.
    pub seconds: u32,
    /// A cap in Mbit/s; `None`: as fast as it goes.
    pub cap_mbit: Option<u32>,
}

/// What became of the datagrams of a measurement, the worse of two directions where both send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagrams {
    /// Sent.
    pub sent: u64,
    /// Not arrived.
    pub lost: u64,
    /// Arrived after one with a higher number.
    pub late: u64,
}

impl Stream<'_> {
    /// Runs iperf3 and returns what the receiver got, in bits per second, of two directions the lesser; fails if nothing
    /// arrived.
    pub fn run(&self, run: &Run) -> Result<f64> {
        let report = self.report(run, &[])?;
        let received = |sum: &str| report.pointer(&format!("/end/{sum}/bits_per_second"))?.as_f64();
        let bits = self.sums(["sum_received", "sum_received_bidir_reverse"]).map(received);
        match bits.reduce(|one, other| Some(one?.min(other?))).flatten() {
            Some(bits) if bits > 0.0 => Ok(bits),
            _ => bail!("iperf3 from {} to {}: {report}", self.from, self.to),
        }
    }

    /// The same with UDP datagrams of `octets`; `cap_mbit` should be set.
    pub fn run_udp(&self, run: &Run, octets: usize) -> Result<Datagrams> {
        let report = self.report(run, &["-u", "-l", &octets.to_string()])?;
        let counted = |sum: &str, key: &str| report.pointer(&format!("/end/{sum}/{key}"))?.as_u64();
        let read = |sum| Some((counted(sum, "packets")?, counted(sum, "lost_packets")?));
        let sums: Option<Vec<_>> = self.sums(["sum", "sum_bidir_reverse"]).map(read).collect();
        let streams = report.pointer("/end/streams").and_then(Value::as_array).into_iter().flatten();
        let late = streams.filter_map(|stream| stream.pointer("/udp/out_of_order")?.as_u64()).max();
        match (sums.and_then(|sums| sums.into_iter().max_by_key(|(_, lost)| *lost)), late) {
            (Some((sent, lost)), Some(late)) if sent > 0 => Ok(Datagrams { sent, lost, late }),
            _ => bail!("iperf3 -u from {} to {}: {report}", self.from, self.to),
        }
    }

    /// The sums of iperf3's report that concern us; the second is there where both ends send.
    fn sums(&self, [one, reverse]: [&'static str; 2]) -> impl Iterator<Item = &'static str> {
        [Some(one), (self.direction == Direction::Both).then_some(reverse)].into_iter().flatten()
    }

    /// Starts it and leaves it running, until both ends are dropped; `seconds` is of no account.
    pub fn start(&self, run: &Run) -> Result<[Process; 2]> {
        self.start_with(run, &[])
    }

    /// The same with UDP datagrams of `octets`; `cap_mbit` should be set.
    pub fn start_udp(&self, run: &Run, octets: usize) -> Result<[Process; 2]> {
        self.start_with(run, &["-u", "-l", &octets.to_string()])
    }

    fn start_with(&self, run: &Run, options: &[&str]) -> Result<[Process; 2]> {
        let server = self.listen(run)?;
        let endless = Self { seconds: 0, ..*self };
        Ok([server, Process::spawn(&mut endless.client(options), "iperf3-client", run.dir())?])
    }

    fn report(&self, run: &Run, options: &[&str]) -> Result<Value> {
        let mut server = self.listen(run)?;
        let report = self.client_report(options)?;
        server.wait(SERVER_END)?;
        Ok(report)
    }

    fn listen(&self, run: &Run) -> Result<Process> {
        let mut server = self.server.command("iperf3");
        server.args(["-s", "-1", "--forceflush", "-B", &self.to.to_string()]);
        let (server, listening) = Process::spawn_with_output(&mut server, "iperf3-server", run.dir())?;
        wait::until_true(SERVER_START, "iperf3 to listen", || {
            Ok(std::fs::read_to_string(&listening)?.contains("Server listening"))
        })?;
        Ok(server)
    }

    fn client(&self, options: &[&str]) -> Command {
        let mut client = self.client.command("iperf3");
        client.args(["-J", "--connect-timeout", "5000", "-t", &self.seconds.to_string()]).args(options);
        client.args(["-B", &self.from.to_string(), "-c", &self.to.to_string()]);
        if let Some(mbit) = self.cap_mbit {
            client.args(["-b", &format!("{mbit}M")]);
        }
        match self.direction {
            Direction::Up => &mut client,
            Direction::Down => client.arg("-R"),
            Direction::Both => client.arg("--bidir"),
        };
        client
    }

    fn client_report(&self, options: &[&str]) -> Result<Value> {
        let output = self.client(options).output()?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        if let Some(error) = report.get("error") {
            bail!("iperf3 from {} to {}: {error}", self.from, self.to);
        }
        Ok(report)
    }
}

const SERVER_START: Duration = Duration::from_secs(10);
const SERVER_END: Duration = Duration::from_secs(20);

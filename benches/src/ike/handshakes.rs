//! How many IKE SAs a responder makes in a second: ours and strongSwan's, one core each, in rounds that take turns.
//!
//! ```text
//! clients (our endpoint, one core) --- veth --- responder (one core)
//! ```

use core::time::Duration;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use gotthard_benches::tunnel;
use gotthard_dataplane::sys::affinity;
use gotthard_lab::process::Process;
use gotthard_lab::strongswan::{Charon, Connection};
use gotthard_lab::{Netns, Run, Suite, wait};

use super::clients::Clients;
use crate::peers::usage::Watched;
use crate::{interrupt, machine};

/// What is measured, and where the table goes.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How often each responder is measured with each group
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long a measurement lasts
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Key exchanges
    #[arg(long, value_delimiter = ',', default_value = "modp2048,ecp256")]
    groups: Vec<String>,
    /// Handshakes under way at a time; fewer than make a responder ask for cookies
    #[arg(long, default_value_t = 24)]
    clients: u8,
    /// File for the table; without it, it is only printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Gotthard,
    StrongSwan,
}

/// A measurement.
#[derive(Clone, Copy, Debug)]
struct Figure {
    /// IKE SAs of a second.
    rate: f64,
    /// IKE SAs of a second that the responder was on its core.
    of_core: f64,
}

/// Runs the bench.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.rounds > 0 && arguments.seconds > 0, "there is nothing to measure");
    let _turn = machine::take()?;
    let cores = affinity::cores();
    let (load, responder) = (*cores.first().context("a core")?, *cores.last().context("a core")?);
    affinity::pin(load)?;
    let mut table = String::from(
        "| group | responder | IKE SAs a second | of a second on its core |\n|---|---|---|---|\n",
    );
    for group in &arguments.groups {
        let mut figures = [Vec::new(), Vec::new()];
        for round in 1..=arguments.rounds {
            for (who, figures) in [Who::Gotthard, Who::StrongSwan].into_iter().zip(&mut figures) {
                let figure = measure(who, group, arguments, responder)
                    .with_context(|| format!("{who:?} with {group}"))?;
                eprintln!("round {round} of {}: {group}, {who:?}: {figure:.0?}", arguments.rounds);
                figures.push(figure);
                interrupt::check()?;
            }
        }
        for (who, figures) in [Who::Gotthard, Who::StrongSwan].into_iter().zip(figures) {
            let rate = median(figures.iter().map(|figure| figure.rate));
            let of_core = median(figures.iter().map(|figure| figure.of_core));
            writeln!(table, "| {group} | {who:?} | {rate:.0} | {of_core:.0} |")?;
        }
    }
    print!("{table}");
    arguments.out.as_ref().map_or(Ok(()), |out| Ok(std::fs::write(out, page(&table))?))
}

fn measure(who: Who, group: &str, arguments: &Arguments, core: usize) -> Result<Figure> {
    let dir = tempfile::Builder::new().prefix("gotthard-handshakes-").tempdir()?;
    let (left, right) = bed(RESPONDER)?;
    let responder = Responder::start(who, group, arguments.clients, &right, dir.path())?;
    pin(responder.pid(), core)?;
    let mut clients = Clients::new(arguments.clients, &left, RESPONDER, group)?;
    ensure!(clients.run_for(WARM_UP)? > 0, "no handshake succeeds");
    let watched = Watched::new(responder.pid());
    let (start, before) = (Instant::now(), watched.cpu()?);
    let made = clients.run_for(Duration::from_secs(arguments.seconds))?;
    let (took, spent) = (start.elapsed(), watched.cpu()?.saturating_sub(before));
    Ok(Figure { rate: made as f64 / took.as_secs_f64(), of_core: made as f64 / spent.as_secs_f64() })
}

/// Two hosts; the left one has every address of the clients.
pub(super) fn bed(responder: IpAddr) -> Result<(Netns, Netns)> {
    let (left, right) = (Netns::new("clients")?, Netns::new("responder")?);
    left.link("outer", &right, "outer")?;
    left.address("192.0.2.1/24", "outer")?;
    right.address(&format!("{responder}/24"), "outer")?;
    left.route("local 10.64.0.0/16 dev lo")?;
    right.route("10.64.0.0/16 via 192.0.2.1")?;
    Ok((left, right))
}

enum Responder {
    Gotthard(Process),
    StrongSwan(Charon),
}

impl Responder {
    fn start(who: Who, group: &str, clients: u8, host: &Netns, dir: &Path) -> Result<Self> {
        match who {
            Who::Gotthard => {
                let own = std::env::current_exe()?;
                let mut command = host.command(&own.to_string_lossy());
                command.args(["respond", "--local", &RESPONDER.to_string(), "--group", group]);
                command.args(["--clients", &clients.to_string()]);
                let process = Process::spawn(&mut command, "gotthard", dir)?;
                wait::until_true(READY, "our responder", || Ok(process.log().contains("ready")))?;
                Ok(Self::Gotthard(process))
            }
            Who::StrongSwan => {
                let run = Run::new(Suite::Gcm, dir.to_owned());
                let charon =
                    Charon::start(&run, host, "strongswan", &Connection::render(&[strongswan(group)])?)?;
                charon.log_nothing()?;
                Ok(Self::StrongSwan(charon))
            }
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Gotthard(process) => process.pid(),
            Self::StrongSwan(charon) => charon.pid(),
        }
    }
}

fn strongswan(group: &str) -> Connection {
    Connection {
        name: "bench".to_owned(),
        local: RESPONDER.to_string(),
        remote: "%any".to_owned(),
        psk: tunnel::PSK.to_owned(),
        ike: format!("{STRONGSWAN_IKE}-{group}"),
        esp: tunnel::ESP_SUITE.to_owned(),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "10.64.0.0/16".to_owned(),
        options: Vec::new(),
        child_options: Vec::new(),
    }
}

/// Keeps every thread of a process on one core.
pub(super) fn pin(pid: u32, core: usize) -> Result<()> {
    let done =
        std::process::Command::new("taskset").args(["-acp", &core.to_string(), &pid.to_string()]).output()?;
    ensure!(done.status.success(), "taskset: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn page(table: &str) -> String {
    format!("{HEAD}\n{table}")
}

const RESPONDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
/// [`tunnel::IKE_SUITE`] in strongSwan's words.
const STRONGSWAN_IKE: &str = "aes256gcm16-prfsha256";
const READY: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_millis(500);

const HEAD: &str = "# How many IKE SAs a responder makes in a second

```sh
sudo cargo run --release -p gotthard-benches -- handshakes --out docs/performance/handshakes.md
```

makes IKE SAs with a child each, authenticated by a pre-shared key, one after the other from each of 24 clients: IKE_SA_INIT and IKE_AUTH over UDP 4500,
AES-256-GCM with PRF-HMAC-SHA2-256. A client forgets its last IKE SA and says so (INITIAL_CONTACT). The clients have a core of their own, and so has the
responder; ours is the endpoint alone, without a packet path, on one thread. strongSwan is charon with kernel-libipsec, without a log, its threads all on
that core. Where the clients are the slower half, the last column says what the responder would reach: IKE SAs divided by the time that its threads were
on the core, the kernel's work for them included. The figures are medians of rounds that take turns.
";

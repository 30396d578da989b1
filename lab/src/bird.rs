//! BIRD as a BGP peer: one a host, with its own configuration, control socket and log, told what to do by birdc.

use core::fmt;
use core::time::Duration;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::command;
use crate::{Netns, Process, Run, netns, wait};

/// A running BIRD.
#[derive(Debug)]
pub struct Bird {
    process: Process,
    name: String,
    host: String,
    dir: PathBuf,
    logs: PathBuf,
}

/// One BGP session of a configuration, called by its name in what [`Bird::ask`] asks.
#[derive(Clone, Debug)]
pub struct Session {
    /// The name of its protocol.
    pub name: String,
    /// Its own address and AS.
    pub local: (String, u32),
    /// The peer's.
    pub peer: (String, u32),
    /// Seconds between KEEPALIVEs, and for which the session lives without one.
    pub timers: (u16, u16),
    /// Further statements of the protocol, each with its semicolon.
    pub options: Vec<String>,
    /// What its channels say: `ipv4 { import all; export all; }`.
    pub channels: Vec<String>,
}

impl Bird {
    /// Starts it in a host; returns when it answers. `conf` is a whole bird.conf but for its log.
    pub fn start(run: &Run, host: &Netns, name: &str, conf: &str) -> Result<Self> {
        let dir = run.dir().join(name);
        std::fs::create_dir(&dir)?;
        let logs = run.dir().to_owned();
        let process = spawn(host, name, &dir, &logs, conf, &[])?;
        let bird = Self { process, name: name.to_owned(), host: host.name().to_owned(), dir, logs };
        bird.await_answer()?;
        Ok(bird)
    }

    /// Takes another configuration without ending sessions that it leaves as they are.
    pub fn configure(&self, conf: &str) -> Result<()> {
        std::fs::write(self.dir.join(CONFIGURATION), with_log(conf, &self.log_file()))?;
        self.ask("configure").map(drop)
    }

    /// SIGKILL: its sessions end without a NOTIFICATION. The routes that it has given to the kernel go too.
    pub fn kill(&mut self, host: &Netns) -> Result<()> {
        self.process.kill()?;
        // A killed one leaves its socket, and the next is to be awaited by it.
        match std::fs::remove_file(self.dir.join(SOCKET)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        host.ip("route flush proto bird")?;
        host.ip("-6 route flush proto bird")
    }

    /// Starts it again after [`Self::kill`], with the configuration that it had last.
    pub fn start_again(&mut self, host: &Netns) -> Result<()> {
        let conf = std::fs::read_to_string(self.dir.join(CONFIGURATION))?;
        self.spawn_again(host, &conf, &[])
    }

    /// Starts it after [`Self::kill`] with another configuration, as one that restarts gracefully: its OPENs say so.
    pub fn return_gracefully(&mut self, host: &Netns, conf: &str) -> Result<()> {
        self.spawn_again(host, conf, &["-R"])
    }

    /// What birdc prints for a command; fails where BIRD refuses it.
    pub fn ask(&self, words: &str) -> Result<String> {
        let mut birdc = command("birdc");
        birdc.arg("-s").arg(self.dir.join(SOCKET)).args(words.split(' '));
        netns::output(&mut birdc)
    }

    /// The state of a session as BIRD words it: `Established`, `Active`, `Idle`, … and with an error what it was.
    pub fn state(&self, session: &str) -> Result<String> {
        let said = self.ask(&format!("show protocols {session}"))?;
        let row = said.lines().find(|line| line.split_whitespace().next() == Some(session));
        let row = row.with_context(|| said.clone())?;
        // Name, protocol, table, state, since; the rest is BGP's.
        Ok(row.split_whitespace().skip(5).collect::<Vec<_>>().join(" "))
    }

    /// How often a session was established, once at least. By its log: BIRD's "since" of one and the same session drifts by
    /// a millisecond.
    pub fn established(&self, session: &str) -> Result<usize> {
        let log = self.log();
        let count = log.matches(&format!("{session}: BGP session established")).count();
        if count > 0 { Ok(count) } else { bail!("{session} was never established:\n{log}") }
    }

    /// Waits until a session is established.
    pub fn await_established(&self, session: &str, deadline: Duration) -> Result<()> {
        wait::until_true(deadline, format!("{session} of {} to be established", self.name), || {
            Ok(self.state(session)? == "Established")
        })
        .with_context(|| self.details(session).unwrap_or_default())
    }

    /// All that it knows of a session: capabilities, timers, counters.
    pub fn details(&self, session: &str) -> Result<String> {
        self.ask(&format!("show protocols all {session}"))
    }

    /// The routes that a session has brought, with their attributes, as BIRD lists them.
    pub fn routes(&self, session: &str) -> Result<String> {
        self.ask(&format!("show route protocol {session} all"))
    }

    /// The prefixes among them.
    pub fn prefixes(&self, session: &str) -> Result<Vec<String>> {
        let listed = self.ask(&format!("show route protocol {session}"))?;
        let first_words = listed.lines().filter_map(|line| line.split_whitespace().next());
        let mut prefixes: Vec<_> = first_words.filter(|word| word.contains('/')).map(str::to_owned).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        Ok(prefixes)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn spawn_again(&mut self, host: &Netns, conf: &str, options: &[&str]) -> Result<()> {
        self.process = spawn(host, &self.name, &self.dir, &self.logs, conf, options)?;
        self.await_answer()
    }

    fn log_file(&self) -> PathBuf {
        log_file(&self.logs, &self.name)
    }

    fn await_answer(&self) -> Result<()> {
        let answers = || Ok(self.dir.join(SOCKET).exists() && self.ask("show status").is_ok());
        wait::until_true(START, format!("BIRD in {}", self.host), answers).with_context(|| self.process.log())
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, local, peer, timers, options, channels } = self;
        write!(
            f,
            "protocol bgp {name} {{\n  local {} as {};\n  neighbor {} as {};\n  keepalive time {};\n  hold time {};\n",
            local.0, local.1, peer.0, peer.1, timers.0, timers.1
        )?;
        for statement in options.iter().chain(channels) {
            writeln!(f, "  {statement}")?;
        }
        f.write_str("}\n")
    }
}

/// What every configuration of ours begins with: an identifier, the kernel's devices, and routes given to the kernel's
/// main table, of both families.
pub fn preamble(router_id: &str) -> String {
    format!(
        "router id {router_id};\nprotocol device {{ }}\n\
         protocol kernel kernel4 {{ ipv4 {{ import none; export where source = RTS_BGP; }}; }}\n\
         protocol kernel kernel6 {{ ipv6 {{ import none; export where source = RTS_BGP; }}; }}\n"
    )
}

/// Static routes for prefixes to be announced, a protocol for each family; none of them reaches the kernel.
pub fn originated(prefixes: &[String]) -> String {
    let mut conf = String::new();
    for (family, longer) in [("ipv4", false), ("ipv6", true)] {
        conf.extend(["protocol static originated_", family, " {\n  ", family, ";\n"]);
        for prefix in prefixes.iter().filter(|prefix| prefix.contains(':') == longer) {
            conf.extend(["  route ", prefix, " unreachable;\n"]);
        }
        conf.push_str("}\n");
    }
    conf
}

fn spawn(host: &Netns, name: &str, dir: &Path, logs: &Path, conf: &str, options: &[&str]) -> Result<Process> {
    let file = dir.join(CONFIGURATION);
    std::fs::write(&file, with_log(conf, &log_file(logs, name)))?;
    let mut bird = host.command("bird");
    // In the foreground.
    bird.arg("-f").arg("-c").arg(file).arg("-s").arg(dir.join(SOCKET)).arg("-P").arg(dir.join("pid"));
    bird.args(options);
    Process::spawn(&mut bird, &format!("{name}-stdout"), logs)
}

/// A configuration that is written twice has its log line once.
fn with_log(conf: &str, log: &Path) -> String {
    if conf.starts_with(LOG) {
        return conf.to_owned();
    }
    let log = log.display();
    format!("{LOG} \"{log}\" all;\ntimeformat log \"%T.%3f\";\ndebug protocols {{ events, states }};\n{conf}")
}

fn log_file(logs: &Path, name: &str) -> PathBuf {
    logs.join(format!("{name}-bird.log"))
}

const LOG: &str = "log";
const CONFIGURATION: &str = "bird.conf";
const SOCKET: &str = "ctl";
const START: Duration = Duration::from_secs(10);

//! GoBGP as a BGP peer: one a host, told what to do by gobgp(1). It keeps its routes to itself.

use core::time::Duration;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Netns, Process, Run, wait};

/// A running GoBGP.
#[derive(Debug)]
pub struct Gobgp {
    process: Process,
    name: String,
    logs: PathBuf,
    conf: PathBuf,
}

/// A session of a configuration.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its own address and AS.
    pub local: (String, u32),
    /// The peer's.
    pub peer: (String, u32),
    /// Seconds between KEEPALIVEs, and for which the session lives without one.
    pub timers: (u16, u16),
    /// TCP-MD5's password; empty for none.
    pub password: String,
    /// Waits to be connected to.
    pub passive: bool,
    /// Seconds that its peer keeps its routes while it restarts; 0: no graceful restart.
    pub restart_time: u16,
}

impl Gobgp {
    /// Starts it in a host; returns when it answers.
    pub fn start(run: &Run, host: &Netns, name: &str, session: &Session) -> Result<Self> {
        let dir = run.dir().join(name);
        std::fs::create_dir(&dir)?;
        let conf = dir.join("gobgp.toml");
        std::fs::write(&conf, session.to_toml())?;
        let logs = run.dir().to_owned();
        let process = Self::spawn(host, name, &logs, &conf, &[])?;
        let gobgp = Self { process, name: name.to_owned(), logs, conf };
        gobgp.await_answer(host)?;
        Ok(gobgp)
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again after [`Self::kill`], as one that restarts gracefully: its OPEN says so.
    pub fn return_gracefully(&mut self, host: &Netns) -> Result<()> {
        self.process = Self::spawn(host, &self.name, &self.logs, &self.conf, &["--graceful-restart"])?;
        self.await_answer(host)
    }

    /// What gobgp prints for a command.
    pub fn ask(&self, host: &Netns, words: &str) -> Result<String> {
        host.output("gobgp", &words.split(' ').collect::<Vec<_>>())
    }

    /// Announces a prefix of either family; `attributes` in gobgp's words, as `med 100 community 65010:1`.
    pub fn announce(&self, host: &Netns, prefix: &str, attributes: &str) -> Result<()> {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        self.ask(host, format!("global rib add -a {family} {prefix} {attributes}").trim_end()).map(drop)
    }

    /// Withdraws a prefix.
    pub fn withdraw(&self, host: &Netns, prefix: &str) -> Result<()> {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        self.ask(host, &format!("global rib del -a {family} {prefix}")).map(drop)
    }

    /// Waits until its session with a peer is established.
    pub fn await_established(&self, host: &Netns, peer: &str, deadline: Duration) -> Result<()> {
        wait::until_true(deadline, format!("{} to be established", self.name), || {
            Ok(self.neighbour(host, peer)?["state"]["session_state"] == ESTABLISHED)
        })
        .with_context(|| self.log())
    }

    /// What it knows of a peer, as its API has it.
    pub fn neighbour(&self, host: &Netns, peer: &str) -> Result<Value> {
        let all: Value = serde_json::from_str(&self.ask(host, "-j neighbor")?)?;
        let is_peer = |one: &&Value| one["conf"]["neighbor_address"] == peer;
        let found = all.as_array().into_iter().flatten().find(is_peer);
        found.cloned().with_context(|| format!("no neighbour {peer} in {all}"))
    }

    /// The prefixes that a peer has announced, of one family (`ipv4`, `ipv6`).
    pub fn received(&self, host: &Netns, peer: &str, family: &str) -> Result<Vec<String>> {
        let listed = self.ask(host, &format!("-j neighbor {peer} adj-in -a {family}"))?;
        // It says "Network not in table" where there is none.
        let Ok(Value::Object(table)) = serde_json::from_str(&listed) else { return Ok(Vec::new()) };
        Ok(table.keys().cloned().collect())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn spawn(
        host: &Netns,
        name: &str,
        logs: &std::path::Path,
        conf: &std::path::Path,
        options: &[&str],
    ) -> Result<Process> {
        let mut command = host.command("gobgpd");
        command.arg("-f").arg(conf).args(["-p", "--pprof-disable", "--api-hosts", API]).args(options);
        Process::spawn(&mut command, name, logs)
    }

    fn await_answer(&self, host: &Netns) -> Result<()> {
        wait::until_true(START, "GoBGP", || Ok(self.ask(host, "-j neighbor").is_ok()))
            .with_context(|| self.log())
    }
}

impl Session {
    fn to_toml(&self) -> String {
        let Self { local, peer, timers, password, passive, restart_time } = self;
        let graceful = *restart_time > 0;
        let mut conf = format!(
            "[global.config]\nas = {}\nrouter-id = \"{}\"\nport = 179\nlocal-address-list = [\"{}\"]\n\
             [[neighbors]]\n[neighbors.config]\nneighbor-address = \"{}\"\npeer-as = {}\nauth-password = \"{password}\"\n\
             [neighbors.transport.config]\nlocal-address = \"{}\"\npassive-mode = {passive}\n\
             [neighbors.timers.config]\nkeepalive-interval = {}\nhold-time = {}\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n\
             [neighbors.graceful-restart.config]\nenabled = {graceful}\nrestart-time = {restart_time}\n",
            local.1, local.0, local.0, peer.0, peer.1, local.0, timers.0, timers.1
        );
        for family in ["ipv4-unicast", "ipv6-unicast"] {
            conf.extend([
                "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"",
                family,
                "\"\n[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = ",
                if graceful { "true\n" } else { "false\n" },
            ]);
        }
        conf
    }
}

/// In the host's own loopback.
const API: &str = "127.0.0.1:50051";
/// The session's state in its API.
const ESTABLISHED: u64 = 6;
const START: Duration = Duration::from_secs(10);

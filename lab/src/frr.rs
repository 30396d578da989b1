//! FRR as a BGP peer: zebra and bgpd, one pair a host, told what to do by vtysh.

use core::time::Duration;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::command;
use crate::{Netns, Process, Run, netns, wait};

/// A running zebra with its bgpd.
#[derive(Debug)]
pub struct Frr {
    /// zebra is first: bgpd gives it the routes.
    daemons: [Process; 2],
    name: String,
    logs: PathBuf,
    /// Theirs: both change to a user of their own, who may not enter the folder of the run.
    dir: TempDir,
}

impl Frr {
    /// Starts both in a host; returns when they answer. `conf` is bgpd's.
    pub fn start(run: &Run, host: &Netns, name: &str, conf: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("gotthard-frr-").tempdir()?;
        // zebra needs none, but reads that of the machine where it has none of its own.
        for (daemon, conf) in DAEMONS.into_iter().zip(["", conf]) {
            std::fs::write(dir.path().join(format!("{daemon}.conf")), conf)?;
        }
        netns::output(command("chown").args(["-R", "frr:frr"]).arg(dir.path()))?;
        let logs = run.dir().to_owned();
        let daemons = spawn(host, name, &logs, dir.path())?;
        let frr = Self { daemons, name: name.to_owned(), logs, dir };
        frr.await_answer()?;
        Ok(frr)
    }

    /// Kills both (SIGKILL) and starts them again, with the configuration of the start. zebra removes then what it finds
    /// of its routes in the kernel.
    pub fn restart_after_kill(&mut self, host: &Netns) -> Result<()> {
        self.daemons.iter_mut().try_for_each(Process::kill)?;
        for name in DAEMONS {
            std::fs::remove_file(self.dir.path().join(format!("{name}.vty")))?;
        }
        self.daemons = spawn(host, &self.name, &self.logs, self.dir.path())?;
        self.await_answer()
    }

    /// What vtysh prints for commands, one after the other; fails where FRR refuses one.
    pub fn ask(&self, commands: &[&str]) -> Result<String> {
        let mut vtysh = command("vtysh");
        vtysh.arg("--vty_socket").arg(self.dir.path());
        for words in commands {
            vtysh.args(["-c", words]);
        }
        netns::output(&mut vtysh)
    }

    /// What bgpd knows of a neighbour.
    pub fn neighbour(&self, peer: &str) -> Result<Value> {
        let all: Value = serde_json::from_str(&self.ask(&[&format!("show bgp neighbors {peer} json")])?)?;
        all.get(peer).cloned().with_context(|| format!("no neighbour {peer} in {all}"))
    }

    /// Waits until the session with a neighbour is established.
    pub fn await_established(&self, peer: &str, deadline: Duration) -> Result<()> {
        wait::until_true(deadline, format!("{} to be established with {peer}", self.name), || {
            Ok(self.neighbour(peer)?["bgpState"] == "Established")
        })
        .with_context(|| self.log())
    }

    /// The prefixes in its table, of one family (`ipv4`, `ipv6`), its own too.
    pub fn prefixes(&self, family: &str) -> Result<Vec<String>> {
        let table: Value = serde_json::from_str(&self.ask(&[&format!("show bgp {family} unicast json")])?)?;
        let routes = table["routes"].as_object().context("routes")?;
        Ok(routes.keys().cloned().collect())
    }

    /// What both have logged.
    pub fn log(&self) -> String {
        self.daemons.iter().map(Process::log).collect()
    }

    fn await_answer(&self) -> Result<()> {
        // bgpd reads its configuration after it has begun to listen.
        wait::until_true(START, "FRR", || Ok(self.ask(&["show bgp summary json"]).is_ok()))
            .with_context(|| self.log())
    }
}

fn spawn(host: &Netns, name: &str, logs: &Path, dir: &Path) -> Result<[Process; 2]> {
    let [zebra, bgpd] = DAEMONS.map(|daemon| {
        let mut command = host.command(&format!("/usr/lib/frr/{daemon}"));
        command.args(["-A", "127.0.0.1", "-P", "0", "--log", "stdout", "--vty_socket"]).arg(dir);
        command.arg("-f").arg(dir.join(format!("{daemon}.conf"))).arg("-z").arg(dir.join("zserv.api"));
        command.arg("-i").arg(dir.join(format!("{daemon}.pid")));
        let process = Process::spawn(&mut command, &format!("{name}-{daemon}"), logs)?;
        let socket = dir.join(format!("{daemon}.vty"));
        wait::until_true(START, daemon, || Ok(socket.exists())).with_context(|| process.log())?;
        anyhow::Ok(process)
    });
    Ok([zebra?, bgpd?])
}

const DAEMONS: [&str; 2] = ["zebra", "bgpd"];
const START: Duration = Duration::from_secs(20);

//! ExaBGP as a BGP peer: it holds a session and announces what it is told, malformed or not. It has no routes of its own
//! and gives none to the kernel.

use core::time::Duration;
use std::fs::{File, OpenOptions};
use std::io::Write as _;

use anyhow::{Context, Result};

use crate::{Netns, Process, Run, wait};

/// A running ExaBGP with one session.
#[derive(Debug)]
pub struct Exabgp {
    process: Process,
    commands: File,
}

/// The session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its own address and AS.
    pub local: (String, u32),
    /// The peer's.
    pub peer: (String, u32),
    /// Seconds.
    pub hold_time: u16,
    /// Further statements of the neighbour, each with its semicolon: `passive;`, `md5-password "…";`.
    pub options: Vec<String>,
}

impl Exabgp {
    /// Starts it in a host. It connects to its peer, unless it is told to be passive.
    pub fn start(run: &Run, host: &Netns, name: &str, session: &Session) -> Result<Self> {
        let dir = run.dir().join(name);
        std::fs::create_dir(&dir)?;
        // ExaBGP reads commands from a program that it starts; this one hands on what is written to a pipe with a name.
        let pipe = dir.join("commands");
        host.output("mkfifo", &[&pipe.to_string_lossy()])?;
        let conf = dir.join("exabgp.conf");
        std::fs::write(&conf, session.render(&pipe.to_string_lossy()))?;
        let mut command = host.command("env");
        command.args(ENVIRONMENT).arg("exabgp").arg(&conf);
        let process = Process::spawn(&mut command, name, run.dir())?;
        // Open for reading too: neither this waits for the program, nor does the program ever see the end of the pipe.
        let commands = OpenOptions::new().read(true).write(true).open(&pipe)?;
        Ok(Self { process, commands })
    }

    /// A command of its API: `announce route 10.200.0.0/16 next-hop self med 100`, with
    /// `attribute [ 0x02 0xc0 0x0201 ]` for an attribute of type 2, flags 0xc0 and these octets, whatever they mean.
    pub fn tell(&mut self, command: &str) -> Result<()> {
        self.commands.write_all(format!("{command}\n").as_bytes()).context("ExaBGP's pipe")
    }

    /// Announces a prefix with attributes in ExaBGP's words, and itself as next hop.
    pub fn announce(&mut self, prefix: &str, attributes: &str) -> Result<()> {
        self.tell(&format!("announce route {prefix} next-hop self {attributes}"))
    }

    /// Withdraws a prefix.
    pub fn withdraw(&mut self, prefix: &str) -> Result<()> {
        self.tell(&format!("withdraw route {prefix} next-hop self"))
    }

    /// Waits until it has logged so many connections; commands that come before are kept for the session.
    pub fn await_connections(&self, count: usize, deadline: Duration) -> Result<()> {
        wait::until_true(deadline, format!("connection {count} of ExaBGP"), || {
            Ok(self.log().matches("connected to peer").count() >= count)
        })
        .with_context(|| self.log())
    }

    /// SIGKILL: the session ends without a NOTIFICATION.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Its process, to be stopped and continued: a peer that neither reads nor sends.
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// What it has logged: notifications that it was sent, among others.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Session {
    fn render(&self, pipe: &str) -> String {
        let Self { local, peer, hold_time, options } = self;
        format!(
            "process commands {{\n  run /bin/cat {pipe};\n  encoder text;\n}}\n\
             neighbor {} {{\n  peer-as {};\n  local-address {};\n  router-id {};\n  local-as {};\n  hold-time {hold_time};\n  \
             family {{ ipv4 unicast; ipv6 unicast; }}\n  api {{ processes [ commands ]; }}\n  {}\n}}\n",
            peer.0,
            peer.1,
            local.0,
            local.0,
            local.1,
            options.join("\n  ")
        )
    }
}

/// In the foreground, as the caller's user, logging to its output, with no other control and no answers to commands.
const ENVIRONMENT: [&str; 6] = [
    "exabgp.daemon.user=root",
    "exabgp.daemon.daemonize=false",
    "exabgp.log.destination=stdout",
    "exabgp.log.level=INFO",
    "exabgp.api.ack=false",
    "exabgp.api.cli=false",
];

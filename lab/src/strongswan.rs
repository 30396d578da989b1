//! strongSwan as a peer: one charon a host, ESP in user space (plugin kernel-libipsec), told what to do by swanctl.

use core::time::Duration;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::command;
use crate::{Netns, Process, Run, netns, wait};

pub mod connection;
pub mod kernel;
pub mod posture;
pub mod sas;
pub mod settings;

pub use connection::Connection;
pub use sas::{ChildSa, Sas};
use settings::LogLevel;
pub use settings::Settings;

/// A running charon with its own configuration, vici socket and log.
#[derive(Debug)]
pub struct Charon {
    process: Process,
    name: String,
    host: String,
    dir: PathBuf,
    logs: PathBuf,
    settings: Settings,
}

impl Charon {
    /// Starts charon in a host and loads a swanctl.conf; returns when it is loaded.
    pub fn start(run: &Run, host: &Netns, name: &str, swanctl_conf: &str) -> Result<Self> {
        Self::launch(run, host, name, swanctl_conf, &[], Settings::default())
    }

    /// The same with certificates, keys and lists, each in the folder of swanctl that is for it, as `x509/a.pem`.
    pub fn start_with_files(
        run: &Run,
        host: &Netns,
        name: &str,
        swanctl_conf: &str,
        files: &[(&str, String)],
    ) -> Result<Self> {
        Self::launch(run, host, name, swanctl_conf, files, Settings::default())
    }

    /// The same with settings of its own.
    pub fn start_with_settings(
        run: &Run,
        host: &Netns,
        name: &str,
        swanctl_conf: &str,
        settings: Settings,
    ) -> Result<Self> {
        Self::launch(run, host, name, swanctl_conf, &[], settings)
    }

    fn launch(
        run: &Run,
        host: &Netns,
        name: &str,
        swanctl_conf: &str,
        files: &[(&str, String)],
        settings: Settings,
    ) -> Result<Self> {
        let dir = run.dir().join(name);
        std::fs::create_dir(&dir)?;
        for (file, text) in files {
            let path = dir.join(file);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, text)?;
        }
        let log = run.dir().join(format!("{name}-charon.log"));
        std::fs::write(dir.join("strongswan.conf"), settings.render(&dir, &log))?;
        std::fs::write(dir.join("swanctl.conf"), swanctl_conf)?;
        let process = spawn(host, name, &dir, run.dir())?;
        let charon = Self {
            process,
            name: name.to_owned(),
            host: host.name().to_owned(),
            dir,
            logs: run.dir().to_owned(),
            settings,
        };
        charon.load()?;
        Ok(charon)
    }

    /// Kills it (SIGKILL: it tells nobody) and starts it again, without any state.
    pub fn restart_after_kill(&mut self, host: &Netns) -> Result<()> {
        self.kill()?;
        self.process = spawn(host, &self.name, &self.dir, &self.logs)?;
        self.load()
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        match std::fs::remove_file(self.dir.join("vici")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Brings up a child SA and the IKE SA below it.
    pub fn initiate(&self, child: &str) -> Result<()> {
        self.swanctl(&["--initiate", "--child", child, "--timeout", "15"]).map(drop)
    }

    /// Starts a rekey of a child SA.
    pub fn rekey_child(&self, child: &str) -> Result<()> {
        self.swanctl(&["--rekey", "--child", child]).map(drop)
    }

    /// Starts a rekey of the one child SA that is installed, whatever others are on their way out.
    pub fn rekey_installed_child(&self) -> Result<()> {
        let children = self.sas()?.children();
        let installed = children.iter().find(|child| child.state == "INSTALLED");
        let id = &installed.with_context(|| format!("none is installed: {children:?}"))?.id;
        self.swanctl(&["--rekey", "--child-id", id]).map(drop)
    }

    /// Starts a rekey of the child SA that receives with an SPI; does nothing where its peer has begun one already.
    ///
    /// The successor is not taken instead: charon 5.9.8 dies if it rekeys one whose predecessor its peer is about to
    /// delete (it installs the outbound half of an SA whose keys it has wiped).
    pub fn rekey_child_of(&self, spi: u32) -> Result<()> {
        let receives = |child: &ChildSa| u32::from_str_radix(&child.spi_in, 16) == Ok(spi);
        let ready = |children: Vec<ChildSa>| {
            children.into_iter().find(|child| receives(child) && child.state == "INSTALLED")
        };
        let Some(ChildSa { id, .. }) = ready(self.sas()?.children()) else { return Ok(()) };
        match self.swanctl(&["--rekey", "--child-id", &id]) {
            // Its peer may have begun between the look and the word.
            Err(error) if ready(self.sas()?.children()).is_some() => Err(error),
            _ => Ok(()),
        }
    }

    /// Starts a rekey of an IKE SA.
    pub fn rekey_ike(&self, connection: &str) -> Result<()> {
        self.swanctl(&["--rekey", "--ike", connection]).map(drop)
    }

    /// Deletes an IKE SA.
    pub fn terminate(&self, connection: &str) -> Result<()> {
        self.swanctl(&["--terminate", "--ike", connection, "--timeout", "10"]).map(drop)
    }

    /// Charon's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its SAs.
    pub fn sas(&self) -> Result<Sas> {
        Ok(Sas::new(self.swanctl(&["--list-sas", "--raw"])?))
    }

    /// Waits until it has one established IKE SA with one installed child.
    pub fn await_established(&self, deadline: Duration) -> Result<Sas> {
        wait::until(deadline, format!("{} to have an SA", self.host), || {
            Ok(Some(self.sas()?).filter(|sas| sas.established() == 1 && sas.installed() == 1))
        })
    }

    /// Waits until it has no SA.
    pub fn await_no_sa(&self, deadline: Duration) -> Result<()> {
        wait::until_true(deadline, format!("{} to have no SA", self.host), || Ok(self.sas()?.is_empty()))
    }

    /// From here on it logs nothing: at a thousand handshakes a second its log would be most of its work.
    pub fn log_nothing(&self) -> Result<()> {
        let silent = Settings { log: LogLevel::Silent, ..self.settings };
        let conf = silent.render(&self.dir, &self.log_file());
        std::fs::write(self.dir.join("strongswan.conf"), conf)?;
        self.swanctl(&["--reload-settings"]).map(drop)
    }

    /// What charon has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.logs.join(format!("{}-charon.log", self.name))
    }

    fn load(&self) -> Result<()> {
        let socket = self.dir.join("vici");
        // It is there a moment before it listens.
        let listens = || Ok(UnixStream::connect(&socket).is_ok());
        wait::until_true(START, format!("charon in {}", self.host), listens)?;
        let file = self.dir.join("swanctl.conf");
        let file = file.to_string_lossy();
        let said = self.swanctl(&["--load-all", "--file", &file])?;
        if said.contains("failed") {
            bail!("{said}");
        }
        Ok(())
    }

    fn swanctl(&self, args: &[&str]) -> Result<String> {
        let mut command = command("swanctl");
        command.args(args).env("STRONGSWAN_CONF", self.dir.join("strongswan.conf"));
        command.env("SWANCTL_DIR", &self.dir);
        netns::output(&mut command)
    }
}

fn spawn(host: &Netns, name: &str, dir: &Path, logs: &Path) -> Result<Process> {
    let mut command = host.command("charon-systemd");
    command.env("STRONGSWAN_CONF", dir.join("strongswan.conf"));
    Process::spawn(&mut command, &format!("{name}-stdout"), logs)
}

const START: Duration = Duration::from_secs(10);

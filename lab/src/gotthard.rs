//! Our gateway: the built binary in a host, with a configuration of the scenario's, asked over its control socket.

use core::fmt::Write as _;
use core::time::Duration;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

use crate::cloud::aws::{AS, CUSTOMER_AS};
use crate::path::Path as Way;
use crate::status::Status;
use crate::strongswan::posture;
use crate::terminal::Terminal;
use crate::{Netns, Process, Run, Suite, netns, wait};

/// A running daemon.
#[derive(Debug)]
pub struct Gotthard {
    /// The daemon itself.
    pub process: Process,
    host: String,
    dir: PathBuf,
    socket: PathBuf,
}

impl Gotthard {
    /// Starts the daemon in a host; `name` names its files.
    pub fn start(run: &Run, host: &Netns, name: &str, config: &Config) -> Result<Self> {
        Self::start_with_environment(run, host, name, config, &[])
    }

    /// The same with further variables of its environment.
    pub fn start_with_environment(
        run: &Run,
        host: &Netns,
        name: &str,
        config: &Config,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let dir = run.dir().join(name);
        std::fs::create_dir_all(&dir)?;
        write_secret(&dir.join(FILE), &config.render()?)?;
        Self::launch(run, host, name, config.log, environment)
    }

    /// The same with what is in the folder `name` of the run already: a `gotthard.toml`, and what stands beside it.
    pub fn start_there(run: &Run, host: &Netns, name: &str, log: &str) -> Result<Self> {
        Self::launch(run, host, name, log, &[])
    }

    fn launch(run: &Run, host: &Netns, name: &str, log: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let dir = run.dir().join(name);
        let socket = dir.join("control.sock");
        let mut command = host.command(&binary()?.to_string_lossy());
        command.arg("run").arg("--config").arg(dir.join(FILE)).env("GOTTHARD_LOG", log);
        command.env("GOTTHARD_SOCKET", &socket).env("GOTTHARD_STATE", dir.join("state"));
        command.envs(environment.iter().copied());
        let process = Process::spawn(&mut command, name, run.dir())?;
        Ok(Self { process, host: host.name().to_owned(), dir, socket })
    }

    /// Its control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Has it take another configuration.
    pub fn reload(&self, config: &Config) -> Result<()> {
        write_secret(&self.dir.join(FILE), &config.render()?)?;
        self.ask(&["reload"]).map(drop)
    }

    /// Its status, held against the contract.
    pub fn status(&self) -> Result<Status> {
        Status::parse(&self.ask(&["status", "--output", "json"])?)
    }

    /// The files that take its keys, those of IKE SAs and those of ESP SAs, where [`Config::reveals_keys`] asks for them.
    pub fn key_files(&self) -> [PathBuf; 2] {
        [KEY_FILE.to_owned(), format!("{KEY_FILE}.esp")].map(|name| self.dir.join(name))
    }

    /// Runs a command of the command line and returns what it printed.
    pub fn ask(&self, args: &[&str]) -> Result<String> {
        let output = self.command()?.args(args).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        // 5: answered, and a connection is degraded or down.
        match output.status.code() {
            Some(0 | 5) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            _ => bail!("gotthard {args:?}: {}: {said}", output.status),
        }
    }

    /// A command of the command line that asks this daemon.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.env("GOTTHARD_SOCKET", &self.socket);
        Ok(command)
    }

    /// Runs a command of the command line inside a host, with the daemon's configuration; whatever it ends with.
    pub fn ask_in(&self, host: &Netns, args: &[&str]) -> Result<Output> {
        let mut command = host.command(&binary()?.to_string_lossy());
        command.args(args).arg("--config").arg(self.dir.join(FILE)).env("GOTTHARD_SOCKET", &self.socket);
        Ok(command.output()?)
    }

    /// Runs a command of the command line on a terminal of this many columns and lines.
    pub fn terminal(&self, columns: u16, lines: u16, args: &[&str]) -> Result<Terminal> {
        let program = binary()?.display().to_string();
        Terminal::start(
            &[&[program.as_str()], args].concat(),
            columns,
            lines,
            &[("GOTTHARD_SOCKET", &self.socket)],
        )
    }

    /// Starts a rekey of a tunnel's child SA, or with `--ike` of its IKE SA.
    pub fn rekey(&self, tunnel: usize, options: &[&str]) -> Result<()> {
        let name = format!("{CONNECTION}/{tunnel}");
        self.ask(&[&["rekey", name.as_str()], options].concat()).map(drop)
    }

    /// Waits until the control socket answers.
    pub fn await_running(&self, deadline: Duration) -> Result<()> {
        let answers = || Ok(self.socket.exists() && self.status().is_ok());
        wait::until_true(deadline, format!("gotthard in {} to answer", self.host), answers)
    }

    /// Waits until the status fulfils a condition, and returns it.
    pub fn await_status(
        &self,
        deadline: Duration,
        what: &str,
        holds: impl Fn(&Status) -> bool,
    ) -> Result<Status> {
        self.await_running(deadline)?;
        wait::until(deadline, what, || Ok(Some(self.status()?).filter(&holds)))
            .with_context(|| self.ask(&["status", "--output", "json"]).unwrap_or_default())
    }

    /// Waits until all tunnels are up.
    pub fn await_up(&self, deadline: Duration) -> Result<Status> {
        self.await_status(deadline, "all tunnels to be up", |status| {
            status.tunnels().all(super::status::Tunnel::is_up)
        })
    }
}

/// A configuration of one connection.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our outer address.
    pub local: String,
    /// The preset.
    pub cloud: String,
    /// Further keys of the gateway, as `key = value` in TOML.
    pub gateway: Vec<String>,
    /// `static`, `bgp` or `external`.
    pub routing: &'static str,
    /// Prefixes behind the peer, where routing is static.
    pub remote: Vec<String>,
    /// What both ends use.
    pub suite: Suite,
    /// ESP suites, the preferred first.
    pub esp: Vec<String>,
    /// Further keys of the connection, as `key = value` in TOML.
    pub options: Vec<String>,
    /// The tunnels.
    pub tunnels: Vec<Tunnel>,
    /// The way that packets take through it; `None`: the one that `GOTTHARD_PATH` names, or the gateway's own choice.
    pub path: Option<Way>,
    /// How ESP crosses the outside: `"udp"`, which is all that kernel-libipsec has, or `"esp"`.
    pub encapsulation: &'static str,
    /// The gateway writes the keys of its SAs to files.
    pub reveals_keys: bool,
    /// The daemon's log level.
    pub log: &'static str,
}

/// One tunnel of a configuration.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// The peer's outer address.
    pub peer: String,
    /// Our address inside, with its prefix length.
    pub inside: String,
    /// Pre-shared key; empty where the connection has certificates.
    pub psk: String,
    /// Further keys of the tunnel, as `key = value` in TOML.
    pub options: Vec<String>,
}

impl Config {
    /// A customer gateway with both tunnels to the AWS posture.
    pub fn aws(suite: Suite) -> Self {
        let tunnel = |index: usize| Tunnel {
            peer: posture::ENDPOINTS[index].to_owned(),
            inside: format!("169.254.{}.2/30", 10 + index),
            psk: posture::PSKS[index].to_owned(),
            options: Vec::new(),
        };
        Self {
            local: posture::CUSTOMER_GATEWAY.to_owned(),
            cloud: "aws".to_owned(),
            gateway: Vec::new(),
            routing: "static",
            remote: vec!["10.200.0.0/16".to_owned()],
            suite,
            esp: vec![suite.esp().to_owned()],
            options: vec![posture::USERSPACE_WINDOW.to_owned()],
            tunnels: vec![tunnel(0), tunnel(1)],
            path: None,
            encapsulation: "udp",
            reveals_keys: false,
            log: "debug",
        }
    }

    /// The same with BGP: the prefixes behind AWS are those that it announces.
    pub fn aws_bgp(suite: Suite) -> Self {
        let mut config = Self { routing: "bgp", remote: Vec::new(), ..Self::aws(suite) };
        config.gateway = vec![format!("asn = {CUSTOMER_AS}"), "advertise = [\"10.10.0.0/16\"]".to_owned()];
        for tunnel in &mut config.tunnels {
            tunnel.options.push(format!("peer_asn = {AS}"));
        }
        config
    }

    /// The same with one more key of the connection.
    #[must_use]
    pub fn with(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// The same on this way.
    #[must_use]
    pub const fn on(mut self, path: Way) -> Self {
        self.path = Some(path);
        self
    }

    /// As TOML. The connection is called [`CONNECTION`], its tunnels `1`, `2`, …
    pub fn render(&self) -> Result<String> {
        let Self { local, cloud, gateway, routing, suite, esp, options, tunnels, encapsulation, .. } = self;
        let path = self.path.map_or_else(Way::wanted, |path| Ok(Some(path)))?;
        let mut keys = path.map(Way::keys).unwrap_or_default();
        if self.reveals_keys {
            writeln!(keys, "debug_keys = \"{KEY_FILE}\"")?;
        }
        gateway.iter().try_for_each(|key| writeln!(keys, "{key}"))?;
        let mut text = String::new();
        write!(
            text,
            "[gateway]\nlocal = \"{local}\"\n{keys}\n[connection.{CONNECTION}]\ncloud = \"{cloud}\"\n\
             routing = \"{routing}\"\nencapsulation = \"{encapsulation}\"\nsuites = [\"{}\"]\nesp = {esp:?}\n",
            suite.ike()
        )?;
        if !self.remote.is_empty() {
            writeln!(text, "remote = {:?}", self.remote)?;
        }
        options.iter().try_for_each(|option| writeln!(text, "{option}"))?;
        for (index, Tunnel { peer, inside, psk, options }) in tunnels.iter().enumerate() {
            write!(
                text,
                "\n[[connection.{CONNECTION}.tunnel]]\nname = \"{}\"\npeer = \"{peer}\"\ninside = \"{inside}\"\n",
                index + 1
            )?;
            if !psk.is_empty() {
                writeln!(text, "psk = \"{psk}\"")?;
            }
            options.iter().try_for_each(|option| writeln!(text, "{option}"))?;
        }
        Ok(text)
    }
}

/// The binary under test: `GOTTHARD_BIN`, else the release build of the target folder we were built in, brought up to
/// date by cargo.
pub fn binary() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BINARY
        .get_or_init(|| find_binary().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|why| anyhow!(why))
}

fn find_binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("GOTTHARD_BIN") {
        return Ok(PathBuf::from(given));
    }
    // TARGET/PROFILE/deps/TEST
    let test = std::env::current_exe()?;
    let target = test.ancestors().nth(3).context("target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--package", "gotthard", "--target-dir"]).arg(target);
    netns::output(build.current_dir(env!("CARGO_MANIFEST_DIR")))?;
    Ok(target.join("release/gotthard"))
}

/// A file with keys in it: readable by its owner alone, or the daemon refuses it.
pub fn write_secret(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// The configuration, in the gateway's folder.
pub const FILE: &str = "gotthard.toml";
/// Beside the configuration.
const KEY_FILE: &str = "keys";
/// The name of the connection in every configuration.
pub const CONNECTION: &str = "aws-prod";

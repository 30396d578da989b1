//! One side's `gotthard run`: started on its host, asked over its control socket, ended.

use core::time::Duration;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, anyhow, bail};
use gotthard_dataplane::netns;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::host::Host;
use crate::api::client::ask;
use crate::api::messages::{Request, Response, Target};
use crate::api::status::Status;

/// A running daemon. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Daemon {
    side: &'static str,
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Writes the configuration into `folder` and starts the daemon on the host.
    pub(super) async fn start(
        side: &'static str,
        host: &Host,
        folder: &Path,
        config: &str,
    ) -> anyhow::Result<Self> {
        let file = |ending: &str| folder.join(format!("{side}{ending}"));
        let (socket, log) = (file(".sock"), file(".log"));
        private(&file(".toml"))?.write_all(config.as_bytes())?;
        let mut command = Command::new(std::env::current_exe().context("where this program is")?);
        command.arg("--socket").arg(&socket).arg("--state").arg(file(".state"));
        command.arg("run").arg("--config").arg(file(".toml"));
        // Its readiness is asked for on its socket; a service manager of ours would misunderstand it.
        command.env_remove("NOTIFY_SOCKET");
        // Ctrl-C reaches the whole foreground group, but who ends when is decided here.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(private(&log)?);
        netns::die_with_parent(command.as_std_mut());
        let spawned = host.run(move || command.spawn()).await?;
        Ok(Self {
            side,
            child: spawned.with_context(|| format!("starting the {side}'s daemon"))?,
            socket,
            log,
        })
    }

    /// The status as soon as `holds` says so of it; `goal` names what is waited for.
    pub(super) async fn until(
        &mut self,
        goal: &str,
        limit: Duration,
        holds: impl Fn(&Status) -> bool,
    ) -> anyhow::Result<Status> {
        let deadline = Instant::now() + limit;
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = self.child.wait() => bail!("the {}'s daemon ended ({})\n{}", self.side, ended?, self.last_words()),
                _ = ticks.tick() => {}
            }
            let seen = self.status().await;
            match seen {
                Ok(status) if holds(&status) => return Ok(status),
                Ok(_) | Err(_) if Instant::now() < deadline => {}
                seen => bail!(
                    "{goal}: not within {} s, says the {}'s daemon{}\n{}",
                    limit.as_secs(),
                    self.side,
                    seen.map_or_else(|error| format!(": {error:#}"), |status| broken(&status)),
                    self.last_words(),
                ),
            }
        }
    }

    /// The status.
    pub(super) async fn status(&self) -> anyhow::Result<Status> {
        let answer = self.ask(Request::Status { connection: None }).await?;
        let Response::Status(status) = answer else { return Err(self.unexpected()) };
        Ok(*status)
    }

    /// Wants a tunnel up.
    pub(super) async fn up(&self, target: Target) -> anyhow::Result<()> {
        self.order(Request::Up(target)).await
    }

    /// Wants a tunnel down.
    pub(super) async fn down(&self, target: Target) -> anyhow::Result<()> {
        self.order(Request::Down(target)).await
    }

    /// Ends it as an operator does: SIGTERM.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let ended = timeout(END_TIME, self.child.wait()).await;
        let status =
            ended.map_err(|_| anyhow!("the {}'s daemon did not end within {END_TIME:?}", self.side))??;
        if !status.success() {
            bail!("the {}'s daemon ended badly ({status})\n{}", self.side, self.last_words());
        }
        Ok(())
    }

    /// Ends it now, whatever it does.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("killing the {}'s daemon", self.side))
    }

    async fn order(&self, request: Request) -> anyhow::Result<()> {
        let Response::Done { .. } = self.ask(request).await? else { return Err(self.unexpected()) };
        Ok(())
    }

    /// An answer that is no refusal.
    async fn ask(&self, request: Request) -> anyhow::Result<Response> {
        let answer = ask(&self.socket, &request).await?;
        if let Response::Refused(refusal) = &answer {
            bail!("the {}'s daemon refuses: {}", self.side, refusal.message);
        }
        Ok(answer)
    }

    fn unexpected(&self) -> anyhow::Error {
        anyhow!("the {}'s daemon answers something else than was asked", self.side)
    }

    /// The end of its log, indented.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
        end.map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    }
}

/// The broken links of a status, each with its remedy.
fn broken(status: &Status) -> String {
    let tunnels = status.connections.iter().flat_map(|connection| &connection.tunnels);
    tunnels
        .filter_map(|tunnel| Some((&tunnel.name, tunnel.broken.as_ref()?)))
        .fold(String::new(), |all, (name, link)| {
            all + "; tunnel " + name + ": " + &link.message + ": " + &link.remedy
        })
}

/// A new file that only we may read.
fn private(path: &Path) -> anyhow::Result<File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.with_context(|| path.display().to_string())
}

/// The control socket has no event to wait for.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Longer than the daemon waits for its peers' farewell.
const END_TIME: Duration = Duration::from_secs(5);
/// Of a log, what tells why it ended.
const LAST_LINES: usize = 12;

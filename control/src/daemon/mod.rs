//! The daemon: one loop on one thread that owns all state of the control plane.
//!
//! What arrives (datagrams, notices of the packet path, requests, signals, deadlines) changes the state in one place and
//! is then settled: the IKE endpoint's outputs are carried out in their order, and the routes follow. Packets do not pass
//! here.

mod gateway;
mod outlet;
mod peer;
mod provision;
mod record;
mod routing;
mod status;

use core::time::Duration;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tracing::{error, info, warn};

use self::gateway::Gateway;
use crate::api::messages::{RefusalKind, Request, Response, Target};
use crate::api::server::{self, Call};
use crate::config::{Config, RunOptions, load_to_run};
use crate::ike_driver::{Clock, Datagram, IkeDriver};
use crate::install::{DataPlane, Notice};
use crate::privileges;
use crate::routes::netlink::Netlink;
use crate::tunnels::Admin;

/// Runs until SIGTERM or SIGINT, and leaves no route or device behind.
pub async fn run(options: RunOptions) -> anyhow::Result<ExitCode> {
    privileges::keep_memory_private();
    let config = load_to_run(&options.config)?;
    let signals = Signals::install().context("installing signal handlers")?;
    let listener = server::bind(&options.socket)
        .with_context(|| format!("opening the control socket {}", options.socket.display()))?;
    let (mut daemon, calls) = Daemon::start(options, &config)?;
    let api = tokio::spawn(server::serve(listener, calls));

    daemon.gateway.configure(&mut daemon.driver, config).await;
    daemon.gateway.settle(&mut daemon.driver).await;
    notify(&[NotifyState::Ready]);
    info!(tunnels = daemon.gateway.records.len(), "gotthard runs");

    let result = daemon.serve(signals).await;
    notify(&[NotifyState::Stopping]);
    api.abort();
    daemon.stop().await;
    remove_socket(&daemon.options.socket);
    result.map(|()| ExitCode::SUCCESS)
}

/// The state of the control plane and what feeds it.
struct Daemon {
    options: RunOptions,
    driver: IkeDriver,
    gateway: Gateway,
    datagrams: mpsc::Receiver<Datagram>,
    notices: mpsc::Receiver<Notice>,
    calls: mpsc::Receiver<Call>,
    housekeeping: Interval,
    houses_kept: u32,
}

impl Daemon {
    fn start(options: RunOptions, config: &Config) -> anyhow::Result<(Self, mpsc::Sender<Call>)> {
        let (inbox, datagrams) = mpsc::channel(INBOX);
        let (notice, notices) = mpsc::channel(INBOX);
        let (call, calls) = mpsc::channel(CALLS);
        let clock = Clock::start();
        let driver = IkeDriver::new(inbox, clock);
        let data = DataPlane::start(config.gateway.packet_path, notice)
            .context("starting the packet path (it needs CAP_NET_ADMIN, UDP port 4500 and /dev/net/tun)")?;
        let gateway = Gateway::new(data, Netlink::open()?, clock);
        let mut housekeeping = interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok((Self { options, driver, gateway, datagrams, notices, calls, housekeeping, houses_kept: 0 }, call))
    }

    /// The loop. Ends on a signal, or when the packet path is lost.
    async fn serve(&mut self, mut signals: Signals) -> anyhow::Result<()> {
        loop {
            let due = self.due();
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::End => return Ok(()),
                    Asked::Reload => drop(self.reload().await),
                },
                Some(datagram) = self.datagrams.recv() => self.receive(&datagram),
                Some(notice) = self.notices.recv() => self.notice(notice).await?,
                Some(call) = self.calls.recv() => self.answer(call).await,
                _ = self.housekeeping.tick() => self.keep_house().await,
                () = sleep(due) => {}
            }
            self.gateway.settle(&mut self.driver).await;
        }
    }

    /// Tells the peers, waits briefly for their answers, and removes what the daemon has made.
    async fn stop(&mut self) {
        info!("ending: deleting the SAs at the peers");
        self.gateway.terminate_all(&mut self.driver);
        let told = async {
            loop {
                self.driver.tick();
                self.driver.drain(&mut self.gateway).await;
                if self.driver.is_idle() {
                    return;
                }
                let due = wait(self.driver.deadline(), self.driver.now());
                tokio::select! {
                    Some(datagram) = self.datagrams.recv() => self.driver.receive(&datagram),
                    Some(notice) = self.notices.recv() => if let Notice::Ike { local, remote, payload } = notice {
                        self.driver.receive(&Datagram { local, remote, payload });
                    },
                    () = sleep(due) => {}
                }
            }
        };
        if timeout(FAREWELL, told).await.is_err() {
            warn!("not every peer has confirmed the end of its SAs");
        }
        self.gateway.clear().await;
    }

    async fn notice(&mut self, notice: Notice) -> anyhow::Result<()> {
        let now = self.driver.now();
        match notice {
            Notice::Ike { local, remote, payload } => self.receive(&Datagram { local, remote, payload }),
            Notice::SoftLimit(id) | Notice::HardLimit(id) => self.gateway.outbound_ends(id, now),
            Notice::Broken { peer: Some(id), why } => {
                self.gateway.device_failed(id, why, now).await;
                self.gateway.provide(&mut self.driver).await;
            }
            Notice::Broken { peer: None, why } => anyhow::bail!("the packet path failed: {why}"),
        }
        Ok(())
    }

    fn receive(&mut self, datagram: &Datagram) {
        self.driver.receive(datagram);
    }

    async fn keep_house(&mut self) {
        self.count().await;
        self.gateway.provide(&mut self.driver).await;
        // Routes that somebody else removed, or an uplink that changed, are put right.
        self.houses_kept = self.houses_kept.wrapping_add(1);
        self.gateway.unsettled |= self.houses_kept.is_multiple_of(ROUTES_EVERY);
    }

    /// Reads the counters, and tells the endpoint which peers have shown themselves alive and when.
    async fn count(&mut self) {
        for (id, age) in self.gateway.count().await {
            let seen = self.driver.now().since_epoch().saturating_sub(age);
            self.driver.endpoint().traffic_seen(Time::from_epoch(seen), id);
        }
    }

    async fn answer(&mut self, call: Call) {
        let response = match call.request {
            Request::Status { connection } => {
                self.count().await;
                match status::status(&self.gateway, self.driver.now(), connection.as_deref()) {
                    Some(status) => Response::Status(status),
                    None => unknown(&connection.unwrap_or_default()),
                }
            }
            Request::Up(target) => self.set_admin(&target, Admin::Up),
            Request::Down(target) => self.set_admin(&target, Admin::Down),
            Request::Reload => self.reload().await,
        };
        // Who asked may be gone.
        drop(call.answer.send(response));
    }

    fn set_admin(&mut self, target: &Target, admin: Admin) -> Response {
        let named = |record: &&record::Record| {
            record.connection.name == target.connection
                && target.tunnel.as_ref().is_none_or(|name| *name == record.tunnel.name)
        };
        let ids: Vec<PeerId> = self.gateway.records.values().filter(named).map(|record| record.id).collect();
        if ids.is_empty() {
            return unknown(&target.to_string());
        }
        for id in &ids {
            self.gateway.set_admin(&mut self.driver, *id, admin);
        }
        let wish = match admin {
            Admin::Up => "up",
            Admin::Down => "down",
        };
        info!(%target, "wanted {wish}");
        Response::Done { message: format!("{target}: wanted {wish}, {} tunnel(s)", ids.len()) }
    }

    async fn reload(&mut self) -> Response {
        notify_reloading();
        let response = match load_to_run(&self.options.config) {
            Ok(config) => {
                let stays = config.gateway.packet_path == self.gateway.data.settings();
                let difference = self.gateway.configure(&mut self.driver, config).await;
                let gateway::Difference { added, removed, kept } = difference;
                info!(added, removed, kept, "reloaded");
                let mut message = format!("{kept} tunnel(s) untouched, {removed} removed, {added} added");
                if !stays {
                    warn!("{PACKET_PATH_STAYS}");
                    message = format!("{message}; {PACKET_PATH_STAYS}");
                }
                Response::Done { message }
            }
            Err(errors) => {
                error!("the new configuration does not hold, the old one stays in force: {errors}");
                Response::refused(RefusalKind::ConfigInvalid, errors.to_string())
            }
        };
        notify(&[NotifyState::Ready]);
        response
    }

    fn due(&self) -> Duration {
        let next = [self.driver.deadline(), self.gateway.next()].into_iter().flatten().min();
        wait(next, self.driver.now())
    }
}

/// How long to sleep until `deadline`: never long, so that a machine that slept catches up.
fn wait(deadline: Option<Time>, now: Time) -> Duration {
    deadline.map_or(HOUSEKEEPING, |at| (at - now).min(HOUSEKEEPING))
}

fn unknown(name: &str) -> Response {
    Response::refused(
        RefusalKind::NotFound,
        format!("there is no {name}: `gotthard status` lists connections and tunnels"),
    )
}

fn remove_socket(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        warn!(path = %path.display(), %error, "the control socket is left behind");
    }
}

/// Tells systemd, where it has started us.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd was not told");
    }
}

fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "systemd was not told of the reload"),
    }
}

/// The signals that concern the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

/// What a signal asks for.
enum Asked {
    End,
    Reload,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.reload.recv() => Asked::Reload,
        }
    }
}

/// The packet path holds every SA: to start it anew would be to build every tunnel anew.
const PACKET_PATH_STAYS: &str =
    "backend, workers and offloads below [gateway] take effect when gotthard is started again";
/// IKE datagrams and notices that wait for the loop.
const INBOX: usize = 1024;
/// Requests that wait for the loop; the server bounds its clients.
const CALLS: usize = 64;
/// Counters, missing devices and unknown peers are looked at this often; no timer sleeps longer.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Every so many times the kernel's routes are compared with those that are wanted.
const ROUTES_EVERY: u32 = 10;
/// How long the peers have to answer our Deletes.
const FAREWELL: Duration = Duration::from_secs(2);

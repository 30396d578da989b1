//! The daemon: one loop on one thread that owns all state of the control plane.
//!
//! What arrives (datagrams, notices of the packet path, requests, signals, deadlines) changes the state in one place and
//! is then settled: the IKE endpoint's outputs are carried out in their order, and the routes follow. Packets do not pass
//! here.

mod agenda;
mod bgp;
mod books;
mod capture;
mod chain;
mod confinement;
mod diagnosis;
mod drill;
mod external;
mod gateway;
mod hooks;
mod key_file;
mod networks;
mod orders;
mod outlet;
mod pages;
mod peer;
mod probing;
mod provision;
mod record;
mod refusals;
mod rekey;
mod route_table;
mod routing;
mod signals;
mod status;
mod switching;

use core::time::Duration;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use gotthard_ike::Time;
use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use self::books::Books;
use self::capture::Captures;
use self::gateway::Gateway;
use self::key_file::KeyFile;
use self::pages::Pages;
use self::probing::{EchoReply, Probes, REPLIES};
use self::refusals::{News, Refusals};
use self::signals::{Asked, Signals};
use crate::api::server::{self, Call};
use crate::capture::queue;
use crate::config::{self, Config, RunOptions};
use crate::events::kind;
use crate::ike_driver::{Clock, IkeDriver};
use crate::install::{DataPlane, Notice};
use crate::intake::{self, Intake};
use crate::log::Logs;
use crate::privileges;
use crate::routes::flow_hash::FlowHash;
use crate::routes::netlink::Netlink;
use crate::routes::watch::Watch;

/// Runs until SIGTERM or SIGINT, and leaves no route or device behind.
pub async fn run(options: RunOptions, logs: Logs) -> anyhow::Result<ExitCode> {
    privileges::keep_memory_private();
    let loaded = config::load(&options.config)?;
    let signals = Signals::install().context("installing signal handlers")?;
    let listener = server::bind(&options.socket)
        .with_context(|| format!("opening the control socket {}", options.socket.display()))?;
    let folder = hooks::folder(&loaded.config, &options.config);
    let beside = folder.and_then(|folder| hooks::beside(&folder));
    // Every thread that is started from here on has what is left.
    privileges::give_up(Some(&confinement::places(&options, &loaded)));
    let config = loaded.config;
    let (mut daemon, calls) = Daemon::start(options, &config, logs.clone())?;
    daemon.reveal_keys(&config)?;
    daemon.take_hooks(&config, beside);
    daemon.pages.serve(&config.gateway).await;
    let api = tokio::spawn(server::serve(listener, calls, logs.events, daemon.gateway.meters.clone()));

    daemon.gateway.configure(&mut daemon.driver, config).await;
    daemon.gateway.settle(&mut daemon.driver).await;
    notify(&[NotifyState::Ready]);
    info!(tunnels = daemon.gateway.records.len(), event = kind::STARTED, "gotthard runs");

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
    intake: Intake,
    notices: mpsc::Receiver<Notice>,
    watch: Watch,
    calls: mpsc::Receiver<Call>,
    replies: mpsc::Receiver<EchoReply>,
    housekeeping: Interval,
    houses_kept: u32,
    pages: Pages,
    /// What happened.
    logs: Logs,
    refusals: Refusals,
}

impl Daemon {
    fn start(options: RunOptions, config: &Config, logs: Logs) -> anyhow::Result<(Self, mpsc::Sender<Call>)> {
        let (inbox, intake) = intake::queue();
        let (notice, notices) = mpsc::channel(NOTICES);
        let (call, calls) = mpsc::channel(CALLS);
        let clock = Clock::start();
        let driver = IkeDriver::new(inbox.clone(), clock).context("starting threads for key exchanges")?;
        let (copies, captured) = queue::queue();
        let data = DataPlane::start(config.gateway.packet_path, inbox, notice, copies)
            .context("starting the packet path (it needs CAP_NET_ADMIN, UDP port 4500 and /dev/net/tun)")?;
        let (reply, replies) = mpsc::channel(REPLIES);
        let netlink = Netlink::open()?;
        let watch = netlink.watch()?;
        let flow_hash = FlowHash::resume(&options.state);
        let books = Books::open(&options.state);
        let (probes, captures) = (Probes::new(reply), Captures::new(captured));
        let gateway = Gateway::new(data, netlink, flow_hash, clock, probes, captures, books);
        let mut housekeeping = interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let houses_kept = 0;
        let pages = Pages::new(call.clone(), gateway.meters.clone(), logs.events.clone());
        let daemon = Self {
            options,
            driver,
            gateway,
            intake,
            notices,
            watch,
            calls,
            replies,
            housekeeping,
            houses_kept,
            pages,
            logs,
            refusals: Refusals::default(),
        };
        Ok((daemon, call))
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
                datagrams = self.intake.take() => self.driver.receive(&datagrams),
                Some(notice) = self.notices.recv() => self.notice(notice).await?,
                events = self.watch.next() => self.gateway.observe(events),
                Some(done) = self.driver.computed() => self.driver.take(done),
                Some(reply) = self.replies.recv() => self.take_replies(reply),
                arrival = self.gateway.bgp.driver.arrival() => self.gateway.bgp_arrived(arrival),
                Some(call) = self.calls.recv() => self.answer(call).await,
                _ = self.housekeeping.tick() => self.keep_house().await,
                () = sleep(due) => {}
            }
            self.gateway.settle(&mut self.driver).await;
        }
    }

    /// Tells the peers, waits briefly for their answers, and removes what the daemon has made.
    async fn stop(&mut self) {
        info!(event = kind::ENDING, "ending: deleting the SAs at the peers");
        let tunnels: Vec<_> = self.gateway.records.keys().copied().collect();
        self.gateway.end_sessions(&tunnels).await;
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
                    datagrams = self.intake.take() => self.driver.receive(&datagrams),
                    () = sleep(due) => {}
                }
            }
        };
        if timeout(FAREWELL, told).await.is_err() {
            warn!("not every peer has confirmed the end of its SAs");
        }
        self.gateway.keep_books().await;
        self.gateway.clear().await;
        self.gateway.books.close().await;
        self.gateway.hooks.finish(hooks::PATIENCE).await;
    }

    async fn notice(&mut self, notice: Notice) -> anyhow::Result<()> {
        let now = self.driver.now();
        match notice {
            Notice::SoftLimit { peer, spi } => self.gateway.outbound_nears_end(peer, spi, now),
            Notice::HardLimit { peer, spi } => self.gateway.outbound_ends(peer, spi, now),
            Notice::Broken { peer: Some(id), why } => {
                self.gateway.device_failed(id, why, now).await;
                self.gateway.provide(&mut self.driver).await;
            }
            Notice::Broken { peer: None, why } => anyhow::bail!("the packet path failed: {why}"),
        }
        Ok(())
    }

    /// Takes a reply and those that wait behind it: echoes leave together, and their replies arrive so.
    fn take_replies(&mut self, first: EchoReply) {
        self.gateway.echo_answered(first);
        for _ in 1..REPLIES {
            let Ok(next) = self.replies.try_recv() else { return };
            self.gateway.echo_answered(next);
        }
    }

    async fn keep_house(&mut self) {
        // A loop that hangs does not come by here, and systemd starts the daemon anew.
        if sd_notify::watchdog_enabled().is_some() {
            notify(&[NotifyState::Watchdog]);
        }
        self.gateway.books.look(&self.gateway.config);
        self.count().await;
        self.gateway.books.tend(self.driver.now()).await;
        self.gateway.measure_paths();
        self.gateway.provide(&mut self.driver).await;
        self.gateway.end_stale_capture().await;
        self.tell_of_outside();
        self.pages.retry();
        self.houses_kept = self.houses_kept.wrapping_add(1);
        self.gateway.check_routes(self.houses_kept.is_multiple_of(ROUTES_EVERY));
    }

    /// What others have sent that came to nothing, in sum.
    fn tell_of_outside(&mut self) {
        let left_out = self.logs.limit.left_out();
        if left_out > 0 {
            warn!(left_out, event = kind::LINES_LEFT_OUT, "lines that others have caused were left out");
        }
        let now = self.driver.now();
        if let Some(News { count, reason }) = self.refusals.look(now, self.driver.endpoint().counters()) {
            info!(count, reason, event = kind::PEERS_REFUSED, "IKE messages were refused");
        }
    }

    /// Reads the counters, and tells the endpoint which peers have shown themselves alive and when, and to which packets
    /// were sent.
    async fn count(&mut self) {
        for (id, moved, age) in self.gateway.count(self.driver.now()).await {
            let now = self.driver.now();
            let endpoint = self.driver.endpoint();
            if moved.received {
                let seen = now.since_epoch().saturating_sub(age);
                endpoint.traffic_seen(Time::from_epoch(seen), id);
            }
            if moved.sent {
                endpoint.traffic_sent(now, id);
            }
        }
    }

    /// Writes the keys of SAs made from here on, if the configuration wants that.
    fn reveal_keys(&mut self, config: &Config) -> Result<(), key_file::Refused> {
        let path = config.gateway.debug_keys.as_deref();
        self.gateway.keys = path.map(KeyFile::open).transpose()?;
        self.driver.endpoint().reveal_keys(path.is_some());
        if let Some(path) = path {
            warn!(path = %path.display(), "debug_keys: the keys of every SA are written; who reads them reads the traffic");
        }
        Ok(())
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

/// Notices that wait for the loop.
const NOTICES: usize = 1024;
/// Requests that wait for the loop; the server bounds its clients.
const CALLS: usize = 64;
/// Counters, missing devices and unknown peers are looked at this often; no timer sleeps longer.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Every so many times the kernel's network is read, though it tells of every change.
const ROUTES_EVERY: u32 = 60;
/// How long the peers have to answer our Deletes.
const FAREWELL: Duration = Duration::from_secs(2);

//! Changes of a tunnel's state, and of who carries, told once: to the log and its events, and to the operator's hooks.

use core::time::Duration;
use std::path::{Path, PathBuf};

use gotthard_ike::config::{Encapsulation, PeerId};
use gotthard_ike::error::Failure;
use gotthard_ike::event::Nat;
use tracing::{info, warn};

use super::Daemon;
use super::drill::millis;
use super::gateway::Gateway;
use super::record::{Record, escaped};
use crate::api::messages::Sa;
use crate::bgp::speaker::Notice;
use crate::config::Config;
use crate::events::kind;
use crate::hooks::{Beside, Event, Reason, Tunnel, What};
use crate::tunnels::{self, Phase};

/// What of a tunnel's state hooks are told of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    up: bool,
    ike_rekeys: u64,
    child_rekeys: u64,
}

impl Seen {
    pub(super) fn of(state: &tunnels::Tunnel) -> Self {
        Self {
            up: state.phase() == Phase::Up,
            ike_rekeys: state.ike_rekeys(),
            child_rekeys: state.child_rekeys(),
        }
    }
}

impl Gateway {
    /// Tells what changed in a tunnel's state since it was `before`.
    pub(super) fn tell_changes(&self, id: PeerId, before: Seen) {
        let Some(record) = self.records.get(&id) else { return };
        let after = Seen::of(&record.state);
        let (ike, child) = (record.state.ike_rekey_took(), record.state.child_rekey_took());
        let changes = [
            (after.ike_rekeys > before.ike_rekeys, What::Rekey { sa: IKE, took: ike }),
            (after.child_rekeys > before.child_rekeys, What::Rekey { sa: CHILD, took: child }),
            (after.up && !before.up, What::TunnelUp),
            (before.up && !after.up, What::TunnelDown(reason(record))),
        ];
        for (_, what) in changes.into_iter().filter(|(happened, _)| *happened) {
            if let What::Rekey { sa, took } = what {
                let (connection, _) = record.names();
                self.meters.rekeyed(connection, if sa == IKE { Sa::Ike } else { Sa::Child }, took);
            }
            self.tell(record, what);
        }
    }

    /// Tells that a tunnel goes, with its SAs if it still has any.
    pub(super) fn tell_end(&self, record: &Record) {
        if record.state.phase() == Phase::Up {
            self.tell(record, What::TunnelDown(because(&Failure::Administrative)));
        }
    }

    /// Tells who carries a connection's traffic, who did, and how long nobody did in between.
    pub(super) fn tell_failover(
        &self,
        connection: String,
        from: Vec<String>,
        to: Vec<String>,
        gap: Option<Duration>,
    ) {
        let what = What::Failover { from, to, gap };
        self.hooks.tell(Event { connection, tunnel: None, what });
    }

    /// Tells the log, the stream of events and the hooks.
    fn tell(&self, record: &Record, what: What) {
        record.span().in_scope(|| log(record, &what));
        self.hooks.tell(event(record, what));
    }
}

/// What the log says of a change of a tunnel's state; the span of the tunnel is around it.
fn log(record: &Record, what: &What) {
    match what {
        What::TunnelUp => {
            let ike = record.state.ike().map(|sa| sa.suite.to_string());
            let esp = record.state.child().map(|sa| sa.suite.to_string());
            let nat = record.state.ike().map(|sa| nat_name(sa.nat));
            let (peer, mtu) = (record.tunnel.peer, record.negotiated_mtu());
            info!(%peer, ike, esp, nat, mtu, event = kind::TUNNEL_UP, "tunnel up");
        }
        What::TunnelDown(Reason { code, message }) => {
            let code = Some(*code).filter(|code| !code.is_empty());
            info!(code, reason = message, event = kind::TUNNEL_DOWN, "tunnel down");
        }
        What::Rekey { sa: IKE, took } => {
            let (ike, took_ms) = (record.ike_text(), millis(*took));
            info!(ike, took_ms, event = kind::IKE_REKEYED, "IKE SA rekeyed");
        }
        What::Rekey { took, .. } => {
            let (esp, took_ms) = (record.child_text(), millis(*took));
            info!(esp, took_ms, event = kind::CHILD_REKEYED, "child SA rekeyed");
        }
        // Told where they happen.
        What::Failover { .. } | What::BgpUp | What::BgpDown(_) => {}
    }
}

/// As hooks are told of the SAs of a tunnel.
const IKE: &str = "ike";
const CHILD: &str = "child";

/// Where a NAT was seen, as the status has it.
pub(super) const fn nat_name(nat: Nat) -> &'static str {
    match (nat.local, nat.remote) {
        (false, false) => "none",
        (true, false) => "local",
        (false, true) => "remote",
        (true, true) => "both",
    }
}

impl Daemon {
    /// Runs the hooks of the configuration's folder from here on.
    pub(super) fn take_hooks(&self, config: &Config, beside: Option<Beside>) {
        let folder = folder(config, &self.options.config);
        if let Some(beside) = beside {
            self.gateway.hooks.leave_to(beside);
        }
        if folder.as_deref().is_some_and(|folder| !self.gateway.hooks.are_left(folder)) {
            warn!("hooks reach few files until the daemon is started again: it began without this folder");
        }
        self.gateway.hooks.set_folder(folder);
    }
}

/// The process that runs the hooks of a folder, which is confined less than we are about to be.
pub(super) fn beside(folder: &Path) -> Option<Beside> {
    let failed = |error: &std::io::Error| warn!(%error, "no process for hooks");
    Beside::start(folder, LIMIT).inspect_err(failed).ok()
}

/// The folder of the hooks: the one that is configured, or `hooks.d` beside the configuration file, if it is there.
pub(super) fn folder(config: &Config, file: &Path) -> Option<PathBuf> {
    let usual = || Some(file.parent()?.join("hooks.d")).filter(|folder| folder.is_dir());
    let folder = config.gateway.hooks.clone().or_else(usual)?;
    // A hook is not run in our folder.
    Some(std::path::absolute(&folder).unwrap_or(folder))
}

/// What hooks are told of a session.
pub(super) fn session_event(record: &Record, notice: &Notice) -> Option<Event> {
    match notice {
        Notice::Up { .. } => Some(event(record, What::BgpUp)),
        Notice::Down { failure, .. } => {
            let reason = Reason { code: failure.code(), message: escaped(failure) };
            Some(event(record, What::BgpDown(reason)))
        }
        Notice::Failed(_) | Notice::Refused { .. } | Notice::Flawed { .. } | Notice::NotOffered { .. } => {
            None
        }
    }
}

fn event(record: &Record, what: What) -> Event {
    let (connection, tunnel) = (&record.connection, &record.tunnel);
    let local = record.local;
    let local_id = tunnel.local_id.as_ref().map(ToString::to_string);
    let in_udp = record.state.child().map_or(connection.encapsulation, |child| child.encapsulation);
    let tunnel = Tunnel {
        name: tunnel.name.clone(),
        interface: tunnel.interface.clone(),
        local,
        peer: tunnel.peer,
        local_id: local_id.or_else(|| local.map(|local| local.to_string())).unwrap_or_default(),
        peer_id: tunnel.peer_id.to_string(),
        inside: tunnel.inside,
        peer_inside: tunnel.peer_inside,
        peer_asn: tunnel.peer_asn,
        mtu: record.negotiated_mtu(),
        in_udp: in_udp != Encapsulation::Esp,
    };
    Event { connection: connection.name.clone(), tunnel: Some(tunnel), what }
}

fn reason(record: &Record) -> Reason {
    match (record.state.failure(), record.state.phase()) {
        (Some(failure), _) => because(failure),
        (None, Phase::AdminDown) => because(&Failure::Administrative),
        (None, Phase::Waiting | Phase::Connecting | Phase::Up) => {
            Reason { code: "", message: "it is built anew".to_owned() }
        }
    }
}

fn because(failure: &Failure) -> Reason {
    Reason { code: failure.code(), message: escaped(failure) }
}

/// How long one hook may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// How long the daemon's end waits for hooks that have not begun.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

//! The probe of each tunnel at work: echoes out, replies, counters and lost uplinks in, and what follows.
//!
//! Those that are due are polled together, with one reading of their counters in the packet path: the cost does not grow with
//! the square of their number.

use core::time::Duration;
use std::net::IpAddr;

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use gotthard_ike::timer::Timers;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::gateway::Gateway;
use super::record::Record;
use crate::events::kind;
use crate::ike_driver::Clock;
use crate::probe::echo::Token;
use crate::probe::socket::EchoSocket;
use crate::probe::{Ask, Inbound, Liveness, Probe};

/// The probe of a tunnel that is up.
pub(super) struct Prober {
    pub(super) probe: Probe,
    /// `None` where the tunnel has no inside addresses, or where it could not be opened yet.
    pub(super) socket: Option<EchoSocket>,
    /// Why it could not.
    refused: Option<String>,
}

/// A peer's reply to one of our echoes.
#[derive(Clone, Copy, Debug)]
pub(super) struct EchoReply {
    peer: PeerId,
    sequence: u16,
    /// Of a padded one the size of its IP packet.
    size: Option<u16>,
    at: Time,
}

/// When each probe is polled, and where their sockets put the replies.
pub(super) struct Probes {
    replies: mpsc::Sender<EchoReply>,
    due: Timers<PeerId>,
    polled: Time,
}

impl Probes {
    pub(super) const fn new(replies: mpsc::Sender<EchoReply>) -> Self {
        Self { replies, due: Timers::new(), polled: Time::ZERO }
    }

    /// When [`Gateway::poll_probes`] is due.
    pub(super) fn next(&self) -> Option<Time> {
        Some(self.due.next()?.max(self.polled + REST))
    }

    /// The tunnel is gone.
    pub(super) fn forget(&mut self, id: PeerId) {
        self.due.set(id, None);
    }

    /// Those that are due. One of which nothing is heard then, since the packet path lost its device, is due again soon.
    fn take_due(&mut self, now: Time) -> Vec<PeerId> {
        let due: Vec<PeerId> = core::iter::from_fn(|| self.due.take_due(now)).collect();
        for id in &due {
            self.due.set(*id, Some(now + AGAIN));
        }
        self.polled = now;
        due
    }
}

impl Gateway {
    /// Starts the probes of tunnels that came up and ends those of tunnels that are down.
    pub(super) fn tend_probes(&mut self) {
        let now = self.clock.now();
        for record in self.records.values_mut() {
            match (record.facts().esp, &record.prober) {
                (true, None) => {
                    let received = record.received();
                    let probe = Probe::new(now, record.connection.probe_interval, received);
                    self.probes.due.set(record.id, Some(probe.next()));
                    record.prober = Some(Prober { probe, socket: None, refused: None });
                }
                (false, Some(_)) => {
                    self.probes.forget(record.id);
                    record.prober = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
    }

    /// Polls the probes that are due.
    pub(super) async fn poll_probes(&mut self) {
        // Before the counters are read: what arrived meanwhile is then taken for a little older than it is, never for
        // something that arrived after its reply was heard.
        let now = self.clock.now();
        if self.probes.next().is_none_or(|due| due > now) {
            return;
        }
        let due = self.probes.take_due(now);
        for (id, arrivals) in self.data.arrivals(due).await {
            let latest = arrivals.age.map(|age| Time::from_epoch(now.since_epoch().saturating_sub(age)));
            let inbound = Inbound { packets: arrivals.packets, latest };
            let ask = self.with_probe(id, |probe| probe.poll(now, inbound)).unwrap_or_default();
            self.ask_peer(id, ask);
        }
    }

    /// Takes a reply.
    pub(super) fn echo_answered(&mut self, reply: EchoReply) {
        let EchoReply { peer, sequence, size, at } = reply;
        match size {
            Some(size) => self.large_echo_answered(peer, sequence, size, at),
            None => drop(self.with_probe(peer, |probe| probe.on_reply(at, sequence))),
        }
    }

    /// The peer has answered under its IKE SA.
    pub(super) fn peer_alive(&mut self, id: PeerId, now: Time) {
        if let Some(record) = self.records.get_mut(&id) {
            record.diagnosis.on_ike(now);
        }
        self.with_probe(id, |probe| probe.on_ike(now));
    }

    /// Gives up at once the tunnels whose way to the peer was lost: what the kernel tells needs no three echoes.
    pub(super) fn look_at_uplinks(&mut self) {
        let around = self.table.mirror().around();
        let devices = around.links_named(self.records.values().map(|r| r.tunnel.interface.as_str()));
        let devices: Vec<u32> = devices.map(|link| link.index).collect();
        let mut lost = Vec::new();
        for record in self.records.values_mut() {
            let ends = record.outer_ends();
            if record.uplink.look(around, &devices, ends) {
                lost.push(record.id);
            }
        }
        let now = self.clock.now();
        for id in lost {
            self.with_probe(id, |probe| probe.on_path_lost(now));
        }
    }

    /// Changes what a probe knows, and does what follows where it says something else then.
    fn with_probe<T>(&mut self, id: PeerId, change: impl FnOnce(&mut Probe) -> T) -> Option<T> {
        let record = self.records.get_mut(&id)?;
        let probe = &mut record.prober.as_mut()?.probe;
        let before = probe.liveness();
        let result = change(probe);
        let after = probe.liveness();
        self.probes.due.set(id, Some(probe.next()));
        if before != after {
            self.probe_says(id, after);
        }
        Some(result)
    }

    /// The traffic moves in the same settling. What the IKE SA is worth is asked of the peer, and takes its time.
    fn probe_says(&mut self, id: PeerId, liveness: Liveness) {
        let now = self.clock.now();
        self.unsettled = true;
        let Some(record) = self.records.get(&id) else { return };
        match liveness {
            Liveness::Down => {
                let (code, why, _) = record.why_silent();
                record.span().in_scope(|| {
                    if record.is_wanted() {
                        warn!(code, event = kind::PEER_SILENT, "{why}");
                    } else {
                        debug!(code, "{why}");
                    }
                });
                self.ask(id, |state| state.doubt(now));
            }
            Liveness::Up => {
                record.span().in_scope(|| {
                    if record.is_wanted() {
                        info!(event = kind::PEER_HEARD, "the peer is heard again inside the tunnel");
                    } else {
                        debug!("the peer is heard again");
                    }
                });
                self.change(id, crate::tunnels::Tunnel::trust);
            }
        }
    }

    fn ask_peer(&mut self, id: PeerId, ask: Ask) {
        let Some(record) = self.records.get_mut(&id) else { return };
        if let Some(sequence) = ask.echo {
            record.send_echo(sequence, &self.probes.replies, self.clock);
        }
        if ask.ike {
            self.orders.push((id, crate::tunnels::Action::CheckLiveness));
        }
    }
}

impl Record {
    /// Why its probe says that the peer is down: a code, a sentence, and what to do.
    pub(super) fn why_silent(&self) -> (&'static str, String, &'static str) {
        match self.uplink.lost() {
            Some(lost) => ("GTH-NET-02", lost.to_string(), UPLINK_REMEDY),
            None => ("GTH-PRB-01", SILENT.to_owned(), SILENT_REMEDY),
        }
    }

    fn send_echo(&mut self, sequence: u16, replies: &mpsc::Sender<EchoReply>, clock: Clock) {
        let span = self.span();
        let (Some(inside), Some(peer_inside)) = (self.tunnel.inside, self.tunnel.peer_inside) else { return };
        let Some(prober) = &mut self.prober else { return };
        let peer = self.id;
        if prober.socket.is_none() {
            let replies = replies.clone();
            let deliver = move |sequence, size| {
                // A full queue loses it as a busy path would.
                let _full = replies.try_send(EchoReply { peer, sequence, size, at: clock.now() });
            };
            match open(&self.tunnel.interface, (inside.addr(), peer_inside), deliver) {
                Ok(socket) => prober.socket = Some(socket),
                Err(why) => {
                    if prober.refused.as_ref() != Some(&why) {
                        span.in_scope(|| error!(why, "{NO_ECHOES}"));
                    }
                    prober.refused = Some(why);
                }
            }
        }
        if let Some(Err(error)) = prober.socket.as_ref().map(|socket| socket.send(sequence)) {
            span.in_scope(|| debug!(%error, "an echo was not sent"));
        }
    }
}

fn open(
    device: &str,
    addresses: (IpAddr, IpAddr),
    deliver: impl Fn(u16, Option<u16>) + Send + 'static,
) -> Result<EchoSocket, String> {
    let token = Token::random().map_err(|error| error.to_string())?;
    EchoSocket::open(device, addresses, token, deliver).map_err(|error| error.to_string())
}

const UPLINK_REMEDY: &str =
    "see what became of the host's own link: `ip route get PEER`; its traffic has moved";
const SILENT_REMEDY: &str = "see that the cloud's endpoint is up and that nothing on the way drops ESP or UDP 4500; its traffic has moved";
const SILENT: &str = "the tunnel has its SAs, and nothing is heard of the peer inside it";

const NO_ECHOES: &str = "no echo can be sent: the IKE SA alone says whether the peer lives";

/// Replies that wait for the loop.
pub(super) const REPLIES: usize = 1024;
/// Shortest time between two readings of the counters, so that a hundred tunnels whose peers answer at a hundred moments
/// cost no more than a few.
const REST: Duration = Duration::from_millis(20);
/// When a probe is polled again that could not be.
const AGAIN: Duration = Duration::from_millis(300);

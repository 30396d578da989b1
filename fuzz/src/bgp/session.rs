//! A session whose peer is a script: messages good and bad, in pieces, at any time, over connections that come and go.

use core::time::Duration;
use std::collections::BTreeSet;

use gotthard::bgp::codec::capability::{Capabilities, GracefulRestart};
use gotthard::bgp::codec::iana::{ErrorCode, MessageType, cease};
use gotthard::bgp::codec::{
    Families, Family, Notification, Open, RouteRefresh, Session, Update, announce, header,
};
use gotthard::bgp::fsm::{Config, ConnectionId, Output, Peer, State, Stop};
use gotthard::bgp::route::Path;
use gotthard_ike::Time;
use ipnet::IpNet;

use super::{OURS, THEIRS, readable, shown};
use crate::script::Script;

/// Plays `data` as a script of a hostile peer, of the network and of the operator, and ends it in silence.
pub fn bgp_session(data: &[u8]) {
    let mut script = Script::new(data);
    let mut scene = Scene::new(script.octet());
    for _ in 0..MAX_STEPS {
        let Some(step) = script.next() else { break };
        scene.step(step, &mut script);
    }
    scene.end();
}

/// Our end of the session, and what it has said so far.
struct Scene {
    peer: Peer,
    config: Config,
    now: Time,
    running: bool,
    /// Connections and attempts that are not closed, in the order in which they came.
    open: Vec<ConnectionId>,
    attempts: BTreeSet<ConnectionId>,
    /// Those that are closed: what was under way when they were still arrives.
    closed: Vec<ConnectionId>,
    up: bool,
    /// Families whose routes are stale.
    stale: Families,
    connects: usize,
}

impl Scene {
    fn new(how: u8) -> Self {
        let config = Config {
            passive: how & 1 != 0,
            restart_time: (how & 2 == 0).then_some(120),
            preserved: if how & 4 == 0 { Families::NONE } else { Families::ALL },
            hold_time: if how & 8 == 0 { 30 } else { 0 },
            ..OURS
        };
        let mut peer = Peer::new(config, u64::from(how));
        peer.start(Time::ZERO);
        let mut scene = Self {
            peer,
            config,
            now: Time::ZERO,
            running: true,
            open: Vec::new(),
            attempts: BTreeSet::new(),
            closed: Vec::new(),
            up: false,
            stale: Families::NONE,
            connects: 0,
        };
        scene.listen(1);
        scene
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % STEPS {
            WAIT => {
                let unit = [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(30)];
                self.wait(unit[script.place(unit.len())] * u32::from(script.octet()));
            }
            CONNECT => {
                // Of the attempts the latest: the others are answers that crossed a Close.
                if let Some(id) = self.attempts.last().copied() {
                    self.attempts.remove(&id);
                    self.peer.connected(self.now, id);
                }
            }
            ACCEPT => {
                let id = self.peer.accepted(self.now);
                self.open.push(id);
            }
            CLOSE => {
                let Some(id) = self.connection(script) else { return };
                let attempt = self.attempts.remove(&id);
                self.open.retain(|open| !attempt || *open != id);
                self.peer.closed(self.now, id);
            }
            OPERATE => self.operate(script.octet()),
            other => {
                let Some(id) = self.connection(script) else { return };
                let octets = message(other, script);
                self.deliver(id, &octets, script.octet());
            }
        }
        self.listen(MOST_OUTPUTS);
    }

    /// What comes in `pieces` and one more.
    fn deliver(&mut self, id: ConnectionId, octets: &[u8], pieces: u8) {
        let length = (octets.len() / (usize::from(pieces) + 1)).max(1);
        for piece in octets.chunks(length) {
            self.peer.received(self.now, id, piece);
            // Each octet that comes in is worth so much memory, and no more.
            self.listen(MOST_OUTPUTS + octets.len());
        }
    }

    fn operate(&mut self, how: u8) {
        match how % 8 {
            0 => {
                self.peer.start(self.now);
                self.running = true;
            }
            1..=3 => {
                let stops = [
                    Stop::TunnelDown,
                    Stop::Limit,
                    Stop::Shutdown("maintenance".to_owned()),
                    Stop::Deconfigured,
                ];
                self.peer.stop(self.now, &stops[usize::from(how % 4)]);
                self.running = false;
            }
            4 => self.peer.reset(self.now, "filters"),
            5 => self.peer.refresh(self.now, Family::Ipv6),
            _ => {
                let path = Path::local([169, 254, 10, 2].into());
                let messages = announce::announce(&path, &[prefix(how)], ESTABLISHED).expect("a route");
                self.peer.send(self.now, messages);
            }
        }
        if !self.running {
            self.listen(MOST_OUTPUTS);
            assert!(
                self.open.is_empty() && !self.up && self.peer.next().is_none(),
                "stopped, and not at rest"
            );
        }
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.peer.next().filter(|due| *due <= end) {
            assert!(due >= self.now, "a timer in the past is still set");
            self.now = due;
            self.peer.poll(due);
            self.listen(MOST_OUTPUTS);
            assert!(self.peer.next() != Some(due), "a timer that does not move");
        }
        self.now = end;
    }

    /// Carries out what the session says, and checks it; `most` outputs at once.
    fn listen(&mut self, most: usize) {
        let mut outputs = 0;
        while let Some(output) = self.peer.poll_output() {
            outputs += 1;
            assert!(outputs <= most, "more outputs than the event is worth");
            self.take(&output);
        }
        assert!(self.open.len() - self.attempts.len() <= 2 && self.attempts.len() <= 1, "{:?}", self.open);
        assert_eq!(self.peer.state() == State::Established, self.up);
        let failure = self.peer.failure().map(ToString::to_string).unwrap_or_default();
        assert!(!failure.chars().any(char::is_control), "{failure:?}");
    }

    fn take(&mut self, output: &Output) {
        match output {
            Output::Connect(id) => {
                assert!(!self.config.passive && self.running, "an attempt that nobody wants");
                self.connects += 1;
                self.open.push(*id);
                assert!(self.attempts.insert(*id), "an attempt twice");
            }
            Output::Send(id, octets) => {
                assert!(self.open.contains(id) && !self.attempts.contains(id), "no such connection");
                let kind = readable(octets, ESTABLISHED);
                assert!(kind != MessageType::UPDATE || self.up, "routes without a session");
            }
            Output::Close(id) => {
                assert!(self.open.contains(id), "closed twice");
                self.open.retain(|open| open != id);
                self.attempts.remove(id);
                self.closed.push(*id);
            }
            Output::Up(_) => assert!(!core::mem::replace(&mut self.up, true), "up twice"),
            Output::Down(_, kept) => {
                assert!(core::mem::replace(&mut self.up, false), "down twice");
                self.stale = *kept;
            }
            Output::Routes(Update { announced, withdrawn, .. }) => {
                assert!(self.up && announced.len() + withdrawn.len() <= header::MAX_MESSAGE);
            }
            Output::Refresh(_) => assert!(self.up),
            Output::Flush(family) => {
                assert!(self.stale.contains(*family), "{family} is flushed, and nothing of it is stale");
                self.stale.remove(*family);
            }
            Output::Failed(_) => assert!(!self.up),
        }
    }

    /// Nobody says anything any more: whatever happened, nothing hangs.
    fn end(&mut self) {
        let hold =
            self.config.hold_time > 0 && self.peer.negotiated().is_none_or(|terms| terms.hold_time.is_some());
        self.wait(SILENCE);
        if self.up {
            assert!(!hold, "a session that its hold time does not end");
        } else {
            let half_open = self.open.iter().filter(|id| !self.attempts.contains(id)).count();
            assert_eq!(half_open, 0, "a connection that nothing ends");
            assert!(self.stale.is_empty(), "routes that nothing ends");
        }
        if self.running && !self.config.passive && !self.up {
            let before = self.connects;
            self.wait(AGAIN);
            assert!(self.connects > before, "no further attempt");
            assert!(self.connects - before < MOST_ATTEMPTS, "it hammers");
        }
        self.peer.stop(self.now, &Stop::Deconfigured);
        self.listen(MOST_OUTPUTS);
        assert!(self.open.is_empty() && !self.up && self.peer.next().is_none(), "stopped, and not at rest");
    }

    /// A connection, or one that is closed, if there is one.
    fn connection(&self, script: &mut Script<'_>) -> Option<ConnectionId> {
        let which = script.octet();
        let list = if which & 0x80 == 0 { &self.open } else { &self.closed };
        let place = usize::from(which & 0x7f).checked_rem(list.len())?;
        list.get(place).copied()
    }
}

/// A message of the peer.
fn message(step: u8, script: &mut Script<'_>) -> Vec<u8> {
    match step {
        OPEN => open(script).emit(),
        KEEPALIVE => header::keepalive(),
        UPDATE => update(script),
        NOTIFICATION => {
            let (code, subcode) = (ErrorCode(script.octet()), script.octet());
            let told = Notification { data: script.octets().to_vec(), ..Notification::new(code, subcode) };
            shown(&told);
            if subcode == cease::HARD_RESET { told.hard().emit() } else { told.emit() }
        }
        REFRESH => RouteRefresh { family: Family::ALL[script.place(2)] }.emit(),
        FRAMED => framed(script),
        _ => script.octets().to_vec(),
    }
}

fn open(script: &mut Script<'_>) -> Open {
    let how = script.octet();
    let families = [Families::ALL, Families::IPV4, Families::NONE][script.place(3)];
    let restart = GracefulRestart {
        restarting: how & 8 != 0,
        notification: how & 16 != 0,
        time: [120, 0, 600][script.place(3)],
        families,
        preserved: if how & 32 == 0 { families } else { Families::NONE },
    };
    Open {
        asn: if how & 1 == 0 { THEIRS.local_asn } else { OURS.local_asn },
        hold_time: [90, 0, 3, 1, u16::MAX][script.place(5)],
        identifier: if how & 2 == 0 { THEIRS.identifier } else { OURS.identifier },
        capabilities: Capabilities {
            families: (how & 64 == 0).then_some(families),
            route_refresh: how & 128 == 0,
            four_octet_as: (how & 1 == 0).then_some(THEIRS.local_asn),
            graceful_restart: (how & 4 == 0).then_some(restart),
        },
    }
}

fn update(script: &mut Script<'_>) -> Vec<u8> {
    let how = script.octet();
    let prefixes: Vec<IpNet> = (0..=how % 32).map(prefix).collect();
    let mut path = Path::local([169, 254, 10, 1].into());
    path.as_path.prepend(if how & 32 == 0 { THEIRS.local_asn } else { OURS.local_asn });
    let messages = match how >> 6 {
        0 => announce::announce(&path, &prefixes, ESTABLISHED).expect("routes"),
        1 => announce::withdraw(&prefixes),
        2 => vec![announce::end_of_rib(Family::Ipv4)],
        _ => vec![announce::end_of_rib(Family::Ipv6)],
    };
    messages.concat()
}

/// A header of any type around any octets.
fn framed(script: &mut Script<'_>) -> Vec<u8> {
    let (kind, body) = (script.octet(), script.octets());
    let length = u16::try_from(header::HEADER + body.len()).unwrap_or(u16::MAX);
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind % 7], body].concat()
}

fn prefix(number: u8) -> IpNet {
    IpNet::new([10, 200, number, 0].into(), 24).expect("a prefix")
}

/// How our UPDATEs are written where the peer has said nothing else.
const ESTABLISHED: Session =
    Session { peer_asn: 65010, external: false, four_octet_as: true, families: Families::ALL };

const WAIT: u8 = 0;
const CONNECT: u8 = 1;
const OPEN: u8 = 2;
const KEEPALIVE: u8 = 3;
const UPDATE: u8 = 4;
const NOTIFICATION: u8 = 5;
const REFRESH: u8 = 6;
const FRAMED: u8 = 7;
const ACCEPT: u8 = 8;
const CLOSE: u8 = 9;
const OPERATE: u8 = 10;
const STEPS: u8 = 12;

/// A script takes time by its steps: more of them find nothing that these do not.
const MAX_STEPS: usize = 128;
/// What one event is worth at most, beside what it brings: both connections end, each with a word, and both families go.
const MOST_OUTPUTS: usize = 16;
/// Longer than every wait and the longest time of a restart that this peer asks for; what it takes is most of a run.
const SILENCE: Duration = Duration::from_mins(15);
/// Longer than the longest wait.
const AGAIN: Duration = Duration::from_mins(3);
/// In that time.
const MOST_ATTEMPTS: usize = 100;

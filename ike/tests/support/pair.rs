//! Two endpoints, a link between them and a virtual clock: both ends of every exchange are ours.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::config::{Auth, Mode, PeerConfig, PeerId};
use gotthard_ike::error::Failure;
use gotthard_ike::event::{ChildSa, Job};
use gotthard_ike::{Endpoint, Event, Install, Output, RevealedKeys, Time};

use super::clock::{Clock, Led, NonceLead};
use super::link::{Cargo, Link, Weather, Which};

/// The peer, as either end names it.
pub(crate) const PEER: PeerId = PeerId(1);

pub(crate) const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

/// One of the two ends of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

impl End {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) const fn address(self) -> IpAddr {
        match self {
            Self::A => A,
            Self::B => B,
        }
    }

    /// Its requests of that exchange.
    pub(crate) const fn requests(self, exchange: ExchangeType) -> Which {
        Which::request(self.address(), exchange)
    }

    /// Its responses of that exchange.
    pub(crate) const fn responses(self, exchange: ExchangeType) -> Which {
        Which::response(self.address(), exchange)
    }
}

/// What `local` is told of `remote`.
pub(crate) fn config(local: IpAddr, remote: IpAddr) -> PeerConfig {
    PeerConfig {
        ike_suites: vec!["aes256gcm16-sha256-x25519".parse().unwrap()],
        esp_suites: vec!["aes256gcm16".parse().unwrap()],
        ..PeerConfig::new(local, remote, Auth::psk(b"correct horse battery staple"))
    }
}

/// One end: an endpoint, and a data plane that knows which SPIs it has.
pub(crate) struct Side {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: IpAddr,
    pub(crate) inbound: BTreeMap<u32, ChildSa>,
    pub(crate) outbound: Option<ChildSa>,
    pub(crate) events: Vec<Event>,
    pub(crate) revealed: Vec<RevealedKeys>,
    /// ESP packets that arrived with an SPI that is not installed.
    pub(crate) esp_lost: usize,
    pub(crate) esp_taken: usize,
    /// When it sent NAT keepalives.
    pub(crate) keepalives: Vec<Time>,
    pub(crate) nonces: NonceLead,
    /// SPIs that it has had when its tunnel was down, as it told its operator, or when it restarted: the peer cannot
    /// know yet.
    pub(crate) ended: BTreeSet<u32>,
    /// How long a key exchange takes to compute.
    work: Duration,
    /// What is being computed, and when it is done.
    jobs: VecDeque<(Time, Job)>,
    timeout: Option<Time>,
}

impl Side {
    pub(crate) fn new(seed: u64, address: IpAddr) -> Self {
        let nonces = NonceLead::default();
        Self {
            endpoint: Endpoint::new(Box::new(Led::new(seed, nonces.clone()))),
            address,
            inbound: BTreeMap::new(),
            outbound: None,
            events: Vec::new(),
            revealed: Vec::new(),
            esp_lost: 0,
            esp_taken: 0,
            keepalives: Vec::new(),
            nonces,
            ended: BTreeSet::new(),
            work: Duration::ZERO,
            jobs: VecDeque::new(),
            timeout: None,
        }
    }

    /// When the endpoint wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.timeout
    }

    /// Does what the endpoint wants done.
    pub(crate) fn drain(&mut self, now: Time, link: &mut Link) {
        let mut removed = Vec::new();
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.local.ip(), self.address);
                    link.send_ike(now, transmit);
                }
                Output::Install(install) => {
                    if let Install::RemoveInbound { spi, .. } = install {
                        removed.push(spi);
                    }
                    link.tell(now, &format_args!("{} {}", self.address, title(&install)));
                    self.install(install);
                }
                Output::Event(event) => {
                    link.tell(now, &(self.address, &event));
                    if matches!(event, Event::IkeDown { .. }) {
                        self.ended.extend(removed.drain(..));
                        self.ended.extend(self.inbound.keys());
                    }
                    self.events.push(event);
                }
                Output::Keepalive { local, remote } => {
                    assert_eq!((local.ip(), local.port(), remote.port()), (self.address, 4500, 4500));
                    self.keepalives.push(now);
                }
                Output::Keys(keys) => self.revealed.push(keys),
                Output::Compute(job) => self.jobs.push_back((now + self.work, job)),
                Output::Timeout { at } => {
                    self.timeout = at;
                    return;
                }
            }
        }
    }

    /// Hands key exchanges out, each of which takes that long.
    pub(crate) const fn compute_in(&mut self, work: Duration) {
        self.endpoint.hand_out_jobs(true);
        self.work = work;
    }

    /// Hands back what is computed by now; false where nothing is.
    fn finish_job(&mut self, now: Time) -> bool {
        let Some((_, job)) = self.jobs.pop_front_if(|(at, _)| *at <= now) else { return false };
        self.endpoint.handle_computed(now, job.run());
        true
    }

    fn install(&mut self, install: Install) {
        match install {
            Install::Inbound(sa) => {
                assert!(self.inbound.insert(sa.spi, sa).is_none(), "an SPI is in use once");
            }
            Install::Outbound(sa) => self.outbound = Some(sa),
            Install::RemoveInbound { spi, .. } => {
                assert!(self.inbound.remove(&spi).is_some(), "what is removed was installed");
            }
            Install::RemoveOutbound { spi, .. } => {
                self.outbound.take_if(|sa| sa.spi == spi);
            }
            Install::Path { local, remote, .. } => {
                if let Some(sa) = &mut self.outbound {
                    sa.local = local;
                    sa.remote = remote;
                }
            }
        }
    }

    pub(crate) fn ike_up(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::IkeUp { .. })).count()
    }

    pub(crate) fn child_up(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::ChildUp { .. })).count()
    }

    /// The SPIs of the IKE SA that carries the tunnel: the initiator's, the responder's.
    pub(crate) fn ike_spis(&self) -> Option<(u64, u64)> {
        let up = |event: &Event| {
            if let Event::IkeUp { spi_i, spi_r, .. } | Event::IkeRekeyed { spi_i, spi_r, .. } = event {
                Some((*spi_i, *spi_r))
            } else {
                None
            }
        };
        self.events.iter().rev().find_map(up)
    }

    /// How often its child was rekeyed.
    pub(crate) fn child_rekeys(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::ChildUp { rekey: true, .. })).count()
    }

    /// How often its IKE SA was rekeyed.
    pub(crate) fn ike_rekeys(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::IkeRekeyed { .. })).count()
    }

    /// The last failure of an attempt.
    pub(crate) fn failed(&self) -> Option<&Failure> {
        self.events
            .iter()
            .rev()
            .find_map(|event| if let Event::Failed { reason, .. } = event { Some(reason) } else { None })
    }

    /// How often its peer showed itself alive when it was asked.
    pub(crate) fn alive(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Alive { .. })).count()
    }

    /// It has told its operator that the tunnel is down, and not yet that it is up again.
    pub(crate) fn is_down(&self) -> bool {
        let turn = |event: &&Event| matches!(event, Event::IkeUp { .. } | Event::IkeDown { .. });
        matches!(self.events.iter().rfind(turn), Some(Event::IkeDown { .. }))
    }

    /// Why the IKE SA ended last.
    pub(crate) fn down(&self) -> Option<&Failure> {
        self.events
            .iter()
            .rev()
            .find_map(|event| if let Event::IkeDown { reason, .. } = event { Some(reason) } else { None })
    }
}

/// Both ends and what is between.
pub(crate) struct Pair {
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) link: Link,
    pub(crate) clock: Clock,
    pub(crate) config_a: PeerConfig,
    pub(crate) config_b: PeerConfig,
    pub(crate) seed: u64,
    restarts: u64,
    traffic: Option<Traffic>,
}

/// Both ends send an ESP packet in every interval, and report what they receive as the data plane does.
#[derive(Clone, Copy)]
struct Traffic {
    interval: Duration,
    next: Time,
}

impl Pair {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        Self::with(seed, weather, |_, _| {})
    }

    /// A pair whose two configurations are changed before they are used.
    pub(crate) fn with(
        seed: u64,
        weather: Weather,
        change: impl FnOnce(&mut PeerConfig, &mut PeerConfig),
    ) -> Self {
        let (mut config_a, mut config_b) = (config(A, B), config(B, A));
        config_b.mode = Mode::Responder;
        change(&mut config_a, &mut config_b);
        let (a, b) = (Side::new(seed ^ 0xa, config_a.local), Side::new(seed ^ 0xb, config_b.local));
        let link = Link::new(seed ^ 0xc, weather);
        let mut pair = Self {
            a,
            b,
            link,
            clock: Clock::default(),
            config_a,
            config_b,
            seed,
            restarts: 0,
            traffic: None,
        };
        pair.a.endpoint.add_peer(PEER, pair.config_a.clone());
        pair.b.endpoint.add_peer(PEER, pair.config_b.clone());
        pair
    }

    /// A pair whose tunnel is up.
    pub(crate) fn established() -> Self {
        let mut pair = Self::new(1, Weather::FAIR);
        pair.initiate_a();
        pair.run_for(Duration::from_secs(1));
        pair.assert_up();
        pair
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn initiate_a(&mut self) {
        self.a.endpoint.initiate(self.clock.now(), PEER);
        self.drain();
    }

    pub(crate) fn initiate_b(&mut self) {
        self.b.endpoint.initiate(self.clock.now(), PEER);
        self.drain();
    }

    pub(crate) fn initiate(&mut self, end: End) {
        let now = self.clock.now();
        self.side_mut(end).endpoint.initiate(now, PEER);
        self.drain();
    }

    pub(crate) fn terminate(&mut self, end: End) {
        let now = self.clock.now();
        self.side_mut(end).endpoint.terminate(now, PEER);
        self.drain();
    }

    pub(crate) fn check_liveness_a(&mut self) {
        self.a.endpoint.check_liveness(self.clock.now(), PEER);
        self.drain();
    }

    /// A makes another IKE SA beside the one it has.
    pub(crate) fn replace_a(&mut self) {
        self.a.endpoint.replace(self.clock.now(), PEER);
        self.drain();
    }

    pub(crate) fn rekey_child(&mut self, end: End) {
        let now = self.clock.now();
        self.side_mut(end).endpoint.rekey_child(now, PEER);
        self.drain();
    }

    pub(crate) fn rekey_ike(&mut self, end: End) {
        let now = self.clock.now();
        self.side_mut(end).endpoint.rekey_ike(now, PEER);
        self.drain();
    }

    /// An end loses all its state, as in a power cut.
    pub(crate) fn restart(&mut self, end: End) {
        self.restarts += 1;
        let seed = self.seed.wrapping_add(self.restarts);
        let (seed, config) = match end {
            End::A => (seed ^ 0xa00, self.config_a.clone()),
            End::B => (seed ^ 0xb00, self.config_b.clone()),
        };
        let mut side = Side::new(seed, config.local);
        side.endpoint.add_peer(PEER, config);
        let work = self.side(end).work;
        if !work.is_zero() {
            side.compute_in(work);
        }
        let old = std::mem::replace(self.side_mut(end), side);
        let new = self.side_mut(end);
        new.ended = old.ended;
        new.ended.extend(old.inbound.keys());
        (new.esp_lost, new.esp_taken) = (old.esp_lost, old.esp_taken);
    }

    pub(crate) fn restart_b(&mut self) {
        self.restart(End::B);
    }

    pub(crate) const fn side(&self, end: End) -> &Side {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    pub(crate) const fn side_mut(&mut self, end: End) -> &mut Side {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    /// From here on packets flow both ways.
    pub(crate) fn start_traffic(&mut self, interval: Duration) {
        self.traffic = Some(Traffic { interval, next: self.clock.now() });
    }

    pub(crate) fn stop_traffic(&mut self) {
        self.traffic = None;
    }

    /// Holds these messages back from here on.
    pub(crate) fn hold(&mut self, which: Which) {
        self.link.hold(which);
    }

    /// Loses these messages from here on.
    pub(crate) fn lose(&mut self, which: Which) {
        self.link.lose(which);
    }

    /// Loses these messages from here on, or holds them back.
    pub(crate) fn hinder(&mut self, which: Which, lose: bool) {
        if lose {
            self.lose(which);
        } else {
            self.hold(which);
        }
    }

    /// Carries these messages again, and first those that were held.
    pub(crate) fn release(&mut self, which: Which) {
        self.link.release(self.clock.now(), which);
    }

    /// A sends an ESP packet with what it has, if it has something.
    pub(crate) fn ping_a(&mut self) {
        if let Some(sa) = &self.a.outbound {
            self.link.send_esp(self.clock.now(), sa.local, sa.remote, sa.spi);
        }
    }

    pub(crate) fn ping_b(&mut self) {
        if let Some(sa) = &self.b.outbound {
            self.link.send_esp(self.clock.now(), sa.local, sa.remote, sa.spi);
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.clock.now() + duration;
        self.run_until(end, |_| false);
    }

    /// Runs until `done` or the end of the time; tells whether it was `done`.
    pub(crate) fn run_until(&mut self, end: Time, done: impl Fn(&Self) -> bool) -> bool {
        self.drain();
        while !done(self) {
            if !self.advance(end) {
                return done(self);
            }
        }
        true
    }

    /// Goes to what happens next and lets it happen; false where nothing does until `end`.
    pub(crate) fn advance(&mut self, end: Time) -> bool {
        let Some(next) = self.next().filter(|at| *at <= end) else {
            self.clock.advance_to(end);
            return false;
        };
        self.clock.advance_to(next);
        self.step();
        true
    }

    /// Delivers a datagram to the end that it is for, as if the link had carried it.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let now = self.clock.now();
        let side = if to.ip() == self.a.address { &mut self.a } else { &mut self.b };
        side.endpoint.handle_datagram(now, to, from, datagram);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        self.a.drain(self.clock.now(), &mut self.link);
        self.b.drain(self.clock.now(), &mut self.link);
    }

    /// When something happens next.
    fn next(&self) -> Option<Time> {
        let traffic = self.traffic.map(|traffic| traffic.next);
        let jobs = [&self.a, &self.b].into_iter().filter_map(|side| side.jobs.front().map(|(at, _)| *at));
        let timeouts = self.a.timeout.into_iter().chain(self.b.timeout);
        self.link.next().into_iter().chain(timeouts).chain(traffic).chain(jobs).min()
    }

    fn send_traffic(&mut self) {
        let now = self.clock.now();
        let Some(traffic) = self.traffic.as_mut().filter(|traffic| traffic.next <= now) else { return };
        traffic.next = now + traffic.interval;
        self.ping_a();
        self.ping_b();
    }

    fn step(&mut self) {
        let now = self.clock.now();
        let in_use = self.traffic.is_some();
        self.send_traffic();
        while let Some(arrival) = self.link.take_due(now) {
            let side = if arrival.to.ip() == self.a.address { &mut self.a } else { &mut self.b };
            match arrival.cargo {
                Cargo::Ike(datagram) => {
                    side.endpoint.handle_datagram(now, arrival.to, arrival.from, &datagram);
                }
                Cargo::Esp(spi) if side.inbound.contains_key(&spi) => {
                    side.esp_taken += 1;
                    if in_use {
                        side.endpoint.traffic_seen(now, PEER);
                    }
                }
                Cargo::Esp(_) => side.esp_lost += 1,
            }
            self.drain();
        }
        for side in [&mut self.a, &mut self.b] {
            if side.timeout.is_some_and(|at| at <= now) {
                side.endpoint.handle_timeout(now);
            }
            while side.finish_job(now) {
                side.drain(now, &mut self.link);
            }
        }
        self.drain();
    }

    /// Both ends have one tunnel, with the same keys, and each sends with what the other receives with.
    #[track_caller]
    pub(crate) fn assert_up(&self) {
        let seed = self.seed;
        let (a, b) = (&self.a, &self.b);
        let (a_out, b_out) = (a.outbound.as_ref(), b.outbound.as_ref());
        let (Some(a_out), Some(b_out)) = (a_out, b_out) else {
            panic!("seed {seed}: outbound missing: {:?} {:?}", a.events, b.events);
        };
        for (sender, receiver) in [(a_out, b), (b_out, a)] {
            let Some(inbound) = receiver.inbound.get(&sender.spi) else {
                panic!("seed {seed}: {:?} {:?}", a.events, b.events)
            };
            assert_eq!(sender.keys.encryption, inbound.keys.encryption, "seed {seed}");
            assert_eq!(sender.keys.integrity, inbound.keys.integrity, "seed {seed}");
            assert_eq!(sender.suite, inbound.suite, "seed {seed}");
            assert_eq!(sender.esn, inbound.esn, "seed {seed}");
            assert_eq!(sender.ts_local, inbound.ts_remote, "seed {seed}");
            assert_eq!(sender.ts_remote, inbound.ts_local, "seed {seed}");
            assert_eq!(sender.encapsulation, inbound.encapsulation, "seed {seed}");
        }
        assert_ne!(a_out.keys.encryption, b_out.keys.encryption, "seed {seed}");
    }

    /// Neither end has anything left in its data plane.
    #[track_caller]
    pub(crate) fn assert_down(&self) {
        for side in [&self.a, &self.b] {
            assert!(side.outbound.is_none() && side.inbound.is_empty(), "seed {}", self.seed);
        }
    }
}

/// An order to the data plane in a line.
fn title(install: &Install) -> String {
    match install {
        Install::Inbound(sa) => format!("receives with {:08x}", sa.spi),
        Install::Outbound(sa) => format!("sends with {:08x}", sa.spi),
        Install::RemoveInbound { spi, .. } => format!("no longer receives with {spi:08x}"),
        Install::RemoveOutbound { spi, .. } => format!("no longer sends with {spi:08x}"),
        Install::Path { remote, .. } => format!("sends to {remote}"),
    }
}

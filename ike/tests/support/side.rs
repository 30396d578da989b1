//! One end of a pair: an endpoint of ours, what it has installed, and what it has told.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::config::{Auth, PeerConfig, PeerId};
use gotthard_ike::error::Failure;
use gotthard_ike::event::{ChildSa, Job};
use gotthard_ike::{Endpoint, Event, Install, Output, RevealedKeys, Time};

use super::clock::{Led, NonceLead};
use super::link::{Link, Which};

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
    pub(super) work: Duration,
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

    /// When it is to do something next: what the endpoint waits for, or what is being computed.
    pub(super) fn due(&self) -> Option<Time> {
        let job = self.jobs.front().map(|(at, _)| *at);
        self.timeout.into_iter().chain(job).min()
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
    pub(super) fn finish_job(&mut self, now: Time) -> bool {
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
        self.events.iter().filter(|event| matches!(event, Event::ChildUp { rekey: Some(_), .. })).count()
    }

    /// How long the rekeys of its child took.
    pub(crate) fn child_rekeys_took(&self) -> Vec<Duration> {
        let took = |event: &Event| if let Event::ChildUp { rekey, .. } = event { *rekey } else { None };
        self.events.iter().filter_map(took).collect()
    }

    /// How long the rekeys of its IKE SA took.
    pub(crate) fn ike_rekeys_took(&self) -> Vec<Duration> {
        let took =
            |event: &Event| if let Event::IkeRekeyed { took, .. } = event { Some(*took) } else { None };
        self.events.iter().filter_map(took).collect()
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

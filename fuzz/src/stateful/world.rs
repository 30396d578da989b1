//! The endpoint under test, with the data plane that it fills and the clock that the script moves; what must hold
//! whatever a peer does is asserted here.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use gotthard_ike::codec::message::Message;
use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::config::{Auth, Mode, PeerConfig, PeerId};
use gotthard_ike::crypto::Random;
use gotthard_ike::crypto::job::Job;
use gotthard_ike::{Endpoint, Install, Output, Time, limits};

/// The endpoint and what surrounds it.
pub(super) struct World {
    endpoint: Endpoint,
    config: PeerConfig,
    now: Time,
    due: Option<Time>,
    inbound: BTreeSet<u32>,
    outbound: Option<u32>,
    /// Key exchanges that the endpoint has given out and whose result it awaits.
    jobs: VecDeque<Job>,
    /// What the endpoint sent and nobody has read.
    sent: Vec<Vec<u8>>,
}

impl World {
    pub(super) fn new() -> Self {
        let config = config();
        let mut endpoint = Endpoint::new(Box::new(Counting::new(1)));
        endpoint.add_peer(PEER, config.clone());
        Self {
            endpoint,
            config,
            now: Time::ZERO,
            due: None,
            inbound: BTreeSet::new(),
            outbound: None,
            jobs: VecDeque::new(),
            sent: Vec::new(),
        }
    }

    /// The peer sends a datagram from `port` of its address. Returns the octets that it caused to be sent.
    pub(super) fn receive(&mut self, port: u16, datagram: &[u8]) -> usize {
        let (local, remote) = (SocketAddr::new(OURS, port_of(port)), SocketAddr::new(THEIRS, port));
        self.endpoint.handle_datagram(self.now, local, remote, datagram);
        let before = self.sent.len();
        self.drain();
        self.sent.iter().skip(before).map(Vec::len).sum()
    }

    /// The operator, or the data plane, asks for something.
    pub(super) fn command(&mut self, which: u8) {
        match which % 8 {
            0 => self.endpoint.initiate(self.now, PEER),
            1 => self.endpoint.terminate(self.now, PEER),
            2 => self.endpoint.traffic_seen(self.now, PEER),
            3 => self.endpoint.add_peer(PEER, self.config.clone()),
            4 => self.endpoint.rekey_child(self.now, PEER),
            5 => self.endpoint.rekey_ike(self.now, PEER),
            6 => self.endpoint.hand_out_jobs(true),
            _ => self.compute(),
        }
        self.drain();
    }

    /// The oldest job is done; the peer may have said and done anything since it was given out.
    fn compute(&mut self) {
        if let Some(job) = self.jobs.pop_front() {
            self.endpoint.handle_computed(self.now, job.run());
            self.drain();
        }
    }

    /// Lets time pass; whatever is due is done in its time.
    pub(super) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut calls = 0_u32;
        while let Some(at) = self.due.filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
            calls += 1;
            assert!(calls < MAX_TIMEOUTS, "timers fire without end");
        }
        self.now = end;
    }

    /// The peer is removed and time passes: nothing of it may be left.
    pub(super) fn end(mut self) {
        self.endpoint.remove_peer(self.now, PEER);
        self.drain();
        while !self.jobs.is_empty() {
            self.compute();
        }
        self.wait(FORGOTTEN_AFTER);
        assert!(self.endpoint.is_idle(), "an IKE SA outlives its peer");
        assert!(self.inbound.is_empty(), "inbound SAs outlive their peer: {:x?}", self.inbound);
        assert_eq!(self.outbound, None, "an outbound SA outlives its peer");
    }

    /// What the endpoint sent since this was asked last.
    pub(super) fn take_sent(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.sent)
    }

    /// The SPI that the endpoint sends ESP with.
    pub(super) fn outbound(&self) -> Option<u32> {
        self.outbound
    }

    fn drain(&mut self) {
        let mut outputs = 0_usize;
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => {
                    let read = Message::parse(&transmit.payload);
                    assert!(read.is_ok(), "it sends what cannot be read: {read:?}");
                    self.sent.push(transmit.payload);
                }
                Output::Install(install) => self.install(install),
                Output::Compute(job) => self.jobs.push_back(job),
                Output::Event(_) | Output::Keepalive { .. } => {}
                Output::Keys(_) => panic!("keys leave, and nobody asked for them"),
                Output::Timeout { at } => {
                    self.due = at;
                    return;
                }
            }
            outputs += 1;
            assert!(outputs <= MAX_OUTPUTS, "one input, outputs without end");
        }
    }

    fn install(&mut self, install: Install) {
        match install {
            Install::Inbound(sa) => {
                assert!(self.inbound.insert(sa.spi), "SPI {:x} is installed twice", sa.spi);
                assert!(self.inbound.len() <= MAX_INBOUND, "inbound SAs without end");
            }
            Install::Outbound(sa) => self.outbound = Some(sa.spi),
            Install::RemoveInbound { spi, .. } => {
                assert!(self.inbound.remove(&spi), "SPI {spi:x} is removed and was not installed");
            }
            Install::RemoveOutbound { spi, .. } => {
                self.outbound.take_if(|installed| *installed == spi);
            }
            Install::Path { .. } => {}
        }
    }
}

/// Short lifetimes, so that a script of few octets lives through them.
fn config() -> PeerConfig {
    PeerConfig {
        mode: Mode::Responder,
        ike_suites: vec![IKE_SUITE.parse().expect("a suite")],
        esp_suites: ESP_SUITES.map(|suite| suite.parse().expect("a suite")).to_vec(),
        ts_local: vec![TrafficSelector::any_v4(), TrafficSelector::any_v6()],
        ts_remote: vec![TrafficSelector::any_v4(), TrafficSelector::any_v6()],
        ike_lifetime: Duration::from_mins(10),
        child_lifetime: Duration::from_mins(4),
        rekey_margin: Duration::from_secs(30),
        ..PeerConfig::new(OURS, THEIRS, Auth::psk(PSK))
    }
}

/// The port of ours that a peer with this port talks to.
const fn port_of(port: u16) -> u16 {
    if port == 500 { 500 } else { 4500 }
}

/// SplitMix64: the same octets in every run of an input.
pub(super) struct Counting(u64);

impl Counting {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.iter_mut().zip((z ^ (z >> 31)).to_be_bytes()).for_each(|(octet, random)| *octet = random);
        }
    }
}

/// The tunnel.
const PEER: PeerId = PeerId(1);

pub(super) const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
pub(super) const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(super) const PSK: &[u8] = b"correct horse battery staple";
/// The cheapest key exchange, so that many scripts run.
pub(super) const IKE_SUITE: &str = "aes256gcm16-sha256-x25519";
/// A rekey may bring a key exchange and need not.
const ESP_SUITES: [&str; 2] = ["aes256gcm16", "aes256gcm16-x25519"];

/// Generous: a message of one peer ends every SA that it has at most.
const MAX_OUTPUTS: usize = 16 * limits::IKE_SAS_PER_PEER * limits::CHILDREN;
const MAX_INBOUND: usize = limits::IKE_SAS_PER_PEER * limits::CHILDREN;
/// A day of liveness checks is 8,640.
const MAX_TIMEOUTS: u32 = 20_000;
/// Half-open SAs, lingering ones and unanswered Deletes are gone by then.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(5);

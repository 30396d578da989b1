//! A whole handshake, IKE_SA_INIT and IKE_AUTH (RFC 7296 §1.2), both ends of it, between two endpoints without I/O.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use gotthard_ike::codec::payload::ts::TrafficSelector;
use gotthard_ike::config::{Auth, Encapsulation, Mode, PeerConfig, PeerId, Retransmit};
use gotthard_ike::{Endpoint, Event, Output, Time, Transmit, limits};

use super::Kernel;
use super::seeded::Seeded;

pub(super) fn kernels() -> Vec<Kernel> {
    ["modp2048", "ecp256", "x25519"]
        .into_iter()
        .map(|group| Kernel::new("handshake", group, 1, || Pair::new(group), Pair::establish))
        .collect()
}

/// The first message of a handshake with `group`.
pub(super) fn first_message(group: &str) -> Vec<u8> {
    let mut pair = Pair::new(group);
    pair.initiator.initiate(NOW, PEER);
    let (datagrams, _) = drain(&mut pair.initiator);
    datagrams.into_iter().next().expect("a first message").payload
}

struct Pair {
    initiator: Endpoint,
    responder: Endpoint,
}

impl Pair {
    fn new(group: &str) -> Self {
        let initiator = endpoint(3, config(Mode::Initiator, A, B, group));
        let responder = endpoint(4, config(Mode::Responder, B, A, group));
        Self { initiator, responder }
    }

    fn establish(&mut self) {
        let Self { initiator, responder } = self;
        initiator.initiate(NOW, PEER);
        let mut up = 0;
        loop {
            let (requests, children) = drain(initiator);
            up += children;
            if requests.is_empty() {
                break;
            }
            deliver(&requests, responder);
            let (responses, children) = drain(responder);
            up += children;
            deliver(&responses, initiator);
        }
        assert_eq!(up, 2, "the tunnel is up at both ends");
    }
}

/// What the endpoint sends, and how many tunnels came up.
fn drain(endpoint: &mut Endpoint) -> (Vec<Transmit>, usize) {
    let (mut datagrams, mut up) = (Vec::new(), 0);
    loop {
        match endpoint.poll_output() {
            Output::Transmit(transmit) => datagrams.push(transmit),
            Output::Event(Event::ChildUp { .. }) => up += 1,
            Output::Event(_) | Output::Install(_) | Output::Keys(_) | Output::Keepalive { .. } => {}
            Output::Compute(job) => endpoint.handle_computed(NOW, job.run()),
            Output::Timeout { .. } => return (datagrams, up),
        }
    }
}

fn deliver(datagrams: &[Transmit], to: &mut Endpoint) {
    for Transmit { local, remote, payload } in datagrams {
        to.handle_datagram(NOW, *remote, *local, payload);
    }
}

fn endpoint(seed: u64, config: PeerConfig) -> Endpoint {
    let mut endpoint = Endpoint::new(Box::new(Seeded(seed)));
    endpoint.add_peer(PEER, config);
    endpoint
}

fn config(mode: Mode, local: IpAddr, remote: IpAddr, group: &str) -> PeerConfig {
    let ike_suite = format!("aes256gcm16-sha256-{group}");
    PeerConfig {
        mode,
        local,
        remote,
        local_id: local.into(),
        remote_id: remote.into(),
        auth: Auth::psk(b"correct horse battery staple"),
        ike_suites: vec![ike_suite.parse().expect("a suite")],
        esp_suites: vec!["aes256gcm16".parse().expect("a suite")],
        ts_local: vec![TrafficSelector::any_v4()],
        ts_remote: vec![TrafficSelector::any_v4()],
        encapsulation: Encapsulation::Udp,
        dpd_interval: Duration::from_secs(10),
        retransmit: Retransmit::default(),
        ike_lifetime: Duration::from_hours(8),
        child_lifetime: Duration::from_hours(1),
        rekey_margin: Duration::from_secs(270),
        rekey_fuzz: 100,
        fragment_size: limits::FRAGMENT_SIZE,
        start_on_4500: false,
    }
}

const PEER: PeerId = PeerId(1);
const NOW: Time = Time::ZERO;
const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

//! A whole handshake, IKE_SA_INIT and IKE_AUTH (RFC 7296 §1.2), both ends of it, between two endpoints without I/O.

use std::net::{IpAddr, Ipv4Addr};

use gotthard_ike::config::{Mode, PeerConfig, PeerId};
use gotthard_ike::{Endpoint, Event, Output, Time, Transmit};

use super::Kernel;
use crate::seeded::Seeded;
use crate::tunnel::config;

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

const PEER: PeerId = PeerId(1);
const NOW: Time = Time::ZERO;
const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

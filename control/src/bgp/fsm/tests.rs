//! Sessions, driven by a virtual clock: every event in every state, and two ends with a wire between them.

use std::net::Ipv4Addr;

use super::*;
use crate::bgp::codec::Families;

mod disorder;
mod pair;
mod restarts;
mod table;

pub(super) const CONFIG: Config = Config {
    local_asn: 65010,
    peer_asn: 64512,
    identifier: Ipv4Addr::new(192, 0, 2, 1),
    families: Families::ALL,
    hold_time: 30,
    connect_retry: Duration::from_secs(5),
    passive: false,
    restart_time: None,
    preserved: Families::NONE,
};

/// The other end of [`CONFIG`].
const OTHER: Config =
    Config { local_asn: 64512, peer_asn: 65010, identifier: Ipv4Addr::new(192, 0, 2, 2), ..CONFIG };

const SEED: u64 = 0x5eed;

fn at(seconds: u64) -> Time {
    Time::from_epoch(Duration::from_secs(seconds))
}

fn drain(peer: &mut Peer) -> Vec<Output> {
    std::iter::from_fn(|| peer.poll_output()).collect()
}

/// A session in `state`, at time zero, with its connection or attempt; the peer's OPEN is `open`.
fn in_state(config: &Config, state: State, open: &[u8]) -> (Peer, ConnectionId) {
    let mut peer = Peer::new(*config, SEED);
    if state > State::Idle {
        peer.start(Time::ZERO);
    }
    let id = peer.attempt.unwrap_or(ConnectionId(0));
    if state == State::Active {
        peer.closed(Time::ZERO, id);
    }
    if state >= State::OpenSent {
        peer.connected(Time::ZERO, id);
    }
    if state >= State::OpenConfirm {
        peer.received(Time::ZERO, id, open);
    }
    if state == State::Established {
        peer.received(Time::ZERO, id, &header::keepalive());
    }
    drain(&mut peer);
    assert_eq!(peer.state(), state);
    (peer, id)
}

/// Outputs in short: `send OPEN, close, down GTH-BGP-02`.
fn told(outputs: &[Output]) -> String {
    let words: Vec<String> = outputs.iter().map(word).collect();
    words.join(", ")
}

fn word(output: &Output) -> String {
    match output {
        Output::Connect(_) => "connect".to_owned(),
        Output::Send(_, octets) => format!("send {}", message(octets)),
        Output::Close(_) => "close".to_owned(),
        Output::Up(_) => "up".to_owned(),
        Output::Down(failure, kept) if kept.is_empty() => format!("down {}", failure.code()),
        Output::Down(failure, kept) => format!("down {} keeping {}", failure.code(), kept.iter().count()),
        Output::Failed(failure) => format!("failed {}", failure.code()),
        Output::Routes(_) => "routes".to_owned(),
        Output::Refresh(family) => format!("refresh {family}"),
        Output::Flush(family) => format!("flush {family}"),
    }
}

fn message(octets: &[u8]) -> String {
    match (octets[18], &octets[19..]) {
        (1, _) => "OPEN".to_owned(),
        (2, _) => "UPDATE".to_owned(),
        (3, [code, subcode, ..]) => format!("{code}/{subcode}"),
        (4, _) => "KEEPALIVE".to_owned(),
        (5, _) => "ROUTE-REFRESH".to_owned(),
        other => panic!("no message of ours: {other:?}"),
    }
}

//! Graceful restart of either end (RFC 4724, RFC 8538): what is kept, how long, and what ends it.

use super::*;
use crate::bgp::codec::Open;
use crate::bgp::codec::announce;

const GRACEFUL: Config = Config { restart_time: Some(120), ..CONFIG };
const GRACEFUL_OTHER: Config = Config { restart_time: Some(90), ..OTHER };

fn established() -> (Peer, ConnectionId) {
    in_state(&GRACEFUL, State::Established, &GRACEFUL_OTHER.open(false, Families::ALL).emit())
}

/// The peer comes back and sends `open`.
fn back(peer: &mut Peer, now: Time, open: &Open) -> ConnectionId {
    let id = peer.accepted(now);
    peer.received(now, id, &open.emit());
    peer.received(now, id, &header::keepalive());
    id
}

#[test]
fn routes_outlive_a_connection_that_is_lost_until_they_are_told_again() {
    let (mut peer, id) = established();
    peer.closed(at(10), id);
    assert_eq!(told(&drain(&mut peer)), "close, down GTH-BGP-02 keeping 2");
    let id = back(&mut peer, at(20), &GRACEFUL_OTHER.open(true, Families::ALL));
    assert_eq!(told(&drain(&mut peer)), "send OPEN, send KEEPALIVE, up");
    peer.received(at(21), id, &announce::end_of_rib(Family::Ipv4));
    assert_eq!(told(&drain(&mut peer)), "routes, flush IPv4 unicast");
    peer.received(at(22), id, &announce::end_of_rib(Family::Ipv6));
    assert_eq!(told(&drain(&mut peer)), "routes, flush IPv6 unicast");
    peer.received(at(23), id, &announce::end_of_rib(Family::Ipv6));
    assert_eq!(told(&drain(&mut peer)), "routes", "nothing is stale any more");
}

#[test]
fn a_peer_that_does_not_come_back_in_time_has_no_routes() {
    let (mut peer, id) = established();
    peer.closed(at(10), id);
    drain(&mut peer);
    peer.poll(at(99));
    assert!(!told(&drain(&mut peer)).contains("flush"));
    peer.poll(at(100));
    assert!(told(&drain(&mut peer)).contains("flush IPv4 unicast, flush IPv6 unicast"));
}

#[test]
fn what_the_peer_has_not_preserved_goes_when_it_is_back() {
    let (mut peer, id) = established();
    peer.closed(at(10), id);
    drain(&mut peer);
    back(&mut peer, at(20), &GRACEFUL_OTHER.open(true, Families::IPV4));
    assert_eq!(told(&drain(&mut peer)), "send OPEN, send KEEPALIVE, up, flush IPv6 unicast");
    let (mut peer, id) = established();
    peer.closed(at(10), id);
    drain(&mut peer);
    back(&mut peer, at(20), &OTHER.open(true, Families::ALL));
    let all = "send OPEN, send KEEPALIVE, up, flush IPv4 unicast, flush IPv6 unicast";
    assert_eq!(told(&drain(&mut peer)), all, "its OPEN says nothing of graceful restart");
}

#[test]
fn routes_that_are_not_told_again_go_after_a_while() {
    let (mut peer, id) = established();
    peer.closed(at(10), id);
    let id = back(&mut peer, at(20), &GRACEFUL_OTHER.open(true, Families::ALL));
    drain(&mut peer);
    for second in (20..140).step_by(10) {
        peer.received(at(second), id, &header::keepalive());
        peer.poll(at(second));
    }
    assert!(!told(&drain(&mut peer)).contains("flush"));
    peer.received(at(140), id, &header::keepalive());
    peer.poll(at(140));
    assert!(told(&drain(&mut peer)).contains("flush IPv4 unicast, flush IPv6 unicast"));
}

#[test]
fn a_second_loss_ends_what_the_first_left_over() {
    let (mut peer, id) = established();
    peer.closed(at(10), id);
    let id = back(&mut peer, at(20), &GRACEFUL_OTHER.open(true, Families::ALL));
    drain(&mut peer);
    peer.closed(at(21), id);
    let outputs = told(&drain(&mut peer));
    assert_eq!(outputs, "close, flush IPv4 unicast, flush IPv6 unicast, down GTH-BGP-02 keeping 2");
}

#[test]
fn a_new_connection_of_a_graceful_peer_replaces_an_established_one() {
    let (mut peer, _) = established();
    back(&mut peer, at(10), &GRACEFUL_OTHER.open(true, Families::ALL));
    let outputs = told(&drain(&mut peer));
    assert_eq!(outputs, "close, down GTH-BGP-02 keeping 2, send OPEN, send KEEPALIVE, up");
}

#[test]
fn a_notification_keeps_the_routes_and_a_hard_reset_does_not() {
    let shutdown = Notification::cease(cease::SHUTDOWN);
    for (told_by_peer, outcome) in [
        (shutdown.clone(), "close, down GTH-BGP-09 keeping 2"),
        (shutdown.hard(), "close, down GTH-BGP-09"),
        (Notification::new(ErrorCode::HOLD_TIMER, 0), "close, down GTH-BGP-14 keeping 2"),
    ] {
        let (mut peer, id) = established();
        peer.received(at(1), id, &told_by_peer.emit());
        assert_eq!(told(&drain(&mut peer)), outcome);
    }
}

#[test]
fn without_the_n_bit_a_notification_ends_the_routes() {
    let mut open = GRACEFUL_OTHER.open(false, Families::ALL);
    open.capabilities.graceful_restart = open.capabilities.graceful_restart.map(|mut restart| {
        restart.notification = false;
        restart
    });
    let (mut peer, id) = in_state(&GRACEFUL, State::Established, &open.emit());
    peer.received(at(1), id, &Notification::new(ErrorCode::HOLD_TIMER, 0).emit());
    assert_eq!(told(&drain(&mut peer)), "close, down GTH-BGP-14");
    let (mut peer, _) = in_state(&GRACEFUL, State::Established, &open.emit());
    peer.stop(at(1), &Stop::TunnelDown);
    assert_eq!(told(&drain(&mut peer)), "send 6/2, close, down GTH-BGP-15");
}

#[test]
fn what_is_ended_on_purpose_is_ended_hard() {
    for (stop, code) in [
        (Stop::TunnelDown, "GTH-BGP-15"),
        (Stop::Deconfigured, "GTH-BGP-16"),
        (Stop::Shutdown(String::new()), "GTH-BGP-16"),
        (Stop::Limit, "GTH-BGP-17"),
    ] {
        let (mut peer, _) = established();
        peer.stop(at(1), &stop);
        assert_eq!(told(&drain(&mut peer)), format!("send 6/9, close, down {code}"));
    }
}

#[test]
fn stopping_ends_what_was_stale_too() {
    let (mut peer, id) = established();
    peer.closed(at(10), id);
    drain(&mut peer);
    peer.stop(at(11), &Stop::TunnelDown);
    assert_eq!(told(&drain(&mut peer)), "flush IPv4 unicast, flush IPv6 unicast");
    assert_eq!(peer.next(), None);
}

#[test]
fn a_restarted_daemon_says_so_once() {
    let preserved = Families::IPV4;
    let mut peer = Peer::new(Config { preserved, ..GRACEFUL }, SEED);
    peer.start(at(0));
    let restart = |peer: &mut Peer| {
        let octets = drain(peer)
            .into_iter()
            .filter_map(|output| if let Output::Send(_, octets) = output { Some(octets) } else { None });
        let sent = octets.into_iter().find(|octets| octets[18] == 1);
        Open::parse(&sent.expect("an OPEN")[19..]).unwrap().capabilities.graceful_restart.unwrap()
    };
    let id = back(&mut peer, at(1), &GRACEFUL_OTHER.open(false, Families::ALL));
    let first = restart(&mut peer);
    assert!(first.restarting && first.preserved == preserved);
    peer.closed(at(2), id);
    back(&mut peer, at(3), &GRACEFUL_OTHER.open(false, Families::ALL));
    let second = restart(&mut peer);
    assert!(!second.restarting && second.preserved == Families::ALL);
}

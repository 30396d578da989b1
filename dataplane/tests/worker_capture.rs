//! Copies of a tunnel's packets: only while they are asked for, of the layer that is asked for, and with why one went no
//! further.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

mod worker_support;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::Transform;
use gotthard_dataplane::handle::{Captured, Layer, Notice, Outer};
use gotthard_dataplane::io::channel::Departure;
use gotthard_dataplane::sa::spec::Encapsulation;
use gotthard_dataplane::worker::mailbox::Order;
use worker_support::{Gateway, TUNNEL, pair, udp};

#[test]
fn nothing_is_copied_before_it_is_asked_for_nor_afterwards() {
    let (mut left, mut right) = gateways();
    for layer in [None, Some(Layer::Inner), None] {
        left.tell(Order::Capture(TUNNEL, layer));
        right.tell(Order::Capture(TUNNEL, layer));
        let sent = left.send([&packet(100)]);
        right.receive(&left, &sent);
        let copies = usize::from(layer.is_some());
        assert_eq!((captured(&left).len(), captured(&right).len()), (copies, copies));
    }
}

#[test]
fn the_inner_layer_is_what_the_hosts_sent_and_receive() {
    let (mut left, mut right) = gateways();
    left.tell(Order::Capture(TUNNEL, Some(Layer::Inner)));
    right.tell(Order::Capture(TUNNEL, Some(Layer::Inner)));
    let sample = packet(300);
    let sent = left.send([&sample]);
    assert_eq!(right.receive(&left, &sent), std::slice::from_ref(&sample));
    for (gateway, outbound) in [(&left, true), (&right, false)] {
        let expected = Captured { tunnel: TUNNEL, outbound, octets: sample.clone(), outer: None, drop: None };
        assert_eq!(captured(gateway), [expected]);
    }
}

#[test]
fn the_outer_layer_is_what_crosses_with_why_it_was_dropped() {
    let (mut left, mut right) = gateways();
    left.tell(Order::Capture(TUNNEL, Some(Layer::Outer)));
    right.tell(Order::Capture(TUNNEL, Some(Layer::Outer)));
    let sent = left.send([&packet(300)]);
    let octets = sent[0].payload.clone();
    right.receive(&left, &sent);
    right.receive(&left, &sent);
    let mut forged = octets.clone();
    *forged.last_mut().unwrap() ^= 1;
    right.receive(&left, &[Departure { payload: forged.clone(), ..sent[0].clone() }]);

    let of_left = captured(&left);
    let [left_address, right_address] = ["192.0.2.1:4500", "192.0.2.2:4500"].map(|a| a.parse().unwrap());
    let outer = Some(Outer { local: left_address, remote: right_address });
    assert_eq!(
        of_left,
        [Captured { tunnel: TUNNEL, outbound: true, octets: octets.clone(), outer, drop: None }]
    );
    let outer = Some(Outer { local: right_address, remote: left_address });
    let arrived = |octets: &Vec<u8>, drop| Captured {
        tunnel: TUNNEL,
        outbound: false,
        octets: octets.clone(),
        outer,
        drop,
    };
    // The forged one has a number that was received before: that is looked at first.
    let replay = Some(DropReason::Replay);
    assert_eq!(
        captured(&right),
        [arrived(&octets, None), arrived(&octets, replay), arrived(&forged, replay)]
    );
}

#[test]
fn a_packet_that_is_refused_is_copied_with_the_reason() {
    let (mut left, _) = gateways();
    left.tell(Order::Capture(TUNNEL, Some(Layer::Inner)));
    let large = packet(1460);
    assert_eq!(left.send([&large]).len(), 0);
    let drop = Some(DropReason::TooBig);
    let expected = Captured { tunnel: TUNNEL, outbound: true, octets: large, outer: None, drop };
    assert_eq!(captured(&left), [expected]);
}

#[test]
fn a_packet_for_a_tunnel_that_is_not_up_is_copied_with_the_reason() {
    let mut gateway = Gateway::new("192.0.2.1");
    gateway.tell(Order::Capture(TUNNEL, Some(Layer::Inner)));
    let lost = packet(300);
    assert_eq!(gateway.send([&lost]).len(), 0);
    let drop = Some(DropReason::NoOutboundSa);
    assert_eq!(
        captured(&gateway),
        [Captured { tunnel: TUNNEL, outbound: true, octets: lost, outer: None, drop }]
    );
    gateway.assert_all_buffers_free();
}

/// As where the link is full: all batches are on their way.
#[test]
fn a_packet_that_finds_no_room_to_be_sent_from_is_copied_with_the_reason() {
    let (mut left, _) = gateways();
    left.tell(Order::Capture(TUNNEL, Some(Layer::Inner)));
    left.far.set_full(true);
    let lost = packet(300);
    assert_eq!(left.send([&lost]).len(), 0);
    let drop = Some(DropReason::SendFull);
    assert_eq!(
        captured(&left),
        [Captured { tunnel: TUNNEL, outbound: true, octets: lost, outer: None, drop }]
    );
    assert_eq!(left.stats().drops.of(DropReason::SendFull), 1);
    left.far.set_full(false);
    assert_eq!(left.send([&packet(300)]).len(), 1);
}

fn gateways() -> (Gateway, Gateway) {
    pair(Transform::Aes256Gcm16, Encapsulation::Udp, false)
}

fn packet(len: usize) -> Vec<u8> {
    udp(false, 0, len, 0x5a)
}

/// The copies since the last call.
fn captured(gateway: &Gateway) -> Vec<Captured> {
    let copy = |notice| if let Notice::Captured(captured) = notice { Some(captured) } else { None };
    gateway.take_notices().into_iter().filter_map(copy).collect()
}

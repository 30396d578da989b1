//! What anybody can send to the outer sockets: it is counted, answered by nothing, and leaves no trace.

mod worker_support;

use std::net::SocketAddr;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::Transform;
use gotthard_dataplane::handle::Notice;
use gotthard_dataplane::io::Wire::{Esp, Udp};
use gotthard_dataplane::sa::spec::Encapsulation;
use gotthard_dataplane::worker::mailbox::Order;
use worker_support::{Gateway, RIGHT, TUN, TUNNEL, pair, udp};

const GCM: Transform = Transform::Aes256Gcm16;

fn stranger(n: u32) -> SocketAddr {
    SocketAddr::new(std::net::Ipv4Addr::from(0xcb00_7100 | n & 0xff).into(), 4500)
}

#[test]
fn ten_thousand_packets_of_each_kind_are_counted_and_nothing_else() {
    let spi = |spi: u32| [&spi.to_be_bytes()[..], &[0; 60]].concat();
    let long = vec![1; 70_000];
    let kinds: [(_, Vec<u8>, _); 8] = [
        (Udp, spi(0xdead_beef), DropReason::UnknownSpi),
        (Esp, spi(0xdead_beef), DropReason::UnknownSpi),
        (Udp, spi(255), DropReason::ReservedSpi),
        (Esp, spi(0), DropReason::ReservedSpi),
        (Udp, vec![], DropReason::Runt),
        (Udp, vec![1, 2, 3], DropReason::Runt),
        (Esp, vec![1, 2, 3, 4, 5, 6, 7], DropReason::Runt),
        (Udp, long, DropReason::Truncated),
    ];
    for (wire, payload, reason) in kinds {
        let mut gateway = Gateway::new("192.0.2.1");
        for n in 0..10_000 {
            gateway.arrive(wire, stranger(n), 0, &payload);
            if n % 100 == 0 {
                gateway.drive();
            }
        }
        gateway.drive();
        assert_eq!(gateway.gateway_stats().drops.of(reason), 10_000, "{reason:?}");
        assert_eq!(gateway.gateway_stats().drops.total(), 10_000);
        assert_silent(&gateway);
    }
}

#[test]
fn keepalives_are_counted_and_not_answered() {
    let mut gateway = Gateway::new("192.0.2.1");
    (0..10_000).for_each(|n| gateway.arrive(Udp, stranger(n), 0, &[0xff]));
    gateway.drive();
    assert_eq!(gateway.gateway_stats().keepalives, 10_000);
    assert_silent(&gateway);
}

#[test]
fn damaged_packets_of_a_known_sa_move_nothing() {
    let (mut left, mut right) = pair(GCM, Encapsulation::Udp, false);
    let good = left.send(&[udp(false, 0, 100, 1)]);
    for bit in 0..good[0].payload.len() * 8 {
        let mut bad = good.clone();
        bad[0].payload[bit / 8] ^= 1 << (bit % 8);
        assert!(right.receive(&left, &bad).is_empty(), "bit {bit}");
    }
    for len in 0..good[0].payload.len() {
        let mut bad = good.clone();
        bad[0].payload.truncate(len);
        assert!(right.receive(&left, &bad).is_empty(), "length {len}");
    }
    assert_eq!(right.receive(&left, &good), [udp(false, 0, 100, 1)], "the window has not moved");
    right.assert_all_buffers_free();
}

#[test]
fn ike_is_handed_over_without_its_marker_and_a_flood_is_bounded() {
    let (left, mut right) = pair(GCM, Encapsulation::Udp, false);
    right.arrive(Udp, stranger(1), 0, &[0, 0, 0, 0, 1, 2, 3]);
    right.drive();
    match right.take_notices().as_slice() {
        [Notice::Ike { local, remote, payload }] => {
            assert_eq!((local.to_string().as_str(), *remote), ("192.0.2.2:4500", stranger(1)));
            assert_eq!(payload, &[1, 2, 3]);
        }
        other => panic!("{other:?}"),
    }

    for n in 0..10_000 {
        right.arrive(Udp, stranger(n), 0, &[0, 0, 0, 0, 9]);
    }
    right.drive();
    let strangers = right.take_notices().len();
    assert!((1..9_000).contains(&strangers), "{strangers}");
    let refused = right.gateway_stats().drops.of(DropReason::IkeQueueFull);
    assert_eq!(usize::try_from(refused).unwrap() + strangers, 10_000);

    // The peer of an established tunnel still gets through.
    let peer = left.path_to(&right, Encapsulation::Udp).local;
    right.arrive(Udp, peer, 0, &[0, 0, 0, 0, 9]);
    right.drive();
    assert_eq!(right.take_notices().len(), 1);
    right.assert_all_buffers_free();
}

#[test]
fn without_an_outbound_sa_nothing_leaves_in_clear() {
    let (mut left, _) = pair(GCM, Encapsulation::Udp, false);
    left.tell(Order::RemoveOutbound(TUNNEL, RIGHT));
    assert!(left.send(&vec![udp(false, 0, 100, 1); 200]).is_empty());
    assert_eq!(left.stats().drops.of(DropReason::NoOutboundSa), 200);
    assert_eq!(left.stats().tx_packets, 0);
}

#[test]
fn packets_outside_the_selectors_or_malformed_do_not_leave() {
    let (mut left, _) = pair(GCM, Encapsulation::Udp, false);
    let mut elsewhere = udp(false, 0, 100, 1);
    elsewhere[16] = 8; // to 8.0.0.2
    let mut longer = udp(false, 0, 100, 1);
    longer.push(0);
    assert!(left.send(&[elsewhere, longer, vec![0x45; 10], vec![], vec![0; 1500]]).is_empty());
    let drops = left.stats().drops;
    assert_eq!(drops.of(DropReason::OutboundSelectors), 1);
    assert_eq!(drops.of(DropReason::InnerLength), 1);
    assert_eq!(drops.of(DropReason::InnerHeader), 3);
}

#[test]
fn a_removed_tunnel_opens_nothing() {
    let (mut left, mut right) = pair(GCM, Encapsulation::Udp, false);
    let wire = left.send(&[udp(false, 0, 100, 1)]);
    right.tell(Order::RemoveTunnel(TUNNEL));
    assert!(right.receive(&left, &wire).is_empty());
    assert_eq!(right.gateway_stats().drops.of(DropReason::UnknownSpi), 1);
    right.far.host_sends(TUN, &udp(false, 0, 100, 1));
    assert!(left.send(&[]).is_empty());
}

fn assert_silent(gateway: &Gateway) {
    assert!(gateway.far.net_received().is_empty());
    assert!(gateway.far.host_received().is_empty());
    assert!(gateway.take_notices().is_empty());
    gateway.assert_all_buffers_free();
}

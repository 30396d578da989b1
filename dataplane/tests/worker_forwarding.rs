//! Packets cross two workers, whole and in order, whatever carries them.

mod worker_support;

use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::Reply;
use gotthard_dataplane::natt;
use gotthard_dataplane::sa::spec::{Encapsulation, OuterPath, TunnelId};
use gotthard_dataplane::worker::mailbox::Order;
use worker_support::{RIGHT, TUNNEL, pair, udp};

const GCM: Transform = Transform::Aes256Gcm16;
const CBC: Transform = Transform::Aes256Cbc(Hmac::Sha256);

#[test]
fn packets_cross_both_ways_in_every_combination_of_families_encapsulations_and_transforms() {
    for transform in Transform::ALL {
        for encapsulation in [Encapsulation::Udp, Encapsulation::Esp] {
            for (outer_v6, inner_v6) in [(false, false), (false, true), (true, false), (true, true)] {
                let (mut left, mut right) = pair(transform, encapsulation, outer_v6);
                let packets: Vec<_> =
                    (0..100).map(|n| udp(inner_v6, 0, 60 + usize::from(n) * 11, n)).collect();

                let wire = left.send(&packets);
                assert_eq!(
                    right.receive(&left, &wire),
                    packets,
                    "{transform:?} {encapsulation:?} {outer_v6} {inner_v6}"
                );
                let wire = right.send(&packets);
                assert_eq!(
                    left.receive(&right, &wire),
                    packets,
                    "{transform:?} {encapsulation:?} {outer_v6} {inner_v6}"
                );
            }
        }
    }
}

#[test]
fn packets_of_equal_size_leave_as_one_run_and_a_burst_is_cut_at_64() {
    let (mut left, _) = pair(GCM, Encapsulation::Udp, false);
    let wire = left.send(&vec![udp(false, 0, 100, 1); 70]);
    assert_eq!(wire.iter().map(|d| d.run).collect::<Vec<_>>(), [vec![64; 64], vec![6; 6]].concat());
    // 44 of the largest packets, 1472 octets when sealed, fill a UDP payload.
    let wire = left.send(&vec![udp(false, 0, 1438, 1); 46]);
    assert_eq!(wire.iter().map(|d| d.run).collect::<Vec<_>>(), [vec![44; 44], vec![2; 2]].concat());
}

#[test]
fn dscp_and_ecn_are_copied_out_and_congestion_is_copied_in() {
    const EF: u8 = 46 << 2;
    const ECT0: u8 = 0b10;
    const CE: u8 = 0b11;
    for v6 in [false, true] {
        let (mut left, mut right) = pair(GCM, Encapsulation::Udp, v6);
        let mut wire = left.send(&[udp(v6, EF | ECT0, 200, 1), udp(v6, 0, 200, 2)]);
        assert_eq!(wire.iter().map(|d| d.tos).collect::<Vec<_>>(), [EF | ECT0, 0]);

        wire[0].tos = CE; // a router on the way
        let inner = right.receive(&left, &wire);
        assert_eq!(inner, [udp(v6, EF | CE, 200, 1), udp(v6, 0, 200, 2)]);
    }
}

#[test]
fn an_sa_is_replaced_in_mid_stream_without_loss() {
    for transform in [GCM, CBC] {
        let (mut left, mut right) = pair(transform, Encapsulation::Udp, false);
        let packets: Vec<_> = (0..200).map(|n| udp(false, 0, 300, n)).collect();

        let mut wire = left.send(&packets[..100]);
        right.install_inbound(RIGHT + 1, transform); // before the peer can use it
        left.install_outbound(RIGHT + 1, transform, left.path_to(&right, Encapsulation::Udp));
        // The control plane removes what has been replaced already.
        assert!(matches!(left.tell(Order::RemoveOutbound(TUNNEL, RIGHT)), Reply::Done));
        wire.extend(left.send(&packets[100..]));

        // The old SA's packets are still under way: it is removed when they have arrived.
        assert_eq!(right.receive(&left, &wire[..150]), packets[..150]);
        right.tell(Order::RemoveInbound(RIGHT));
        assert_eq!(right.receive(&left, &wire[150..]), packets[150..]);
        assert!(right.receive(&left, &wire[..1]).is_empty());
        assert_eq!(right.stats().drops.total(), 0);
    }
}

#[test]
fn packets_follow_the_peer_when_it_moves() {
    let (mut left, right) = pair(GCM, Encapsulation::Udp, false);
    let path = left.path_to(&right, Encapsulation::Udp);
    let moved = OuterPath { remote: "198.51.100.9:61234".parse().unwrap(), ..path };
    left.tell(Order::UpdatePath(TUNNEL, moved));
    assert_eq!(left.send(&[udp(false, 0, 100, 1)])[0].route.remote, moved.remote);
}

#[test]
fn ike_and_keepalives_leave_from_the_same_socket() {
    let (mut left, right) = pair(GCM, Encapsulation::Udp, false);
    let path = left.path_to(&right, Encapsulation::Udp);
    left.tell(Order::Send(path, natt::KEEPALIVE.to_vec()));
    let sent = left.far.net_received();
    assert_eq!((sent[0].payload.as_slice(), sent[0].route.remote), (&[0xff][..], path.remote));
}

#[test]
fn counters_grow_over_sas_and_end_with_the_tunnel() {
    let (mut left, mut right) = pair(GCM, Encapsulation::Udp, false);
    let wire = left.send(&[udp(false, 0, 100, 1), udp(true, 0, 200, 2)]);
    right.receive(&left, &wire);
    right.receive(&left, &wire[..1]); // a replay
    left.install_outbound(RIGHT + 1, GCM, left.path_to(&right, Encapsulation::Udp));
    left.send(&[udp(false, 0, 50, 1)]);

    let (sent, received) = (left.stats(), right.stats());
    assert_eq!((sent.tx_packets, sent.tx_bytes, sent.rx_packets), (3, 350, 0));
    assert_eq!((received.rx_packets, received.rx_bytes, received.tx_packets), (2, 300, 0));
    assert_eq!(format!("{:?}", received.drops), r#"{"replay": 1}"#);
    assert!(received.last_rx_age.is_some() && sent.last_rx_age.is_none());

    let asked = [TunnelId(TUNNEL.0 + 1), TUNNEL];
    assert!(
        matches!(left.tell(Order::StatsOf(asked.into())), Reply::Stats(stats) if stats == [(TUNNEL, sent)])
    );

    left.tell(Order::RemoveTunnel(TUNNEL));
    for order in [Order::Stats, Order::StatsOf(asked.into())] {
        assert!(matches!(left.tell(order), Reply::Stats(stats) if stats.is_empty()));
    }
}

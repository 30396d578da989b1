//! Sizes and numbers that end: the MTU, the segment size, the sequence numbers of an SA.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

mod worker_support;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::Notice;
use gotthard_dataplane::packet::ip::IpHeader;
use gotthard_dataplane::sa::spec::{Encapsulation, Lifetime, OutboundSpec};
use gotthard_dataplane::worker::Sending;
use worker_support::{RIGHT, TUN, TUNNEL, outbound_spec, pair, syn, tcp_sum, udp};

const GCM: Transform = Transform::Aes256Gcm16;
const CBC: Transform = Transform::Aes256Cbc(Hmac::Sha256);

#[test]
fn a_packet_that_just_fits_fills_the_outer_packet_and_one_octet_more_is_answered() {
    // The inner MTU over IPv4 of 1500 octets, as AWS publishes it; the cap of 1446 is that of plain ESP with GCM.
    for (transform, encapsulation, mtu) in [
        (GCM, Encapsulation::Udp, 1438_u16),
        (GCM, Encapsulation::Esp, 1446),
        (CBC, Encapsulation::Udp, 1422),
        (CBC, Encapsulation::Esp, 1438),
    ] {
        for v6 in [false, true] {
            let (mut left, _) = pair(transform, encapsulation, false);
            let wire = left.send(&[udp(v6, 0, mtu.into(), 1)]);
            let outer = wire[0].payload.len() + 20 + if encapsulation == Encapsulation::Udp { 8 } else { 0 };
            assert!((1500 - 15..=1500).contains(&outer), "{outer}");

            assert!(left.send(&[udp(v6, 0, usize::from(mtu) + 1, 1)]).is_empty());
            let answers = left.far.host_received();
            let (tun, answer) = &answers[0];
            let header = IpHeader::parse(answer).unwrap();
            assert_eq!(
                (tun.as_str(), header.destination),
                (TUN, if v6 { "fd00::1" } else { "10.0.0.1" }.parse().unwrap())
            );
            let told = if v6 { &answer[46..48] } else { &answer[26..28] };
            assert_eq!(told, mtu.to_be_bytes());
        }
    }
}

#[test]
fn answers_to_packets_that_are_too_big_are_bounded() {
    let (mut left, _) = pair(GCM, Encapsulation::Udp, false);
    assert!(left.send(&vec![udp(false, 0, 1500, 1); 1000]).is_empty());
    let answers = left.far.host_received().len();
    assert!((1..=200).contains(&answers), "{answers}");
    assert_eq!(left.stats().drops.of(DropReason::TooBig), 1000);
}

#[test]
fn the_segment_size_of_a_syn_is_lowered_on_the_way_out_and_on_the_way_in() {
    for (v6, clamped) in [(false, 1398_u16), (true, 1378)] {
        let option = if v6 { 62 } else { 42 };
        let (mut left, mut right) = pair(GCM, Encapsulation::Udp, false);
        let wire = left.send(&[syn(v6, 9000), syn(v6, 500)]);
        let inner = right.receive(&left, &wire);
        assert_eq!(inner[0][option..], clamped.to_be_bytes());
        assert_eq!(tcp_sum(v6, &inner[0]), 0);
        assert_eq!(inner[1], syn(v6, 500));

        // The peer's cipher takes more room than ours: what it lets through is lowered here.
        let (mut left, mut right) = pair(GCM, Encapsulation::Esp, false);
        right.install_outbound(0x3333, CBC, right.path_to(&left, Encapsulation::Udp));
        let wire = left.send(&[syn(v6, 9000)]);
        let inner = right.receive(&left, &wire);
        assert_eq!(inner[0][option..], (clamped - 16).to_be_bytes());
        assert_eq!(tcp_sum(v6, &inner[0]), 0);
    }
}

#[test]
fn an_sa_that_runs_out_says_so_once_and_then_sends_nothing() {
    let (mut left, mut right) = pair(GCM, Encapsulation::Udp, false);
    let sa = left.install_outbound(RIGHT + 1, GCM, left.path_to(&right, Encapsulation::Udp));
    right.install_inbound(RIGHT + 1, GCM);
    let packets = vec![udp(false, 0, 100, 1); 3];

    use_up(&sa, u64::from(u32::MAX) / 4 * 3);
    assert_eq!(left.send(&packets).len(), 3);
    left.send(&packets);
    assert!(
        matches!(left.take_notices()[..], [Notice::SoftLimit { tunnel: TUNNEL, spi }] if spi == RIGHT + 1)
    );

    // Two numbers are left for three packets.
    use_up(&sa, u64::from(u32::MAX) / 4 - 5);
    let wire = left.send(&packets);
    assert_eq!(wire.len(), 2);
    assert_eq!(wire[1].payload[4..8], u32::MAX.to_be_bytes());
    assert!(left.send(&packets).is_empty());
    assert!(
        matches!(left.take_notices()[..], [Notice::HardLimit { tunnel: TUNNEL, spi }] if spi == RIGHT + 1)
    );
    assert_eq!(left.stats().drops.of(DropReason::SequenceExhausted), 4);

    // Its replacement sends at once.
    left.install_outbound(RIGHT + 2, GCM, left.path_to(&right, Encapsulation::Udp));
    assert_eq!(left.send(&packets).len(), 3);
}

#[test]
fn an_sa_that_has_carried_its_octets_says_so_at_three_quarters_and_then_sends_nothing() {
    let (mut left, right) = pair(GCM, Encapsulation::Udp, false);
    let path = left.path_to(&right, Encapsulation::Udp);
    let lifetime = Lifetime { octets: 100_000, ..Lifetime::default() };
    left.install(&OutboundSpec { lifetime, ..outbound_spec(RIGHT + 1, GCM, path) });
    let packets = vec![udp(false, 0, 1000, 1); 25];

    for _ in 0..2 {
        assert_eq!(left.send(&packets).len(), 25);
    }
    assert!(left.take_notices().is_empty(), "half of the octets");
    assert_eq!(left.send(&packets).len(), 25);
    assert!(matches!(left.take_notices()[..], [Notice::SoftLimit { spi, .. }] if spi == RIGHT + 1));
    assert_eq!(left.send(&packets).len(), 25);
    assert!(matches!(left.take_notices()[..], [Notice::HardLimit { spi, .. }] if spi == RIGHT + 1));
    assert!(left.send(&packets).is_empty());
    assert_eq!(left.stats().drops.of(DropReason::SequenceExhausted), 25);
}

fn use_up(sa: &Sending, mut numbers: u64) {
    while numbers > 0 {
        let n = numbers.min(1 << 16);
        sa.sequence.take(n).unwrap();
        numbers -= n;
    }
}

//! What just fits crosses whole, what just does not is answered with the MTU, and the MSS of TCP is clamped to it.

use core::time::Duration;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use gotthard_lab::capture::Capture;
use gotthard_lab::gotthard::Config;
use gotthard_lab::pcap::Packet;
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, Site};
use gotthard_lab::strongswan::Charon;
use gotthard_lab::strongswan::posture::CUSTOMER_GATEWAY;
use gotthard_lab::traffic::{Direction, Stream, expect_ping, ping};
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(
    the_largest_packet_fits_and_one_octet_more_is_answered_with_the_mtu,
    the_mss_of_syn_and_syn_ack_is_clamped_both_ways
);

fn the_largest_packet_fits_and_one_octet_more_is_answered_with_the_mtu(run: &Run) -> Result<()> {
    let Established { site, .. } = &established(run)?;
    let mtu = run.suite.inner_mtu_in_udp();
    let capture = site.capture(run)?;
    let (fits, text) = ping(&site.lan, CLOUD_HOST, 5, Some(mtu))?;
    ensure!(fits.received == 5, "of {mtu} octets: {text}");
    let outer = capture.expect_no_inner_packet()?;
    let largest = outer.iter().filter_map(outer_length).max().context("no packet left")?;
    ensure!(largest == run.suite.outer_in_udp(mtu), "the largest outer packet has {largest} octets");

    let (over, text) = ping(&site.lan, CLOUD_HOST, 2, Some(mtu + 1))?;
    ensure!(over.received == 0, "{} octets got through: {text}", mtu + 1);
    ensure!(text.contains(&format!("(mtu = {mtu})")), "no ICMP with the MTU: {text}");

    let capture = site.capture(run)?;
    let without_df = ["-n", "-c", "3", "-i", "0.1", "-M", "dont", "-s", "3000", "10.200.0.1"];
    site.lan.output("ping", &without_df).context("fragmented before encryption")?;
    for packet in capture.expect_no_inner_packet()? {
        ensure!(
            outer_length(&packet).is_none_or(|length| length <= 1500),
            "an outer packet exceeds the link"
        );
    }
    Ok(())
}

fn the_mss_of_syn_and_syn_ack_is_clamped_both_ways(run: &Run) -> Result<()> {
    let Established { site, active, .. } = &established(run)?;
    let endpoint = &site.endpoints[*active];
    let outside = site.capture(run)?;
    let in_cloud = Capture::start(run, endpoint, "ipsec0", "cloud")?;
    let in_lan = Capture::start(run, &site.lan, "lan", "lan")?;
    let up = Stream {
        client: &site.lan,
        from: LAN_HOST,
        server: endpoint,
        to: CLOUD_HOST,
        direction: Direction::Up,
        seconds: 1,
        cap_mbit: Some(20),
    };
    up.run(run)?;
    let down = Stream { client: up.server, from: up.to, server: up.client, to: up.from, ..up };
    down.run(run)?;
    let clamped = u16::try_from(run.suite.inner_mtu_in_udp() - 40)?;
    for (name, packets, from) in
        [("cloud", in_cloud.finish()?, LAN_HOST), ("LAN", in_lan.finish()?, CLOUD_HOST)]
    {
        let seen = syn_mss(&packets, from);
        // iperf3 has two connections a run; of each run one end's SYN or SYN-ACK arrives here.
        ensure!(seen.len() >= 4 && seen.iter().all(|mss| *mss == clamped), "in the {name}: {seen:?}");
    }
    outside.expect_no_inner_packet()?;
    Ok(())
}

struct Established {
    site: Site,
    /// The endpoint that traffic goes to.
    active: usize,
    _gateway: Gotthard,
    _aws: [Charon; 2],
}

/// Both tunnels up. The endpoints' devices have an MTU of 1400; their routes announce the MSS of an Ethernet instead,
/// lest that hide what ours does.
fn established(run: &Run) -> Result<Established> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let active = gateway.await_up(Duration::from_secs(5))?.active()?;
    for endpoint in &site.endpoints {
        endpoint.ip("route replace default dev ipsec0 table 220 proto static advmss 1460")?;
    }
    expect_ping(&site.lan, CLOUD_HOST)?;
    Ok(Established { site, active, _gateway: gateway, _aws: aws })
}

/// Length of a packet that our gateway sent.
fn outer_length(packet: &Packet) -> Option<usize> {
    let ip = packet.ip()?;
    (ip.source.to_string() == CUSTOMER_GATEWAY).then_some(ip.length)
}

fn syn_mss(packets: &[Packet], from: IpAddr) -> Vec<u16> {
    let ips = packets.iter().filter_map(Packet::ip);
    ips.filter(|ip| ip.source == from).filter_map(|ip| ip.syn_mss()).collect()
}

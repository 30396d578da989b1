//! 10,000 packets of each hostile kind at a running daemon: no crash, no growth, no answer where none is due, and the
//! tunnels carry traffic as before.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::thread;

use anyhow::{Context, Result, ensure};
use gotthard_lab::capture::Capture;
use gotthard_lab::gotthard::Config;
use gotthard_lab::hostile::ike::Spis;
use gotthard_lab::hostile::{Dice, Forger, esp, ike};
use gotthard_lab::pcap::{self, Ip, Packet};
use gotthard_lab::run::say;
use gotthard_lab::site::{Site, inside_of};
use gotthard_lab::status::{Status, Tunnel};
use gotthard_lab::strongswan::{Charon, posture};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, scenarios, wait};

scenarios!(
    lengths_that_lie_change_nothing,
    forbidden_chains_of_payloads_change_nothing,
    messages_out_of_state_change_nothing,
    malformed_esp_changes_nothing,
    replayed_esp_changes_nothing
);

/// H4.
fn lengths_that_lie_change_nothing(run: &Run) -> Result<()> {
    attack(run, &[], |dice, _| {
        let message = if dice.below(50) == 0 { ike::largest_proposals(dice) } else { ike::lengths(dice) };
        either_port(dice, message)
    })
}

/// H5. What reads as a first request of a peer, its payloads apart, is told what is wrong with them.
fn forbidden_chains_of_payloads_change_nothing(run: &Run) -> Result<()> {
    attack(run, &[UNSUPPORTED_CRITICAL_PAYLOAD, INVALID_SYNTAX], |dice, _| {
        let message = ike::next_payloads(dice);
        either_port(dice, message)
    })
}

/// H10; what our gateway sent comes back to it as well.
fn messages_out_of_state_change_nothing(run: &Run) -> Result<()> {
    attack(run, &[], |dice, seen| {
        let reflected = dice.pick(&seen.ours).filter(|_| dice.clone().below(4) == 0);
        let known = (dice.below(2) == 0).then_some(seen.spis);
        let message = reflected.cloned().unwrap_or_else(|| ike::out_of_state(dice, known));
        either_port(dice, message)
    })
}

/// H20. An SPI of 0 is the non-ESP marker: what follows reads as IKE, and now and then as IKE of a later version.
fn malformed_esp_changes_nothing(run: &Run) -> Result<()> {
    attack(run, &[INVALID_MAJOR_VERSION], |dice, seen| {
        let known = (dice.below(2) == 0).then_some(seen.esp_spi);
        (4500, esp::malformed(dice, known))
    })
}

/// H21.
fn replayed_esp_changes_nothing(run: &Run) -> Result<()> {
    attack(run, &[], |dice, seen| (4500, esp::replayed(dice, &seen.esp)))
}

/// What somebody on the path has seen of tunnel 1.
struct Seen {
    spis: Spis,
    /// IKE messages of our gateway.
    ours: Vec<Vec<u8>>,
    esp_spi: u32,
    /// ESP packets of the peer.
    esp: Vec<Vec<u8>>,
}

/// Runs one kind of attack at a gateway with both tunnels up. `due`: notifies that a configured peer's first request
/// may be answered with.
fn attack(run: &Run, due: &[u16], mut draw: impl FnMut(&mut Dice, &Seen) -> (u16, Vec<u8>)) -> Result<()> {
    let given = std::env::var("GOTTHARD_LAB_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("lab: hostile, {}: GOTTHARD_LAB_SEED={seed}", run.suite.word()));
    let mut dice = Dice::new(seed);
    let site = Site::new()?;
    let aws = silent_aws(run, &site)?;
    let first = Capture::start(run, &site.gateway, "outside", "before")?;
    // No message of either end's own while the attack runs, outside or inside: what the gateway sends is an answer to it.
    let config = Config { log: "info", ..Config::aws(run.suite) }
        .with("dpd_interval = \"10m\"")
        .with("probe_interval = \"60s\"");
    let mut gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    gateway.await_up(SOON)?;
    expect_ping(&site.gateway, inside_of(0))?;
    let seen = watch(&first.finish()?, &gateway.status()?)?;

    send(&site, &mut dice, WARM_UP, |dice| draw(dice, &seen))?;
    let capture = site.capture(run)?;
    let before = (gateway.status()?, gateway.process.resident_kib()?, gateway.process.descriptors()?);
    let refused = receive_errors(&site)?;
    let lines = gateway.process.log().lines().count();
    let start = std::time::Instant::now();
    send(&site, &mut dice, PACKETS, |dice| draw(dice, &seen))?;
    let seconds = start.elapsed().as_secs();

    let after = gateway.status()?;
    ensure!(gateway.process.is_running()?, "the daemon has ended");
    let grown = gateway.process.resident_kib()?.saturating_sub(before.1);
    ensure!(grown <= 1024, "{grown} KiB more after {PACKETS} packets");
    // The daemon closes the connection of the last question in its own time.
    wait::until_true(SOON, "the file descriptors to be as many as before", || {
        Ok(gateway.process.descriptors()? <= before.2)
    })?;
    ensure!(receive_errors(&site)? == refused, "the kernel dropped part of the attack: it was not all seen");
    let logged = gateway.process.log().lines().count().saturating_sub(lines);
    ensure!(logged as u64 <= 10 * (seconds + 2), "{logged} lines in {seconds} s of log");
    for (old, new) in before.0.tunnels().zip(after.tunnels()) {
        unchanged(old, new)?;
    }
    no_answer(&capture.finish()?, due)?;
    for (index, endpoint) in aws.iter().enumerate() {
        endpoint.await_established(SOON)?;
        expect_ping(&site.gateway, inside_of(index))?;
    }
    Ok(())
}

/// The posture of AWS without liveness checks of its own.
fn silent_aws(run: &Run, site: &Site) -> Result<[Charon; 2]> {
    let conf = posture::aws()?.replace("dpd_delay = 10s", "dpd_delay = 0s");
    Ok([
        Charon::start(run, &site.endpoints[0], "endpoint1", &conf)?,
        Charon::start(run, &site.endpoints[1], "endpoint2", &conf)?,
    ])
}

/// Half of them from a stranger's own address, half with the address and port of endpoint 1.
fn send(
    site: &Site,
    dice: &mut Dice,
    count: usize,
    mut draw: impl FnMut(&mut Dice) -> (u16, Vec<u8>),
) -> Result<()> {
    let forger = Forger::new(&site.stranger)?;
    let honest = [500, 4500].map(|port| site.stranger.udp(SocketAddrV4::new(STRANGER, port).into()));
    let [ike, natt] = honest;
    let (ike, natt) = (ike?, natt?);
    for number in 0..count {
        let (port, payload) = draw(dice);
        let target = SocketAddrV4::new(GATEWAY, port);
        // Larger than the link: only the kernel's own sockets send it, in fragments.
        if number % 2 == 0 || payload.len() > 1400 {
            let socket = if port == 500 { &ike } else { &natt };
            socket.send_to(&payload, target)?;
        } else {
            forger.send(SocketAddrV4::new(ENDPOINT, port), target, &payload)?;
        }
        // A pace, so that no receive buffer overflows and each packet is seen.
        if number % BURST == BURST - 1 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

/// To port 500 as it is, to port 4500 behind the non-ESP marker.
fn either_port(dice: &mut Dice, message: Vec<u8>) -> (u16, Vec<u8>) {
    if dice.below(2) == 0 { (500, message) } else { (4500, [vec![0; 4], message].concat()) }
}

fn watch(packets: &[Packet], status: &Status) -> Result<Seen> {
    let ike = &status.tunnel(0)?.ike;
    let spi = |text: &Option<String>| -> Result<u64> {
        Ok(u64::from_str_radix(text.as_deref().context("SPI")?, 16)?)
    };
    let udp = |from: Ipv4Addr| {
        packets.iter().filter_map(Packet::ip).filter(move |ip| ip.source == from).filter_map(|ip| ip.udp())
    };
    let ours = udp(GATEWAY).filter_map(|(port, _, payload)| ike_message(port, payload)).map(<[u8]>::to_vec);
    let peers =
        udp(ENDPOINT).filter(|(port, _, payload)| *port == 4500 && ike_message(*port, payload).is_none());
    let esp: Vec<_> =
        peers.map(|(_, _, payload)| payload.to_vec()).filter(|payload| payload.len() > 8).collect();
    let spi_of = |packet: &Vec<u8>| packet.first_chunk().map(|octets| u32::from_be_bytes(*octets));
    Ok(Seen {
        spis: Spis { i: spi(&ike.spi_i)?, r: spi(&ike.spi_r)? },
        ours: ours.collect(),
        esp_spi: esp.first().and_then(spi_of).context("no ESP packet was seen")?,
        esp,
    })
}

fn unchanged(old: &Tunnel, new: &Tunnel) -> Result<()> {
    ensure!(old.ike == new.ike && old.state == new.state && old.active == new.active, "{old:?}\n{new:?}");
    ensure!(old.esp.state == new.esp.state && old.esp.rekeys == new.esp.rekeys, "{old:?}\n{new:?}");
    ensure!(old.esp.rx_packets == new.esp.rx_packets, "a hostile packet was delivered: {old:?}\n{new:?}");
    Ok(())
}

/// No message was authentic and none a valid request for an SA: a stranger gets nothing at all, and a peer's address
/// the notifies that are due. Whatever else is not the attack itself would be a leak.
fn no_answer(packets: &[Packet], due: &[u16]) -> Result<()> {
    let is_attack = |ip: &Ip<'_>| ip.source == STRANGER || ip.source == ENDPOINT;
    ensure!(
        packets.iter().filter_map(Packet::ip).filter(is_attack).count() >= PACKETS,
        "the capture is not whole"
    );
    let is_outer = |ip: &Ip<'_>| ip.source.is_ipv4() && ip.protocol != pcap::ICMP;
    for ip in packets.iter().filter_map(Packet::ip).filter(|ip| !is_attack(ip) && is_outer(ip)) {
        let message = ip.udp().and_then(|(port, _, payload)| ike_message(port, payload));
        let kind = message.and_then(notify_of_response);
        let is_due = ip.destination == ENDPOINT && kind.is_some_and(|kind| due.contains(&kind));
        ensure!(is_due, "an answer to {}, protocol {}: {:02x?}", ip.destination, ip.protocol, ip.payload);
    }
    Ok(())
}

/// The type of the notify that an IKE response in clear consists of.
fn notify_of_response(message: &[u8]) -> Option<u16> {
    let (header, notify) = message.split_at_checked(28)?;
    let is_notify = header.get(16) == Some(&41) && header.get(19)? & 0x20 != 0 && notify.first() == Some(&0);
    let kind = notify.get(6..8)?.try_into().ok()?;
    is_notify.then_some(u16::from_be_bytes(kind))
}

fn ike_message(port: u16, payload: &[u8]) -> Option<&[u8]> {
    if port == 500 { Some(payload) } else { payload.strip_prefix(&[0; 4]) }
}

/// Datagrams the gateway's kernel dropped because a receive buffer was full.
fn receive_errors(site: &Site) -> Result<String> {
    let snmp = site.gateway.output("cat", &["/proc/net/snmp"])?;
    let mut udp = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (udp.next().context("Udp")?, udp.next().context("Udp")?);
    let mut columns = names.split(' ').zip(values.split(' '));
    let (_, errors) = columns.find(|(name, _)| *name == "RcvbufErrors").context("RcvbufErrors")?;
    Ok(errors.to_owned())
}

const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const ENDPOINT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 11);
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);

/// Notify types of RFC 7296 §3.10.1.
const UNSUPPORTED_CRITICAL_PAYLOAD: u16 = 1;
const INVALID_MAJOR_VERSION: u16 = 5;
const INVALID_SYNTAX: u16 = 7;
const SOON: Duration = Duration::from_secs(5);
const PACKETS: usize = 10_000;
const WARM_UP: usize = 2_000;
const BURST: usize = 20;

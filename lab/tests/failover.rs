//! How long the traffic of a connection stands still when its tunnel fails, is ended by its peer, or is taken down.
//!
//! Two tunnels with static routes to two strongSwan endpoints, and a numbered flow from the LAN to the cloud. Bounds are those
//! of a busy machine; the figures are printed.

use core::time::Duration;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, ensure};
use gotthard_lab::flow::{Flow, Report};
use gotthard_lab::gotthard::{CONNECTION, Config};
use gotthard_lab::outage::{Kind, Vanishes};
use gotthard_lab::run::say;
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, Site, inside_of};
use gotthard_lab::status::Status;
use gotthard_lab::strongswan::posture;
use gotthard_lab::traffic::{Direction, await_ping};
use gotthard_lab::{Gotthard, Process, Run, outage, scenarios};

scenarios!(
    gcm:
    a_silent_black_hole_moves_the_traffic_within_a_second,
    tcp_without_answers_leaves_an_endpoint_that_answers_ike_and_no_echo,
    esp_that_is_lost_on_its_way_out_alone_moves_the_traffic_until_it_arrives_again,
    a_delete_of_the_peer_moves_the_traffic_at_once,
    a_device_that_is_set_down_moves_the_traffic_at_once,
    what_the_operator_takes_down_loses_nothing,
    an_endpoint_that_lost_its_state_carries_again_within_fifteen_seconds,
    what_comes_back_through_the_other_tunnel_is_accepted
);

fn a_silent_black_hole_moves_the_traffic_within_a_second(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let capture = site.capture(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    for _ in 0..CUTS {
        let active = gateway.await_up(RECOVERY)?.active()?;
        let flow = upward(&site)?;
        flow.await_arrivals(SOME, RECOVERY)?;
        outage::silence(&site.wan, posture::ENDPOINTS[active], Vanishes::All)?;
        let status = await_move(&gateway, active)?;
        let broken = status.tunnel(active)?.broken.as_ref().map(|broken| broken.code.clone());
        flow.await_arrivals(SOME, RECOVERY)?;
        outage::mend(&site.wan)?;
        let report = flow.finish()?;
        told("silent black hole", &report);
        ensure!(broken.as_deref() == Some("GTH-PRB-01"), "{broken:?}");
        ensure!((FEWEST..MOST).contains(&report.gap()), "{:?}", report.gap());
    }
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// The probe knows of IKE alone there: what shows that ESP is lost is TCP that nobody acknowledges.
fn tcp_without_answers_leaves_an_endpoint_that_answers_ike_and_no_echo(run: &Run) -> Result<()> {
    let site = Site::new()?;
    for (index, endpoint) in site.endpoints.iter().enumerate() {
        outage::answer_no_echo(endpoint, inside_of(index))?;
    }
    let _aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let active = gateway.await_up(RECOVERY)?.active()?;
    let _flow = site.lan_stream(active, Direction::Up).start(run)?;
    gateway.await_status(RECOVERY, "TCP to flow", |status| {
        status.tunnels().nth(active).is_some_and(|tunnel| tunnel.esp.rx_packets > SOME)
    })?;
    let cut = Instant::now();
    outage::block(&site.wan, posture::ENDPOINTS[active], Vanishes::All, Kind::Esp)?;
    let status = await_move(&gateway, active)?;
    say(&format!("lab: ESP lost without echoes: the traffic has moved after {:.1?}", cut.elapsed()));
    ensure!(cut.elapsed() >= EVIDENCE, "moved without evidence, {:.1?} after the cut", cut.elapsed());
    let left = status.tunnel(active)?;
    ensure!(left.ike.state == "established" && left.state == "down", "{left:?}");
    ensure!(left.broken.as_ref().is_some_and(|broken| broken.code == "GTH-ESP-03"), "{:?}", left.broken);
    await_ping(&site.lan, CLOUD_HOST, RECOVERY)
}

/// What comes keeps the probe content: echoes and TCP in vain show that ours is lost.
fn esp_that_is_lost_on_its_way_out_alone_moves_the_traffic_until_it_arrives_again(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let active = gateway.await_up(RECOVERY)?.active()?;
    let mut ping = site.endpoints[active].command("ping");
    ping.args(["-n", "-i", "0.1", "-I", &CLOUD_HOST.to_string(), &LAN_HOST.to_string()]);
    let _ping = Process::spawn(&mut ping, "ping-from-the-cloud", run.dir())?;
    let received = |status: &Status| status.tunnels().nth(active).map_or(0, |tunnel| tunnel.esp.rx_packets);
    let _flow = site.lan_stream(active, Direction::Up).start(run)?;
    gateway.await_status(RECOVERY, "TCP to flow", |status| received(status) > SOME)?;
    let cut = Instant::now();
    outage::block(&site.wan, posture::ENDPOINTS[active], Vanishes::Sent, Kind::Esp)?;
    let status = await_move(&gateway, active)?;
    say(&format!("lab: ESP lost on its way out: the traffic has moved after {:.1?}", cut.elapsed()));
    ensure!(cut.elapsed() >= EVIDENCE, "moved without evidence, {:.1?} after the cut", cut.elapsed());
    let left = status.tunnel(active)?;
    ensure!(left.ike.state == "established" && left.state == "down", "{left:?}");
    ensure!(left.broken.as_ref().is_some_and(|broken| broken.code == "GTH-ESP-04"), "{:?}", left.broken);
    await_ping(&site.lan, CLOUD_HOST, RECOVERY)?;
    let before = received(&status);
    gateway.await_status(RECOVERY, "the peer's packets to go on", |status| received(status) > before)?;
    outage::mend(&site.wan)?;
    let mended = Instant::now();
    gateway.await_status(RECOVERY, "both tunnels to be whole", |status| {
        status.tunnels().all(|tunnel| tunnel.is_up() && tunnel.broken.is_none())
    })?;
    say(&format!("lab: ESP arrives again: the tunnel is up after {:.1?}", mended.elapsed()));
    gateway.ask(&["down", &format!("{CONNECTION}/{}", 2 - active)])?;
    await_move(&gateway, 1 - active)?;
    await_ping(&site.lan, CLOUD_HOST, RECOVERY)
}

fn a_delete_of_the_peer_moves_the_traffic_at_once(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let active = gateway.await_up(RECOVERY)?.active()?;
    let flow = upward(&site)?;
    flow.await_arrivals(SOME, RECOVERY)?;
    aws[active].terminate(&format!("tun{}", active + 1))?;
    await_move(&gateway, active)?;
    gateway.await_up(RECOVERY)?;
    let report = flow.finish()?;
    told("Delete of the peer", &report);
    ensure!(report.gap() < SIGNAL, "{:?}", report.gap());
    Ok(())
}

fn a_device_that_is_set_down_moves_the_traffic_at_once(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let status = gateway.await_up(RECOVERY)?;
    let active = status.active()?;
    let device = &status.tunnel(active)?.interface;
    let flow = upward(&site)?;
    flow.await_arrivals(SOME, RECOVERY)?;
    site.gateway.ip(&format!("link set {device} down"))?;
    await_move(&gateway, active)?;
    flow.await_arrivals(SOME, RECOVERY)?;
    site.gateway.ip(&format!("link set {device} up"))?;
    gateway.await_up(RECOVERY)?;
    let report = flow.finish()?;
    told("device set down", &report);
    ensure!(report.gap() < SIGNAL, "{:?}", report.gap());
    Ok(())
}

/// Make before break, there and back: the tunnel that is left delivers what is under way.
fn what_the_operator_takes_down_loses_nothing(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let first = gateway.await_up(RECOVERY)?.active()?;
    let flow = upward(&site)?;
    flow.await_arrivals(SOME, RECOVERY)?;
    for active in [first, 1 - first] {
        let name = format!("{CONNECTION}/{}", active + 1);
        gateway.ask(&["down", &name])?;
        await_move(&gateway, active)?;
        gateway.await_status(RECOVERY, "the tunnel to be down", |status| {
            status.tunnels().nth(active).is_some_and(|tunnel| tunnel.state == "admin-down")
        })?;
        gateway.ask(&["up", &name])?;
        gateway.await_up(RECOVERY)?;
    }
    flow.finish()?.expect_whole("a planned move there and back")?;
    ensure!(!gateway.process.log().contains("GTH-EVT-11"), "a peer is silent whose tunnel was to be down");
    Ok(())
}

/// The endpoint is killed, and comes back without state while nothing tells us so.
fn an_endpoint_that_lost_its_state_carries_again_within_fifteen_seconds(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let mut aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let before = gateway.await_up(RECOVERY)?;
    let active = before.active()?;
    let flow = upward(&site)?;
    flow.await_arrivals(SOME, RECOVERY)?;
    aws[active].restart_after_kill(&site.endpoints[active])?;
    let returned = Instant::now();
    let old = before.tunnel(active)?.ike.spi_i.clone();
    gateway.await_status(AFTER_RETURN, "both tunnels to be up, one of them anew", |status| {
        let anew = status.tunnels().nth(active).is_some_and(|tunnel| tunnel.ike.spi_i != old);
        anew && status.tunnels().all(gotthard_lab::status::Tunnel::is_up)
    })?;
    let report = flow.finish()?;
    told("endpoint replaced", &report);
    say(&format!("lab: both tunnels are up {:.1?} after its return", returned.elapsed()));
    ensure!(report.gap() < MOST, "{:?}", report.gap());
    Ok(())
}

/// The cloud may answer through either tunnel: neither the reverse-path filter nor the data plane minds.
fn what_comes_back_through_the_other_tunnel_is_accepted(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &Config::aws(run.suite))?;
    let other = 1 - gateway.await_up(RECOVERY)?.active()?;
    let flow = downward(&site, other)?;
    flow.await_arrivals(SOME, RECOVERY)?;
    flow.finish()?.expect_whole("through the tunnel that our routes do not lead into")
}

/// 1000 packets a second from the LAN to the cloud, behind whichever endpoint.
fn upward(site: &Site) -> Result<Flow> {
    let [one, two] = &site.endpoints;
    let (source, target) = (SocketAddr::new(LAN_HOST, 0), SocketAddr::new(CLOUD_HOST, PORT));
    Flow::at(RATE, &site.lan, source, &[one, two], target)
}

/// The same from the cloud's host behind this endpoint to the LAN.
fn downward(site: &Site, endpoint: usize) -> Result<Flow> {
    let (source, target) = (SocketAddr::new(CLOUD_HOST, 0), SocketAddr::new(LAN_HOST, PORT));
    Flow::at(RATE, &site.endpoints[endpoint], source, &[&site.lan], target)
}

/// Waits until the traffic is in the other tunnel.
fn await_move(gateway: &Gotthard, from: usize) -> Result<Status> {
    gateway.await_status(RECOVERY, "the traffic to move", |status| {
        status.active().is_ok_and(|active| active != from)
    })
}

fn told(what: &str, report: &Report) {
    let (gap, lost, sent) = (report.gap().as_millis(), report.lost.len(), report.sent);
    say(&format!("lab: {what}: gap {gap} ms, {lost} of {sent} packets lost"));
}

const RATE: u32 = 1000;
const PORT: u16 = 7001;
/// Packets that have to arrive before a flow counts as flowing.
const SOME: u64 = 200;
/// How often a tunnel is cut, the one that carries each time.
const CUTS: u32 = 3;
const RECOVERY: Duration = Duration::from_secs(30);
/// The shortest gap that three echoes in vain allow, with room for when in an interval the cut fell.
const FEWEST: Duration = Duration::from_millis(500);
/// The gap that a busy machine may make of 0.9 s.
const MOST: Duration = Duration::from_secs(3);
/// The same of 100 ms.
const SIGNAL: Duration = Duration::from_secs(1);
/// TCP in vain that is needed before a tunnel is left whose peer answers no echo, a second less for when counters are read.
const EVIDENCE: Duration = Duration::from_secs(9);
/// What AWS's maintenance allows.
const AFTER_RETURN: Duration = Duration::from_secs(15);

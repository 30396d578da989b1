//! The bench itself: two strongSwan ends agree and carry traffic, and the judgement of captures finds what it should.

use core::net::SocketAddrV4;
use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::capture::{Capture, expect_no_inner_packet};
use gotthard_lab::hostile::Forger;
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, OUTSIDE, Site, inside_of};
use gotthard_lab::strongswan::{Charon, Connection, posture};
use gotthard_lab::traffic::{Direction, Stream, expect_ping};
use gotthard_lab::{Run, scenarios};

scenarios!(
    strongswan_reaches_the_aws_posture_and_carries_traffic,
    a_packet_in_clear_is_found,
    a_forged_datagram_arrives_from_the_address_it_claims
);

fn strongswan_reaches_the_aws_posture_and_carries_traffic(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    let customer = customer_gateway(run, &site)?;
    let capture = site.capture(run)?;
    customer.initiate("tun1-c")?;
    aws[0].await_established(Duration::from_secs(5))?;
    expect_ping(&site.lan, inside_of(0))?;
    for direction in [Direction::Up, Direction::Down] {
        let stream = Stream {
            client: &site.lan,
            from: LAN_HOST,
            server: &site.endpoints[0],
            to: CLOUD_HOST,
            direction,
            seconds: 1,
            cap_mbit: Some(50),
        };
        stream.run(run)?;
    }
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// The same ping before there is a tunnel leaves by the default route.
fn a_packet_in_clear_is_found(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let capture = Capture::start(run, &site.gateway, OUTSIDE, "outside")?;
    ensure!(expect_ping(&site.lan, CLOUD_HOST).is_err(), "there is a way to the cloud without a tunnel");
    let packets = capture.finish()?;
    let judged = expect_no_inner_packet(&packets).map_err(|error| error.to_string());
    ensure!(
        judged.as_ref().is_err_and(|why| why.contains("inner packet 10.10.0.2 -> 10.200.0.1")),
        "{judged:?}"
    );
    Ok(())
}

fn a_forged_datagram_arrives_from_the_address_it_claims(_run: &Run) -> Result<()> {
    let site = Site::new()?;
    let gateway = SocketAddrV4::new([203, 0, 113, 10].into(), 4500);
    let endpoint = SocketAddrV4::new([198, 51, 100, 11].into(), 4500);
    let socket = site.gateway.udp(gateway.into())?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    Forger::new(&site.stranger)?.send(endpoint, gateway, b"forged")?;
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer)?;
    ensure!(from == endpoint.into() && buffer[..length] == *b"forged", "{length} octets from {from}");
    Ok(())
}

/// Its selectors are those of its sites: kernel-libipsec routes them before all else, the way back to the LAN included.
fn customer_gateway(run: &Run, site: &Site) -> Result<Charon> {
    let connection = |index: usize| Connection {
        name: format!("tun{}", index + 1),
        local: posture::CUSTOMER_GATEWAY.to_owned(),
        remote: posture::ENDPOINTS[index].to_owned(),
        psk: posture::PSKS[index].to_owned(),
        ike: run.suite.ike().to_owned(),
        esp: run.suite.esp().to_owned(),
        local_ts: "10.10.0.0/16".to_owned(),
        remote_ts: "10.200.0.0/16, 169.254.10.0/30".to_owned(),
        options: Vec::new(),
        child_options: Vec::new(),
    };
    Charon::start(run, &site.gateway, "customer", &Connection::render(&[connection(0)])?)
}

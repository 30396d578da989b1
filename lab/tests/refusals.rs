//! What does not fit: the operator is told what is ours, what is theirs and what to change.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::gotthard::Config;
use gotthard_lab::site::{Site, inside_of};
use gotthard_lab::status::Tunnel;
use gotthard_lab::strongswan::{Charon, Connection, posture};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, scenarios};

scenarios!(
    a_wrong_psk_is_named_and_the_other_tunnel_is_up,
    no_common_ike_proposal_is_explained_when_the_peer_answers,
    no_common_ike_proposal_is_explained_when_the_peer_asks,
    no_common_esp_proposal_is_explained
);

fn a_wrong_psk_is_named_and_the_other_tunnel_is_up(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _aws = site.aws(run)?;
    let capture = site.capture(run)?;
    let mut config = Config::aws(run.suite);
    "notTheKeyOfTunnelOne_0123456789".clone_into(&mut config.tunnels[0].psk);
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    let told = await_trouble(&gateway, "GTH-IKE-06")?;
    gateway.await_status(SOON, "tunnel 2 to be up", |status| {
        status.tunnels().nth(1).is_some_and(Tunnel::is_up)
    })?;
    for text in [told, gateway.process.log()] {
        ensure!(says(&text, &["authentication failed", "198.51.100.11", "pre-shared key"]), "{text}");
    }
    ensure!(!gateway.process.log().contains("notTheKey"), "the key is in the log");
    expect_ping(&site.gateway, inside_of(1))?;
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// A peer that answers NO_PROPOSAL_CHOSEN says nothing of what it would take (RFC 7296 §3.10.1).
fn no_common_ike_proposal_is_explained_when_the_peer_answers(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _peer = peer(run, &site, FOREIGN_IKE, run.suite.esp())?;
    let capture = site.capture(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &one_tunnel(run))?;
    let told = await_trouble(&gateway, "GTH-IKE-01")?;
    for text in [told, gateway.process.log()] {
        ensure!(
            says(
                &text,
                &[
                    &ours(run.suite.ike()),
                    "theirs: not said by the peer",
                    "allow one of our suites",
                    "`suites`"
                ]
            ),
            "{text}"
        );
    }
    capture.expect_no_inner_packet()?;
    Ok(())
}

fn no_common_ike_proposal_is_explained_when_the_peer_asks(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let capture = site.capture(run)?;
    let config = one_tunnel(run).with("mode = \"responder\"");
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
    gateway.await_running(SOON)?;
    let peer = peer(run, &site, FOREIGN_IKE, run.suite.esp())?;
    ensure!(peer.initiate("tun-c").is_err(), "strongSwan got a tunnel");
    let told = await_trouble(&gateway, "GTH-IKE-01")?;
    for text in [told, gateway.process.log()] {
        ensure!(
            says(
                &text,
                &[&ours(run.suite.ike()), &theirs(FOREIGN_IKE), "allow one of our suites", "`suites`"]
            ),
            "{text}"
        );
    }
    capture.expect_no_inner_packet()?;
    Ok(())
}

fn no_common_esp_proposal_is_explained(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let _peer = peer(run, &site, run.suite.ike(), FOREIGN_ESP)?;
    let capture = site.capture(run)?;
    let gateway = Gotthard::start(run, &site.gateway, "gotthard", &one_tunnel(run))?;
    let told = await_trouble(&gateway, "GTH-IKE-02")?;
    for text in [told, gateway.process.log()] {
        ensure!(
            says(
                &text,
                &[&ours(run.suite.esp()), "theirs: not said by the peer", "allow one of our suites", "`esp`"]
            ),
            "{text}"
        );
    }
    capture.expect_no_inner_packet()?;
    Ok(())
}

/// The broken link of tunnel 1, once it is the one with this code.
fn await_trouble(gateway: &Gotthard, code: &str) -> Result<String> {
    let has_code = |tunnel: &Tunnel| tunnel.broken.as_ref().is_some_and(|broken| broken.code == code);
    let status = gateway.await_status(SOON, code, |status| status.tunnels().next().is_some_and(has_code))?;
    Ok(status.tunnel(0)?.trouble())
}

fn ours(suite: &str) -> String {
    format!("ours: {suite}")
}

fn theirs(suite: &str) -> String {
    format!("theirs: {suite}")
}

/// True if the text has all words, in whatever case.
fn says(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(&word.to_lowercase()))
}

fn one_tunnel(run: &Run) -> Config {
    let mut config = Config::aws(run.suite);
    config.tunnels.truncate(1);
    config
}

fn peer(run: &Run, site: &Site, ike: &str, esp: &str) -> Result<Charon> {
    let connection = Connection {
        name: "tun".to_owned(),
        local: posture::ENDPOINTS[0].to_owned(),
        remote: posture::CUSTOMER_GATEWAY.to_owned(),
        psk: posture::PSKS[0].to_owned(),
        ike: ike.to_owned(),
        esp: esp.to_owned(),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "0.0.0.0/0".to_owned(),
        options: Vec::new(),
        child_options: Vec::new(),
    };
    Charon::start(run, &site.endpoints[0], "endpoint1", &Connection::render(&[connection])?)
}

/// Strong, and not among ours.
const FOREIGN_IKE: &str = "aes256-sha384-modp3072";
const FOREIGN_ESP: &str = "aes256-sha512";
const SOON: Duration = Duration::from_secs(10);

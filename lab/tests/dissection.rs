//! Wireshark reads every message of ours, decrypted, and finds none malformed; the keys that it needs are nowhere else.

use core::time::Duration;

use anyhow::{Result, ensure};
use gotthard_lab::capture::Capture;
use gotthard_lab::dissection::exchange::{CREATE_CHILD_SA, IKE_AUTH, IKE_SA_INIT, INFORMATIONAL};
use gotthard_lab::dissection::payload::{AUTH, DELETE, IDI, IDR, KE, NONCE, NOTIFY, SA, TSI, TSR};
use gotthard_lab::dissection::{Dissection, Kind};
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::process::Signal;
use gotthard_lab::run::say;
use gotthard_lab::secrecy::Secrets;
use gotthard_lab::site::{CLOUD_HOST, OUTSIDE, Site};
use gotthard_lab::strongswan::{Charon, Connection, posture};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, scenarios, wait};

scenarios!(
    what_we_send_to_aws_is_sound_at_rekeys_of_both_ends_and_at_the_end,
    what_we_answer_to_a_rekey_without_pfs_is_sound,
    what_we_send_through_a_nat_is_sound,
    what_we_answer_as_responder_is_sound,
);

fn what_we_send_to_aws_is_sound_at_rekeys_of_both_ends_and_at_the_end(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let aws = site.aws(run)?;
    let watched = Watched::start(run, &site, Config::aws(run.suite))?;
    watched.gateway.await_up(SOON)?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    watched.rekey_from_both_ends(&aws[0])?;
    expect_ping(&site.lan, CLOUD_HOST)?;

    let dissection = watched.end(posture::CUSTOMER_GATEWAY)?;
    let us = posture::CUSTOMER_GATEWAY.parse()?;
    for (kind, payloads) in [
        (Kind::Request(IKE_SA_INIT), &[SA, KE, NONCE, NOTIFY][..]),
        (Kind::Request(IKE_AUTH), &[IDI, AUTH, SA, TSI, TSR]),
        // Of the child, with PFS; that of the IKE SA has no selectors.
        (Kind::Request(CREATE_CHILD_SA), &[NOTIFY, SA, NONCE, KE, TSI, TSR]),
        (Kind::Request(CREATE_CHILD_SA), &[SA, NONCE, KE]),
        (Kind::Response(CREATE_CHILD_SA), &[SA, NONCE, KE, TSI, TSR]),
        (Kind::Request(INFORMATIONAL), &[DELETE]),
        (Kind::Response(INFORMATIONAL), &[]),
    ] {
        dissection.expect_message(us, kind, payloads)?;
    }
    Ok(())
}

fn what_we_answer_to_a_rekey_without_pfs_is_sound(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let endpoint = &site.endpoints[0];
    endpoint.address(&format!("{}/24", posture::AZURE_ENDPOINT), OUTSIDE)?;
    let watched = Watched::start(run, &site, azure(run))?;
    let _peer = Charon::start(run, endpoint, "azure", &posture::azure(run.suite.ike())?)?;
    watched.gateway.await_up(SOON)?;
    watched.gateway.await_status(SOON, "the peer to rekey the child and the IKE SA", |status| {
        status.tunnel(0).is_ok_and(|tunnel| tunnel.esp.rekeys >= 2 && tunnel.ike.rekeys >= 1)
    })?;
    expect_ping(&site.lan, CLOUD_HOST)?;

    let dissection = watched.end(posture::CUSTOMER_GATEWAY)?;
    let us = posture::CUSTOMER_GATEWAY.parse()?;
    dissection.expect_message(us, Kind::Response(CREATE_CHILD_SA), &[SA, NONCE, TSI, TSR])?;
    let with_pfs = dissection.messages_of(us).filter(|message| {
        message.kind == Kind::Response(CREATE_CHILD_SA)
            && [KE, TSI].iter().all(|payload| message.payloads.contains(payload))
    });
    ensure!(with_pfs.count() == 0, "a peer without PFS was answered with a key exchange");
    Ok(())
}

fn what_we_send_through_a_nat_is_sound(run: &Run) -> Result<()> {
    let site = Site::behind_nat()?;
    let aws = site.aws(run)?;
    let mut config = Config { local: BEHIND_NAT.to_owned(), ..Config::aws(run.suite) };
    for tunnel in &mut config.tunnels {
        tunnel.options.push(format!("local_id = \"{}\"", posture::CUSTOMER_GATEWAY));
    }
    let watched = Watched::start(run, &site, config)?;
    watched.gateway.await_up(SOON)?;
    watched.rekey_from_both_ends(&aws[0])?;
    expect_ping(&site.lan, CLOUD_HOST)?;
    watched.end(BEHIND_NAT).map(drop)
}

fn what_we_answer_as_responder_is_sound(run: &Run) -> Result<()> {
    let site = Site::new()?;
    let mut config = Config::aws(run.suite).with("mode = \"responder\"");
    config.tunnels.truncate(1);
    let watched = Watched::start(run, &site, config)?;
    watched.gateway.await_running(SOON)?;
    let connection = Connection {
        name: "tun1".to_owned(),
        local: posture::ENDPOINTS[0].to_owned(),
        remote: posture::CUSTOMER_GATEWAY.to_owned(),
        psk: posture::PSKS[0].to_owned(),
        ike: run.suite.ike().to_owned(),
        esp: run.suite.esp().to_owned(),
        local_ts: "0.0.0.0/0".to_owned(),
        remote_ts: "0.0.0.0/0".to_owned(),
        options: Vec::new(),
        child_options: Vec::new(),
    };
    let peer = Charon::start(run, &site.endpoints[0], "endpoint1", &Connection::render(&[connection])?)?;
    peer.initiate("tun1-c")?;
    watched.gateway.await_up(SOON)?;
    watched.rekey_from_both_ends(&peer)?;
    expect_ping(&site.lan, CLOUD_HOST)?;

    let dissection = watched.end(posture::CUSTOMER_GATEWAY)?;
    let us = posture::CUSTOMER_GATEWAY.parse()?;
    dissection.expect_message(us, Kind::Response(IKE_SA_INIT), &[SA, KE, NONCE, NOTIFY])?;
    dissection.expect_message(us, Kind::Response(IKE_AUTH), &[IDR, AUTH, SA, TSI, TSR])
}

/// Without PFS: the posture offers it beside none, and ours would choose it where it may.
fn azure(run: &Run) -> Config {
    let tunnel = Tunnel {
        peer: posture::AZURE_ENDPOINT.to_owned(),
        inside: "169.254.10.2/30".to_owned(),
        psk: posture::AZURE_PSK.to_owned(),
        options: Vec::new(),
    };
    let esp = vec![run.suite.esp_name().to_owned()];
    Config { cloud: "azure".to_owned(), esp, tunnels: vec![tunnel], ..Config::aws(run.suite) }
}

/// A gateway that writes its keys, and a capture of its outside that began before it did.
struct Watched<'a> {
    run: &'a Run,
    config: Config,
    gateway: Gotthard,
    capture: Capture,
}

impl<'a> Watched<'a> {
    fn start(run: &'a Run, site: &Site, config: Config) -> Result<Self> {
        let config = Config { reveals_keys: true, log: "trace", ..config };
        let capture = site.capture(run)?;
        let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config)?;
        Ok(Self { run, config, gateway, capture })
    }

    /// Each end rekeys the child and the IKE SA of the first tunnel.
    fn rekey_from_both_ends(&self, peer: &Charon) -> Result<()> {
        self.gateway.rekey(1, &[])?;
        self.await_rekeys(1, 0)?;
        peer.rekey_installed_child()?;
        self.await_rekeys(2, 0)?;
        self.gateway.rekey(1, &["--ike"])?;
        self.await_rekeys(2, 1)?;
        peer.rekey_ike("tun1")?;
        self.await_rekeys(2, 2)
    }

    fn await_rekeys(&self, esp: u64, ike: u64) -> Result<()> {
        wait::until_true(SOON, format!("{esp} rekeys of the child and {ike} of the IKE SA"), || {
            let status = self.gateway.status()?;
            let tunnel = status.tunnel(0)?;
            Ok((tunnel.esp.rekeys, tunnel.ike.rekeys) == (esp, ike))
        })
    }

    /// Ends the gateway and judges all that it has sent from this address, and what it has printed.
    fn end(self, from: &str) -> Result<Dissection> {
        let Self { run, config, mut gateway, capture } = self;
        let status = gateway.ask(&["status", "--output", "json"])?;
        gateway.process.signal(Signal::TERM)?;
        gateway.process.success(SOON)?;
        let file = capture.file().to_owned();
        capture.expect_no_inner_packet()?;

        let secrets = Secrets::of(&gateway, &config)?;
        secrets.expect_absent("the log", &gateway.process.log())?;
        secrets.expect_absent("the status", &status)?;
        let dissection = Dissection::new(run, &file, &gateway)?;
        let (messages, packets) = dissection.expect_sound(from.parse()?)?;
        ensure!(messages > 0 && packets > 0, "{messages} messages and {packets} ESP packets prove nothing");
        say(&format!(
            "lab: Wireshark, {}: {messages} messages and {packets} ESP packets of ours are sound; {} secrets nowhere",
            run.suite.word(),
            secrets.len()
        ));
        Ok(dissection)
    }
}

const SOON: Duration = Duration::from_secs(20);
const BEHIND_NAT: &str = "192.168.77.2";

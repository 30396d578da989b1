//! Certificates instead of pre-shared keys, as a customer gateway of AWS with AWS Private CA has them: strongSwan and we
//! prove ourselves to each other, with every kind of key, an intermediate authority and revocation lists.

use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use gotthard_lab::authority::{Authority, Issued, Kind};
use gotthard_lab::capture::Capture;
use gotthard_lab::dissection::exchange::IKE_AUTH;
use gotthard_lab::dissection::payload::{AUTH, CERT, SK, SKF};
use gotthard_lab::dissection::{Dissection, Kind as Exchange};
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::pair::{INSIDE, OUTSIDE};
use gotthard_lab::strongswan::{Charon, posture};
use gotthard_lab::traffic::ping;
use gotthard_lab::{Gotthard, Netns, Run, scenarios};

scenarios!(
    gcm:
    every_kind_of_certificate_brings_a_tunnel_up_when_we_initiate,
    every_kind_of_certificate_brings_a_tunnel_up_when_strongswan_initiates,
    certificates_come_in_ip_fragments_where_the_peer_knows_no_others,
    a_revoked_peer_is_refused_until_a_new_list_is_loaded,
    a_peer_that_has_revoked_us_refuses_us,
);

fn every_kind_of_certificate_brings_a_tunnel_up_when_we_initiate(run: &Run) -> Result<()> {
    for kind in Kind::ALL {
        let meeting = Meeting::new(&format!("we-{kind}"), kind)?;
        let peer = meeting.peer(run, &[])?;
        let capture = Capture::start(run, &meeting.left, OUTSIDE, &format!("outside-{kind}"))?;
        let gateway = meeting.gateway(run, "initiator", &[])?;
        gateway.await_up(SOON).with_context(|| peer.log())?;
        meeting.expect_traffic()?;
        let file = capture.file().to_owned();
        capture.expect_no_inner_packet()?;
        expect_sound_certificates(&Dissection::new(run, &file, &gateway)?, kind)?;
    }
    Ok(())
}

fn every_kind_of_certificate_brings_a_tunnel_up_when_strongswan_initiates(run: &Run) -> Result<()> {
    for kind in Kind::ALL {
        let meeting = Meeting::new(&format!("they-{kind}"), kind)?;
        let gateway = meeting.gateway(run, "responder", &[])?;
        gateway.await_running(SOON)?;
        let peer = meeting.peer(run, &[])?;
        peer.initiate("pair-c").with_context(|| peer.log())?;
        gateway.await_up(SOON)?;
        meeting.expect_traffic()?;
    }
    Ok(())
}

fn certificates_come_in_ip_fragments_where_the_peer_knows_no_others(run: &Run) -> Result<()> {
    let options = "fragmentation = no";
    let meeting = Meeting { options, ..Meeting::new("whole", Kind::RsaPss)? };
    let peer = meeting.peer(run, &[])?;
    let gateway = meeting.gateway(run, "initiator", &[])?;
    gateway.await_up(SOON).with_context(|| peer.log())?;
    meeting.expect_traffic()?;
    for host in [&meeting.left, &meeting.right] {
        ensure!(host.counter("Ip", "ReasmOKs")? > 0, "no datagram came in IP fragments");
    }
    Ok(())
}

fn a_revoked_peer_is_refused_until_a_new_list_is_loaded(run: &Run) -> Result<()> {
    let meeting = Meeting::new("revoked", Kind::EcdsaP256)?;
    let peer = meeting.peer(run, &[])?;
    let gateway = meeting.gateway(run, "initiator", &[&meeting.theirs])?;
    await_code(&gateway, "GTH-IKE-22")?;
    ensure!(peer.sas()?.installed() == 0, "the peer has a child SA");
    meeting.write_gateway_files(run, &[])?;
    gateway.ask(&["reload"])?;
    gateway.await_up(SOON).with_context(|| peer.log())?;
    meeting.expect_traffic()
}

fn a_peer_that_has_revoked_us_refuses_us(run: &Run) -> Result<()> {
    let meeting = Meeting::new("revoked", Kind::EcdsaP256)?;
    let _peer = meeting.peer(run, &[&meeting.ours])?;
    let gateway = meeting.gateway(run, "initiator", &[])?;
    await_code(&gateway, "GTH-IKE-06")
}

/// Wireshark finds our certificates, in the fragments that those of RSA need.
fn expect_sound_certificates(dissection: &Dissection, kind: Kind) -> Result<()> {
    let us = LEFT.parse()?;
    dissection.expect_sound(us)?;
    let sealed = if matches!(kind, Kind::RsaPss | Kind::RsaPkcs1) { SKF } else { SK };
    dissection.expect_message(us, Exchange::Request(IKE_AUTH), &[sealed, CERT, AUTH])
}

fn await_code(gateway: &Gotthard, code: &str) -> Result<()> {
    let has_it = |broken: &gotthard_lab::status::Broken| broken.code == code;
    gateway
        .await_status(SOON, code, |status| status.tunnels().any(|t| t.broken.as_ref().is_some_and(has_it)))
        .map(drop)
}

/// Two hosts on one link, and certificates for both: ours on the left, strongSwan's on the right.
struct Meeting {
    name: String,
    kind: Kind,
    left: Netns,
    right: Netns,
    authority: Authority,
    ours: Issued,
    theirs: Issued,
    /// Further keys of strongSwan's connection, as `key = value`.
    options: &'static str,
}

impl Meeting {
    fn new(name: &str, kind: Kind) -> Result<Self> {
        let (left, right) = (Netns::new("left")?, Netns::new("right")?);
        left.link(OUTSIDE, &right, OUTSIDE)?;
        left.address(&format!("{LEFT}/24"), OUTSIDE)?;
        right.address(&format!("{RIGHT}/24"), OUTSIDE)?;
        right.address(&format!("{}/32", INSIDE[1]), "lo")?;
        let authority = Authority::new()?;
        let (ours, theirs) = (authority.issue(OUR_NAME, 1, kind)?, authority.issue(THEIR_NAME, 2, kind)?);
        Ok(Self { name: name.to_owned(), kind, left, right, authority, ours, theirs, options: "" })
    }

    /// Ours, with a list of these.
    fn gateway(&self, run: &Run, mode: &str, revoked: &[&Issued]) -> Result<Gotthard> {
        self.write_gateway_files(run, revoked)?;
        let tunnel = Tunnel {
            peer: RIGHT.to_owned(),
            inside: format!("{}/30", INSIDE[0]),
            psk: String::new(),
            options: vec![format!("peer_id = \"{THEIR_NAME}\"")],
        };
        let config = Config {
            local: LEFT.to_owned(),
            cloud: "generic".to_owned(),
            remote: vec!["10.200.0.0/16".to_owned()],
            suite: run.suite,
            esp: vec![run.suite.esp().to_owned()],
            options: vec![
                format!("mode = \"{mode}\""),
                posture::USERSPACE_WINDOW.to_owned(),
                FILES.to_owned(),
            ],
            tunnels: vec![tunnel],
            reveals_keys: true,
            log: "info",
            ..Config::aws(run.suite)
        };
        Gotthard::start(run, &self.left, &self.gateway_name(), &config)
    }

    fn write_gateway_files(&self, run: &Run, revoked: &[&Issued]) -> Result<()> {
        let dir = run.dir().join(self.gateway_name());
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("gw.pem"), [self.ours.certificate.as_str(), &self.authority.issuing()].concat())?;
        fs::write(dir.join("gw.key"), &self.ours.key)?;
        fs::set_permissions(dir.join("gw.key"), fs::Permissions::from_mode(0o600))?;
        fs::write(dir.join("ca.pem"), self.authority.root())?;
        Ok(fs::write(dir.join("crl.pem"), self.authority.revocation_lists(revoked)?.concat())?)
    }

    fn gateway_name(&self) -> String {
        format!("{}-gotthard", self.name)
    }

    /// strongSwan, with a list of these.
    fn peer(&self, run: &Run, revoked: &[&Issued]) -> Result<Charon> {
        let Self { authority, theirs, .. } = self;
        let [of_root, of_issuing] = authority.revocation_lists(revoked)?;
        let files = [
            ("x509/peer.pem", theirs.certificate.clone()),
            ("private/peer.pem", theirs.key.clone()),
            ("x509ca/root.pem", authority.root()),
            ("x509ca/issuing.pem", authority.issuing()),
            ("x509crl/root.pem", of_root),
            ("x509crl/issuing.pem", of_issuing),
        ];
        let conf = self.swanctl_conf(run);
        Charon::start_with_files(run, &self.right, &format!("{}-peer", self.name), &conf, &files)
    }

    fn swanctl_conf(&self, run: &Run) -> String {
        let (ike, esp, auth) = (run.suite.ike(), run.suite.esp(), self.kind.strongswan_auth());
        let options = self.options;
        format!(
            "connections {{\n  pair {{\n    version = 2\n    local_addrs = {RIGHT}\n    remote_addrs = {LEFT}\n    \
             mobike = no\n    encap = yes\n    {options}\n    proposals = {ike}\n    send_cert = always\n    \
             local {{\n      auth = {auth}\n      certs = peer.pem\n      id = {THEIR_NAME}\n    }}\n    \
             remote {{\n      auth = pubkey\n      id = \"CN={OUR_NAME}\"\n      revocation = strict\n    }}\n    \
             children {{\n      pair-c {{\n        local_ts = 0.0.0.0/0\n        remote_ts = 0.0.0.0/0\n        \
             esp_proposals = {esp}\n      }}\n    }}\n  }}\n}}\n"
        )
    }

    fn expect_traffic(&self) -> Result<()> {
        let answered = ping(&self.left, INSIDE[1], 3, None)?.0.received;
        ensure!(answered == 3, "{}: {answered} of 3 pings were answered", self.kind);
        Ok(())
    }
}

const LEFT: &str = "203.0.113.10";
const RIGHT: &str = "203.0.113.11";
/// Ours is shown as the subject of the certificate, as is the default.
const OUR_NAME: &str = "gw.example.org";
const THEIR_NAME: &str = "peer.example.org";
const FILES: &str =
    "auth = \"cert\"\ncert = \"gw.pem\"\nkey = \"gw.key\"\nca = \"ca.pem\"\ncrl = \"crl.pem\"";
const SOON: Duration = Duration::from_secs(20);

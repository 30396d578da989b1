//! An Azure VPN gateway rekeys without a key exchange (no PFS); it also accepts that from us. The tunnel never goes down.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Result, ensure};
use gotthard_lab::flow::Flow;
use gotthard_lab::gotthard::{Config, Tunnel};
use gotthard_lab::run::say;
use gotthard_lab::site::{CLOUD_HOST, LAN_HOST, OUTSIDE, Site};
use gotthard_lab::strongswan::{Charon, posture};
use gotthard_lab::traffic::expect_ping;
use gotthard_lab::{Gotthard, Run, Suite, scenarios};

scenarios!(
    a_tunnel_to_azure_that_rekeys_every_5_s_without_pfs_is_never_down,
    our_rekeys_reach_a_peer_without_pfs
);

fn a_tunnel_to_azure_that_rekeys_every_5_s_without_pfs_is_never_down(run: &Run) -> Result<()> {
    let azure = Azure::start(run)?;
    let (up, down) = azure.flows()?;
    let start = Instant::now();
    let mut asked = 0;
    while start.elapsed() < WATCHED {
        let status = azure.gateway.status()?;
        ensure!(status.tunnel(0)?.is_up(), "down after {:?}: {status:?}", start.elapsed());
        asked += 1;
    }
    let tunnel = azure.gateway.status()?.tunnel(0)?.clone();
    for (flow, direction) in [(up, "to the cloud"), (down, "from the cloud")] {
        flow.finish()?.expect_whole(direction)?;
    }
    say(&format!(
        "lab: Azure, {}: up in {asked} of {asked} looks; {} rekeys of the child, {} of the IKE SA",
        run.suite.word(),
        tunnel.esp.rekeys,
        tunnel.ike.rekeys
    ));
    ensure!(tunnel.esp.rekeys >= 4 && tunnel.ike.rekeys >= 1, "too few rekeys");
    Ok(())
}

fn our_rekeys_reach_a_peer_without_pfs(run: &Run) -> Result<()> {
    let azure = Azure::start(run)?;
    let (up, down) = azure.flows()?;
    for count in 1..=3 {
        azure.gateway.rekey(1, &[])?;
        azure.gateway.await_status(SOON, "the rekey to be counted", |status| {
            status.tunnels().all(|tunnel| tunnel.is_up() && tunnel.esp.rekeys >= count)
        })?;
        azure.peer.await_established(SOON)?;
    }
    for (flow, direction) in [(up, "to the cloud"), (down, "from the cloud")] {
        flow.finish()?.expect_whole(direction)?;
    }
    Ok(())
}

/// A tunnel that is up between our gateway and the posture of Azure.
struct Azure {
    site: Site,
    peer: Charon,
    gateway: Gotthard,
}

impl Azure {
    fn start(run: &Run) -> Result<Self> {
        let site = Site::new()?;
        let endpoint = &site.endpoints[0];
        endpoint.address(&format!("{}/24", posture::AZURE_ENDPOINT), OUTSIDE)?;
        let gateway = Gotthard::start(run, &site.gateway, "gotthard", &config(run.suite))?;
        let peer = Charon::start(run, endpoint, "azure", &posture::azure(run.suite.ike())?)?;
        gateway.await_up(SOON)?;
        // It initiated: we are up when our answer leaves, the peer when it has it.
        peer.await_established(SOON)?;
        expect_ping(&site.lan, CLOUD_HOST)?;
        Ok(Self { site, peer, gateway })
    }

    /// To the cloud and back.
    fn flows(&self) -> Result<(Flow, Flow)> {
        let Site { lan, endpoints, .. } = &self.site;
        let endpoint = &endpoints[0];
        Ok((
            Flow::start(lan, (LAN_HOST, 7001).into(), &[endpoint], (CLOUD_HOST, 7001).into())?,
            Flow::start(endpoint, (CLOUD_HOST, 7002).into(), &[lan], (LAN_HOST, 7002).into())?,
        ))
    }
}

/// As the preset has it: PFS preferred, none accepted.
fn config(suite: Suite) -> Config {
    // The peer initiates: of two that start at once one loses, and the peer would have both until we delete ours.
    let mut config = Config::aws(suite).with("mode = \"responder\"");
    "azure".clone_into(&mut config.cloud);
    config.esp = vec![suite.esp().to_owned(), suite.esp_name().to_owned()];
    config.tunnels = vec![Tunnel {
        peer: posture::AZURE_ENDPOINT.to_owned(),
        inside: "169.254.10.2/30".to_owned(),
        psk: posture::AZURE_PSK.to_owned(),
        options: Vec::new(),
    }];
    config
}

const WATCHED: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(20);

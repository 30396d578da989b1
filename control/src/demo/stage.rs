//! What the demonstration has made: hosts, links, daemons, a folder. And how it is cleared away.

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::daemon::Daemon;
use super::host::Host;
use super::network::Network;
use super::settings::{self, Keys};
use crate::routes::netlink::Netlink;
use crate::routes::{Kernel, PROTOCOL};

/// Everything that the demonstration has made.
///
/// The order of the fields is the order of dropping: a daemon ends before its host.
#[derive(Debug)]
pub(super) struct Stage {
    gateway_daemon: Option<Daemon>,
    cloud_daemon: Option<Daemon>,
    /// The gateway's host.
    pub(super) gateway: Host,
    /// The cloud's host.
    pub(super) cloud: Host,
    folder: TempDir,
}

impl Stage {
    /// Two hosts that know nothing of each other.
    pub(super) fn build() -> anyhow::Result<Self> {
        Ok(Self {
            gateway_daemon: None,
            cloud_daemon: None,
            gateway: Host::start("gateway")?,
            cloud: Host::start("cloud")?,
            folder: tempfile::Builder::new().prefix(FOLDER).tempdir().context("a temporary folder")?,
        })
    }

    /// Connects the hosts.
    pub(super) async fn connect(&self) -> anyhow::Result<Network> {
        Network::build(&self.gateway, &self.cloud).await
    }

    /// Starts both daemons; they are ready when their sockets answer.
    pub(super) async fn start_daemons(&mut self) -> anyhow::Result<()> {
        let (keys, folder) = (Keys::generate()?, self.folder.path());
        let cloud = Daemon::start("cloud", &self.cloud, folder, &settings::cloud(&keys)).await?;
        let cloud = self.cloud_daemon.insert(cloud);
        cloud.until("the cloud side answers", START_TIME, |_| true).await?;
        let gateway = Daemon::start("gateway", &self.gateway, folder, &settings::gateway(&keys)).await?;
        let gateway = self.gateway_daemon.insert(gateway);
        gateway.until("the gateway answers", START_TIME, |_| true).await?;
        Ok(())
    }

    /// The gateway's daemon and the cloud's.
    pub(super) fn daemons(&mut self) -> anyhow::Result<(&mut Daemon, &mut Daemon)> {
        match (&mut self.gateway_daemon, &mut self.cloud_daemon) {
            (Some(gateway), Some(cloud)) => Ok((gateway, cloud)),
            _ => bail!("the daemons do not run"),
        }
    }

    /// Ends both daemons as an operator would, and sees that the gateway's has left no device and no route.
    pub(super) async fn end_daemons(&mut self) -> anyhow::Result<()> {
        for daemon in [self.gateway_daemon.as_mut(), self.cloud_daemon.as_mut()].into_iter().flatten() {
            daemon.end().await?;
        }
        let netlink = self.gateway.run(Netlink::open).await??;
        let (links, routes) = (netlink.links().await?, netlink.routes().await?);
        let devices = links.iter().filter(|link| link.name.starts_with("gth")).count();
        let routes = routes.iter().filter(|route| route.protocol == PROTOCOL).count();
        if devices + routes > 0 {
            bail!("the gateway's daemon has left {devices} devices and {routes} routes behind");
        }
        Ok(())
    }

    /// Kills what still runs and removes the folder. The namespaces go with us.
    pub(super) async fn clear(mut self) -> anyhow::Result<()> {
        for daemon in [self.gateway_daemon.as_mut(), self.cloud_daemon.as_mut()].into_iter().flatten() {
            daemon.kill().await?;
        }
        self.folder.close().context("removing the temporary folder")
    }
}

/// What the folder's name starts with.
const FOLDER: &str = "gotthard-demo-";
/// A daemon is ready within milliseconds; more is for a machine that is busy.
const START_TIME: core::time::Duration = core::time::Duration::from_secs(10);

//! Gives each tunnel its device, and tells the endpoint of its peer, as soon as the host permits.

use core::time::Duration;
use std::net::IpAddr;

use gotthard_ike::Time;
use gotthard_ike::config::PeerId;
use ipnet::IpNet;
use tracing::{error, warn};

use super::gateway::Gateway;
use super::peer::peer_config;
use super::record::{Device, Record};
use crate::config::model::Local;
use crate::events::kind;
use crate::ike_driver::{IkeDriver, source_for};
use crate::install::OUTER_MTU;
use crate::routes::Kernel;
use crate::tunnels::{Action, Phase};

impl Gateway {
    /// Makes devices that are missing and peers that the endpoint does not know, where their time has come.
    pub(super) async fn provide(&mut self, driver: &mut IkeDriver) {
        let now = driver.now();
        let ids: Vec<PeerId> = self.records.keys().copied().collect();
        for id in ids {
            self.provide_device(id, now).await;
            self.provide_peer(id, driver);
        }
    }

    async fn provide_device(&mut self, id: PeerId, now: Time) {
        let Some(record) = self.records.get(&id) else { return };
        if !matches!(record.device, Device::Missing { retry, .. } if retry <= now) {
            return;
        }
        let outer_mtu = self.outer_mtu(record.tunnel.peer).await;
        let Some(record) = self.records.get(&id) else { return };
        let device = match self.make_device(record, outer_mtu).await {
            Ok(()) => Device::Ready,
            Err(why) => {
                record.span().in_scope(|| {
                    error!(why, event = kind::DEVICE_FAILED, "no device {}", record.tunnel.interface);
                });
                Device::Missing { why, retry: now + DEVICE_RETRY }
            }
        };
        if let Some(record) = self.records.get_mut(&id) {
            record.device = device;
            if let Some(shown) = &mut record.shown {
                shown.forget();
            }
            record.outer_mtu = outer_mtu;
            self.unsettled = true;
        }
    }

    async fn make_device(&self, record: &Record, outer_mtu: u16) -> Result<(), String> {
        let (name, cap) = (record.tunnel.interface.as_str(), record.connection.mtu);
        let insides: Vec<IpNet> = record.tunnel.insides().collect();
        let kernel = self.table.kernel();
        self.data.add_tunnel(record.id, name, cap, outer_mtu).await.map_err(|error| error.to_string())?;
        let prepared = async {
            kernel.set_mtu(name, cap).await?;
            if record.shown.is_some() {
                // Before it is up: a daemon beside us never sees a carrier that no tunnel has.
                kernel.set_carrier(name, false).await?;
            }
            kernel.raise(name, &insides).await
        };
        if let Err(error) = prepared.await {
            drop(self.data.remove_tunnel(record.id).await);
            return Err(error.to_string());
        }
        Ok(())
    }

    /// The MTU of our own link towards the peer, where it is smaller than what every path has.
    async fn outer_mtu(&mut self, peer: IpAddr) -> u16 {
        let mtu = self.table.mtu_towards(peer).await;
        mtu.and_then(|mtu| u16::try_from(mtu).ok()).unwrap_or(OUTER_MTU).min(OUTER_MTU)
    }

    /// Tells the endpoint of the peer, once our outer address towards it is known and listens.
    pub(super) fn provide_peer(&mut self, id: PeerId, driver: &mut IkeDriver) {
        let configured = self.config.gateway.local;
        let Some(record) = self.records.get_mut(&id) else { return };
        if record.local.is_some() || record.state.phase() == Phase::AdminDown {
            return;
        }
        let found = match configured {
            Local::Address(address) => Ok(address),
            Local::Auto => source_for(record.tunnel.peer),
        };
        match found.and_then(|local| driver.listen(local).map(|()| local)) {
            Ok(local) => {
                let config = peer_config(&record.connection, &record.tunnel, local);
                driver.endpoint().add_peer(id, config);
                record.local = Some(local);
                record.no_path = None;
                if record.state.phase() == Phase::Connecting {
                    self.orders.push((id, Action::Initiate));
                }
            }
            Err(error) => {
                let why = format!("no outer address of ours towards {}: {error}", record.tunnel.peer);
                if record.no_path.as_ref() != Some(&why) {
                    record.span().in_scope(|| warn!(code = "GTH-NET-01", event = kind::NO_PATH, "{why}"));
                }
                record.no_path = Some(why);
            }
        }
    }

    /// With `local = "auto"` the kernel may have another source address for this attempt than for the last.
    pub(super) fn notice_new_address(&mut self, id: PeerId) {
        if self.config.gateway.local != Local::Auto {
            return;
        }
        if let Some(record) = self.records.get_mut(&id)
            && source_for(record.tunnel.peer).ok() != record.local
        {
            record.local = None;
        }
    }
}

/// A device that could not be made is tried again after this time.
const DEVICE_RETRY: Duration = Duration::from_secs(5);

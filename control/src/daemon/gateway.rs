//! The tunnels of a gateway with their devices, SAs and routes: what the daemon's loop changes.

use core::time::Duration;
use std::collections::BTreeMap;

use gotthard_ike::config::PeerId;
use gotthard_ike::{Event, Install, Time, Transmit};
use ipnet::IpNet;
use tracing::{debug, error, info, warn};

use super::peer::peer_config;
use super::record::{Device, Record};
use crate::config::Config;
use crate::config::model::{Connection, Gateway as GatewayConfig, Local, Routing, Tunnel as TunnelConfig};
use crate::failover;
use crate::ike_driver::{Clock, IkeDriver, Outlet, source_for};
use crate::install::{DataPlane, OUTER_MTU};
use crate::routes::netlink::Netlink;
use crate::routes::plan::{self, Refused, Remote, Wanted};
use crate::routes::{Kernel, PROTOCOL, Table, Target};
use crate::tunnels::{Action, Admin, Change, Phase};

/// The tunnels of a gateway.
pub(super) struct Gateway {
    pub(super) config: Config,
    pub(super) records: BTreeMap<PeerId, Record>,
    /// The tunnel that carries each connection's traffic.
    pub(super) active: BTreeMap<String, PeerId>,
    /// Prefixes that may not be routed, and why.
    pub(super) refused: Vec<Refused>,
    /// How many routes each device has.
    pub(super) installed: BTreeMap<String, u64>,
    data: DataPlane,
    table: Table<Netlink>,
    next_id: u32,
    /// What is to be asked of the endpoint when its outputs are drained.
    orders: Vec<(PeerId, Action)>,
    /// Routes may have to change.
    unsettled: bool,
    clock: Clock,
}

impl Gateway {
    /// A gateway without tunnels.
    pub(super) fn new(data: DataPlane, netlink: Netlink, clock: Clock) -> Self {
        Self {
            config: Config {
                gateway: GatewayConfig { local: Local::Auto, asn: None, advertise: Vec::new() },
                connections: Vec::new(),
            },
            records: BTreeMap::new(),
            active: BTreeMap::new(),
            refused: Vec::new(),
            installed: BTreeMap::new(),
            data,
            table: Table::new(netlink),
            next_id: 0,
            orders: Vec::new(),
            unsettled: true,
            clock,
        }
    }

    /// Takes a configuration. Tunnels that it describes as before keep every SA.
    pub(super) async fn configure(&mut self, driver: &mut IkeDriver, config: Config) -> Difference {
        let now = driver.now();
        let moved = self.config.gateway.local != config.gateway.local;
        let stays = |record: &Record| {
            !moved && config.tunnels().any(|(c, t)| same_name(record, c, t) && record.is(c, t))
        };
        let gone: Vec<PeerId> = self.records.values().filter(|r| !stays(r)).map(|r| r.id).collect();
        let mut difference = Difference { removed: gone.len(), ..Difference::default() };
        for id in gone {
            driver.endpoint().remove_peer(now, id);
            // The Deletes leave before the device goes; where packets still come, the unreachable routes take them.
            driver.drain(self).await;
            self.remove(id).await;
        }
        for (connection, tunnel) in config.tunnels() {
            if self.records.values().any(|record| same_name(record, connection, tunnel)) {
                difference.kept += 1;
                continue;
            }
            difference.added += 1;
            self.next_id += 1;
            let id = PeerId(self.next_id);
            self.records.insert(id, Record::new(id, connection, tunnel, now));
        }
        self.config = config;
        self.unsettled = true;
        self.provide(driver).await;
        difference
    }

    /// Makes devices that are missing and peers that the endpoint does not know, where their time has come.
    pub(super) async fn provide(&mut self, driver: &mut IkeDriver) {
        let now = driver.now();
        let ids: Vec<PeerId> = self.records.keys().copied().collect();
        for id in ids {
            self.provide_device(id, now).await;
            self.provide_peer(id, driver);
        }
    }

    /// Carries out what is due and what was ordered, until there is nothing left to do now.
    pub(super) async fn settle(&mut self, driver: &mut IkeDriver) {
        loop {
            driver.tick();
            driver.drain(self).await;
            let now = driver.now();
            for record in self.records.values_mut() {
                let due = record.state.poll(now);
                self.orders.extend(due.into_iter().map(|action| (record.id, action)));
            }
            let orders = core::mem::take(&mut self.orders);
            if orders.is_empty() {
                break;
            }
            for (id, action) in orders {
                self.carry_out(id, action, driver);
            }
        }
        self.route().await;
    }

    /// Takes the operator's word on a tunnel.
    pub(super) fn set_admin(&mut self, driver: &mut IkeDriver, id: PeerId, admin: Admin) {
        let now = driver.now();
        let Some(record) = self.records.get_mut(&id) else { return };
        let actions = record.state.set_admin(now, admin);
        if record.state.phase() == Phase::AdminDown {
            // The endpoint answers a peer that it knows: one that is taken down must be forgotten.
            driver.endpoint().remove_peer(now, id);
            record.local = None;
        } else {
            self.orders.extend(actions.into_iter().map(|action| (id, action)));
        }
        self.provide_peer(id, driver);
        self.unsettled = true;
    }

    /// An outbound SA comes to its end, and the packet path has said so: the tunnel is built anew.
    pub(super) fn renew(&mut self, id: PeerId, now: Time) {
        let Some(record) = self.records.get_mut(&id) else { return };
        record
            .span()
            .in_scope(|| warn!("the outbound SA nears its last sequence number: building the tunnel anew"));
        let actions = record.state.renew(now);
        self.orders.extend(actions.into_iter().map(|action| (id, action)));
        self.unsettled = true;
    }

    /// A device failed: it is made again, and its tunnel built anew.
    pub(super) async fn device_failed(&mut self, id: PeerId, why: String, now: Time) {
        let Some(record) = self.records.get_mut(&id) else { return };
        record.span().in_scope(|| error!(why, "the tunnel's device failed"));
        record.lose_device(why, now);
        // It refuses what it has forgotten already.
        drop(self.data.remove_tunnel(id).await);
        self.renew(id, now);
    }

    /// Reads the counters; returns the tunnels on which authentic packets arrived since the last time.
    pub(super) async fn count(&mut self) -> Vec<PeerId> {
        let mut arrived = Vec::new();
        for (id, traffic) in self.data.traffic().await {
            if self
                .records
                .get_mut(&id)
                .is_some_and(|record| record.device == Device::Ready && record.count(traffic))
            {
                arrived.push(id);
            }
        }
        arrived
    }

    /// Asks the endpoint to end every SA.
    pub(super) fn terminate_all(&self, driver: &mut IkeDriver) {
        let now = driver.now();
        for id in self.records.keys() {
            driver.endpoint().terminate(now, *id);
        }
    }

    /// Removes every route and device.
    pub(super) async fn clear(&mut self) {
        if let Err(error) = self.table.reconcile(&Wanted::default()).await {
            error!(%error, "routes are left behind");
        }
        let ids: Vec<PeerId> = self.records.keys().copied().collect();
        for id in ids {
            self.remove(id).await;
        }
    }

    /// When something is due beside the endpoint's own timers.
    pub(super) fn next(&self) -> Option<Time> {
        self.records.values().filter_map(|record| record.state.next()).min()
    }

    async fn remove(&mut self, id: PeerId) {
        let Some(record) = self.records.remove(&id) else { return };
        self.active.retain(|_, active| *active != id);
        if let Err(error) = self.data.remove_tunnel(id).await
            && record.device == Device::Ready
        {
            record.span().in_scope(|| error!(%error, "the device is left behind"));
        }
    }

    async fn provide_device(&mut self, id: PeerId, now: Time) {
        let Some(record) = self.records.get(&id) else { return };
        if !matches!(record.device, Device::Missing { retry, .. } if retry <= now) {
            return;
        }
        let outer_mtu = self.outer_mtu(record).await;
        let device = match self.make_device(record, outer_mtu).await {
            Ok(()) => Device::Ready,
            Err(why) => {
                record.span().in_scope(|| error!(why, "no device {}", record.tunnel.interface));
                Device::Missing { why, retry: now + DEVICE_RETRY }
            }
        };
        if let Some(record) = self.records.get_mut(&id) {
            record.device = device;
            record.outer_mtu = outer_mtu;
            self.unsettled = true;
        }
    }

    async fn make_device(&self, record: &Record, outer_mtu: u16) -> Result<(), String> {
        let (name, cap) = (record.tunnel.interface.as_str(), record.connection.mtu);
        let kernel = self.table.kernel();
        self.data.add_tunnel(record.id, name, cap, outer_mtu).await.map_err(|error| error.to_string())?;
        let prepared = async {
            kernel.set_mtu(name, cap).await?;
            kernel.raise(name, record.tunnel.inside).await
        };
        if let Err(error) = prepared.await {
            drop(self.data.remove_tunnel(record.id).await);
            return Err(error.to_string());
        }
        Ok(())
    }

    /// The MTU of our own link towards the peer, where it is smaller than what every path has.
    async fn outer_mtu(&self, record: &Record) -> u16 {
        let kernel = self.table.kernel();
        let (Ok(links), Ok(routes)) = (kernel.links().await, kernel.routes().await) else { return OUTER_MTU };
        let outer = routes.iter().filter(|r| r.protocol != PROTOCOL).map(|r| &r.route);
        let link = match plan::path_to(record.tunnel.peer, outer).map(|route| &route.target) {
            Some(Target::Link { index, .. }) => links.iter().find(|link| link.index == *index),
            _ => None,
        };
        link.and_then(|link| u16::try_from(link.mtu).ok()).unwrap_or(OUTER_MTU).min(OUTER_MTU)
    }

    /// Tells the endpoint of the peer, once our outer address towards it is known and listens.
    fn provide_peer(&mut self, id: PeerId, driver: &mut IkeDriver) {
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
                    record.span().in_scope(|| warn!("{why}"));
                }
                record.no_path = Some(why);
            }
        }
    }

    fn carry_out(&mut self, id: PeerId, action: Action, driver: &mut IkeDriver) {
        let now = driver.now();
        match action {
            Action::Terminate => driver.endpoint().terminate(now, id),
            Action::Initiate => {
                self.notice_new_address(id);
                self.provide_peer(id, driver);
                driver.endpoint().initiate(now, id);
            }
        }
    }

    /// With `local = "auto"` the kernel may have another source address for this attempt than for the last.
    fn notice_new_address(&mut self, id: PeerId) {
        if self.config.gateway.local != Local::Auto {
            return;
        }
        if let Some(record) = self.records.get_mut(&id)
            && source_for(record.tunnel.peer).ok() != record.local
        {
            record.local = None;
        }
    }

    /// Decides which tunnels carry the traffic and brings the kernel's routes in line.
    async fn route(&mut self) {
        if !core::mem::take(&mut self.unsettled) {
            return;
        }
        self.decide();
        let wanted = self.wanted();
        match self.table.reconcile(&wanted).await {
            Ok(outcome) => {
                for refused in outcome.refused.iter().filter(|refused| !self.refused.contains(refused)) {
                    warn!(prefix = %refused.prefix, why = refused.why, "not routed");
                }
                self.refused = outcome.refused;
                self.installed = wanted.devices.into_iter().map(|device| (device, 0)).collect();
                for remote in wanted.remotes {
                    let routed = !self.refused.iter().any(|refused| refused.prefix == remote.prefix);
                    if let Some(count) = remote.device.and_then(|device| self.installed.get_mut(&device)) {
                        *count += u64::from(routed);
                    }
                }
            }
            Err(error) => {
                error!(%error, "the routes are not as they should be");
                // The next housekeeping tries again.
                self.unsettled = true;
            }
        }
    }

    fn decide(&mut self) {
        for connection in &self.config.connections {
            let ids: Vec<PeerId> = connection
                .tunnels
                .iter()
                .filter_map(|tunnel| {
                    self.records.values().find(|r| same_name(r, connection, tunnel)).map(|r| r.id)
                })
                .collect();
            let health: Vec<_> =
                ids.iter().filter_map(|id| self.records.get(id)).map(Record::health).collect();
            let before = self.active.get(&connection.name).copied();
            let index = before.and_then(|id| ids.iter().position(|other| *other == id));
            let after = failover::decide(&health, index).and_then(|index| ids.get(index).copied());
            if before == after {
                continue;
            }
            let name = |id: Option<PeerId>| {
                id.and_then(|id| self.records.get(&id)).map_or("none", |record| record.tunnel.name.as_str())
            };
            info!(connection = %connection.name, from = name(before), to = name(after), "traffic moves");
            match after {
                Some(id) => self.active.insert(connection.name.clone(), id),
                None => self.active.remove(&connection.name),
            };
        }
        let known = &self.config.connections;
        self.active.retain(|name, _| known.iter().any(|connection| connection.name == *name));
    }

    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        for record in self.records.values() {
            wanted.devices.push(record.tunnel.interface.clone());
            wanted.peers.push(record.tunnel.peer);
            if let Some(neighbour) = record.tunnel.peer_inside
                && !record.tunnel.inside.is_some_and(|net| net.contains(&neighbour))
            {
                wanted.neighbours.push((neighbour, record.tunnel.interface.clone()));
            }
        }
        for connection in self.config.connections.iter().filter(|c| c.routing == Routing::Static) {
            let active = self.active.get(&connection.name).and_then(|id| self.records.get(id));
            let device = active.map(|record| record.tunnel.interface.clone());
            let remote = |prefix: &IpNet| Remote { prefix: prefix.trunc(), device: device.clone() };
            wanted.remotes.extend(connection.remote.iter().map(remote));
        }
        wanted
    }

    async fn tunnel_up(&mut self, id: PeerId) {
        let Some(record) = self.records.get_mut(&id) else { return };
        record.mtu = record.negotiated_mtu();
        let Some(mtu) = record.mtu else { return };
        let interface = record.tunnel.interface.clone();
        if let Err(error) = self.table.kernel().set_mtu(&interface, mtu).await {
            warn!(%error, "packets that do not fit are answered with ICMP instead");
        }
    }
}

impl Outlet for Gateway {
    async fn install(&mut self, install: Install) {
        let id = match &install {
            Install::Inbound(sa) | Install::Outbound(sa) => sa.peer,
            Install::RemoveInbound { peer, .. }
            | Install::RemoveOutbound { peer, .. }
            | Install::Path { peer, .. } => *peer,
        };
        let adds = matches!(install, Install::Inbound(_) | Install::Outbound(_));
        let Some(record) = self.records.get_mut(&id) else { return };
        let result = self.data.install(install, record.connection.replay_window).await;
        let Some(record) = self.records.get_mut(&id) else { return };
        match result {
            Ok(()) if adds => record.no_sa = None,
            Ok(()) => {}
            Err(refused) if adds => {
                record.span().in_scope(|| error!(%refused, "the packet path refuses the SA"));
                record.no_sa = Some(refused.to_string());
            }
            // What is to be removed may have gone with its device.
            Err(refused) => {
                record.span().in_scope(|| debug!(%refused, "nothing to change in the packet path"))
            }
        }
    }

    async fn transmit(&mut self, transmit: Transmit) {
        // What is not sent is lost on the way as far as the exchange is concerned, and sent again.
        if let Err(refused) = self.data.send_ike(transmit).await {
            debug!(%refused, "an IKE message was not sent");
        }
    }

    async fn event(&mut self, event: Event) {
        let id = peer_of(&event);
        let now = self.clock.now();
        let Some(record) = self.records.get_mut(&id) else { return };
        let change = record.state.on_event(now, &event);
        if let Event::ChildUp { .. } = event {
            self.tunnel_up(id).await;
        }
        let Some(record) = self.records.get(&id) else { return };
        if let Some(change) = change {
            record.log(&change);
            self.unsettled |= !matches!(change, Change::Failed(_));
        }
    }
}

/// What a new configuration changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Tunnels that are new, or new again.
    pub(super) added: usize,
    /// Tunnels that are gone, or changed.
    pub(super) removed: usize,
    /// Tunnels that were not touched.
    pub(super) kept: usize,
}

fn same_name(record: &Record, connection: &Connection, tunnel: &TunnelConfig) -> bool {
    record.connection.name == connection.name && record.tunnel.name == tunnel.name
}

const fn peer_of(event: &Event) -> PeerId {
    match event {
        Event::IkeUp { peer, .. }
        | Event::IkeRekeyed { peer, .. }
        | Event::IkeDown { peer, .. }
        | Event::ChildUp { peer, .. }
        | Event::ChildDown { peer, .. }
        | Event::Failed { peer, .. } => *peer,
    }
}

/// A device that could not be made is tried again after this time.
const DEVICE_RETRY: Duration = Duration::from_secs(5);

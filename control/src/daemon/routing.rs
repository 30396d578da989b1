//! Which tunnel of each connection carries its traffic, and the routes that say so to the kernel.

use std::collections::HashMap;

use gotthard_ike::config::PeerId;
use ipnet::IpNet;
use tracing::{error, info, warn};

use super::gateway::Gateway;
use super::record::{Device, Record, names};
use crate::config::model::{Routing, Tunnel};
use crate::failover;
use crate::routes::plan::{Remote, Wanted};
use crate::routes::{Event, Outcome, RouteError};

impl Gateway {
    /// Decides which tunnels carry the traffic and brings the kernel's routes in line.
    pub(super) async fn route(&mut self) {
        if !core::mem::take(&mut self.unsettled) {
            return;
        }
        self.decide();
        let wanted = self.wanted();
        match self.table.reconcile(&wanted).await {
            Ok(outcome) => self.take_outcome(outcome, wanted),
            Err(error) => self.take_route_error(&error),
        }
    }

    fn take_outcome(&mut self, outcome: Outcome, wanted: Wanted) {
        for refused in outcome.refused.iter().filter(|refused| !self.refused.contains(refused)) {
            warn!(prefix = %refused.prefix, why = refused.why, "not routed");
        }
        self.route_error = None;
        self.refused = outcome.refused;
        self.installed = wanted.devices.into_iter().map(|device| (device, 0)).collect();
        for remote in wanted.remotes {
            let routed = !self.refused.iter().any(|refused| refused.prefix == remote.prefix);
            for device in remote.devices {
                if let Some(count) = self.installed.get_mut(&device) {
                    *count += u64::from(routed);
                }
            }
        }
    }

    /// Takes what others have changed in the kernel's network: routes of ours that are gone, an uplink that is another.
    pub(super) fn observe(&mut self, events: Vec<Event>) {
        for event in events {
            self.unsettled |= self.table.observe(event);
        }
    }

    /// Once in a while: tries again what failed, and with `read` looks for what the kernel has not told.
    pub(super) fn check_routes(&mut self, read: bool) {
        if read {
            self.table.distrust();
        }
        self.unsettled |= read || self.route_error.is_some();
    }

    /// Said once: it is tried again until it succeeds.
    fn take_route_error(&mut self, error: &RouteError) {
        let error = error.to_string();
        if self.route_error.as_ref() != Some(&error) {
            error!(error, "the routes are not as they should be");
        }
        self.route_error = Some(error);
    }

    fn decide(&mut self) {
        let named: HashMap<(&str, &str), PeerId> = self.records.values().map(|r| (r.names(), r.id)).collect();
        for connection in &self.config.connections {
            let id = |tunnel: &Tunnel| named.get(&names(connection, tunnel)).copied();
            let ids: Vec<PeerId> = connection.tunnels.iter().filter_map(id).collect();
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
            self.tell_failover(connection, before.as_slice(), after.as_slice());
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
            wanted.peers.push(record.tunnel.peer);
            wanted.insides.extend(record.tunnel.inside.map(|net| net.trunc()));
            if record.device != Device::Ready {
                // The name may be that of somebody else's link.
                continue;
            }
            wanted.devices.push(record.tunnel.interface.clone());
            if let Some(neighbour) = record.tunnel.peer_inside
                && !record.tunnel.inside.is_some_and(|net| net.contains(&neighbour))
            {
                wanted.neighbours.push((neighbour, record.tunnel.interface.clone()));
            }
        }
        for connection in self.config.connections.iter().filter(|c| c.routing == Routing::Static) {
            let active = self.active.get(&connection.name).and_then(|id| self.records.get(id));
            let devices: Vec<String> =
                active.map(|record| record.tunnel.interface.clone()).into_iter().collect();
            let remote = |prefix: &IpNet| Remote { prefix: prefix.trunc(), devices: devices.clone() };
            wanted.remotes.extend(connection.remote.iter().map(remote));
        }
        wanted
    }
}

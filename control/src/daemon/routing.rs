//! The routes that tell the kernel who carries the traffic.

use ipnet::IpNet;
use tracing::{error, warn};

use super::gateway::Gateway;
use super::record::Device;
use crate::config::model::{RoutePlace, Routing};
use crate::events::kind;
use crate::routes::plan::{Remote, Wanted};
use crate::routes::{Event, Outcome, RouteError};

impl Gateway {
    /// Where something has changed: decides which tunnels carry the traffic, and brings the kernel's routes in line. True if
    /// it was so.
    pub(super) async fn route(&mut self) -> bool {
        if !core::mem::take(&mut self.unsettled) {
            return false;
        }
        self.decide();
        self.decide_prefixes();
        self.show_carriers().await;
        let wanted = self.wanted();
        self.spread_by_flow(&wanted);
        self.table.hold_inherited(self.waits_for_peers());
        match self.table.reconcile(&wanted).await {
            Ok(outcome) => {
                self.take_outcome(outcome, wanted);
                self.follow_routes();
                self.tell_moves(true);
                // What the kernel lost count of telling was read meanwhile.
                self.look_at_uplinks();
                self.networks.changed();
                self.networks.kernel_changed();
            }
            Err(error) => {
                self.take_route_error(&error);
                self.tell_moves(false);
            }
        }
        true
    }

    /// Before packets are shared for the first time, they are to be told apart by flow.
    fn spread_by_flow(&mut self, wanted: &Wanted) {
        let shared = wanted.remotes.iter().any(|remote| remote.devices.len() > 1);
        if shared && self.config.gateway.routes.hash_by_flow {
            self.flow_hash.take();
        }
    }

    fn take_outcome(&mut self, outcome: Outcome, wanted: Wanted) {
        for refused in outcome.refused.iter().filter(|refused| !self.refused.contains(refused)) {
            warn!(prefix = %refused.prefix, why = refused.why, event = kind::NOT_ROUTED, "not routed");
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
            self.networks.kernel_changed();
            self.unsettled |= self.table.observe(event);
        }
        self.look_at_uplinks();
    }

    /// Once in a while: tries again what failed, and with `read` looks for what the kernel has not told.
    pub(super) fn check_routes(&mut self, read: bool) {
        if read {
            self.table.distrust();
        }
        self.look_around();
        self.release_lost();
        let waited = self.table.holds_inherited() && !self.waits_for_peers();
        self.unsettled |= read || waited || self.route_error.is_some();
    }

    /// Said once: it is tried again until it succeeds.
    fn take_route_error(&mut self, error: &RouteError) {
        let error = error.to_string();
        if self.route_error.as_ref() != Some(&error) {
            error!(error, event = kind::ROUTES_FAILED, "the routes are not as they should be");
        }
        self.route_error = Some(error);
    }

    fn wanted(&self) -> Wanted {
        let RoutePlace { table, rule_priority, .. } = self.config.gateway.routes;
        let mut wanted = Wanted { table, rule_priority, ..Wanted::default() };
        for record in self.records.values() {
            wanted.peers.push(record.tunnel.peer);
            wanted.insides.extend(record.tunnel.insides().map(|net| net.trunc()));
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
            let carriers = self.switch.carriers(&connection.name).iter();
            let carriers = carriers.filter_map(|id| self.records.get(id));
            let devices: Vec<String> = carriers.map(|record| record.tunnel.interface.clone()).collect();
            let remote = |prefix: &IpNet| Remote { prefix: prefix.trunc(), devices: devices.clone() };
            wanted.remotes.extend(connection.remote.iter().map(remote));
        }
        let interface = |id| self.records.get(id).map(|record| record.tunnel.interface.clone());
        wanted.remotes.extend(self.bgp.learned.iter().map(|(prefix, used)| {
            let devices = used.iter().filter_map(interface).collect();
            Remote { prefix: *prefix, devices }
        }));
        wanted
    }
}

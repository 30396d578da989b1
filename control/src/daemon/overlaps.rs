//! Prefixes that two networks claim, looked for among all that this host knows: what is behind each cloud, what we advertise,
//! and what our other links are connected to.

use ipnet::IpNet;
use tracing::warn;

use super::gateway::Gateway;
use crate::bgp::overlap::{Claim, Overlap, Owner, overlaps};
use crate::config::model::Routing;

impl Gateway {
    /// Tells of each overlap once, as long as it lasts.
    pub(super) fn look_for_overlaps(&mut self) {
        let found = overlaps(self.claims());
        for overlap in found.iter().filter(|overlap| !self.overlaps.contains(overlap)) {
            warn!(code = overlap.code(), reason = %overlap, remedy = Overlap::remedy(), "prefixes overlap");
        }
        self.overlaps = found;
    }

    fn claims(&self) -> Vec<Claim> {
        let devices: Vec<&str> =
            self.records.values().map(|record| record.tunnel.interface.as_str()).collect();
        let connected = self.table.mirror().around().connected();
        let connected = connected.filter(|(_, device)| !devices.contains(device)).map(|(prefix, _)| prefix);
        let ours = self.config.gateway.advertise.iter().map(IpNet::trunc).chain(connected);
        let ours = ours.map(|prefix| Claim { prefix, owner: Owner::Ourselves });
        let connections = self.config.connections.iter().filter(|c| c.routing == Routing::Static);
        let theirs = connections.flat_map(|connection| {
            // `remote` states no preference.
            let owner = Owner::Connection { name: connection.name.clone(), local_pref: 0 };
            let claim = move |prefix: &IpNet| Claim { prefix: prefix.trunc(), owner: owner.clone() };
            connection.remote.iter().map(claim)
        });
        ours.chain(theirs).collect()
    }
}

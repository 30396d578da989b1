//! The networks that this host knows: its own, and those behind the clouds. Ours are kept from peers that announce them, and
//! prefixes that two networks claim are told by name.

use gotthard_ike::config::PeerId;
use ipnet::IpNet;
use tracing::warn;

use super::gateway::Gateway;
use crate::bgp::overlap::{Claim, Overlap, Owner, overlaps};
use crate::events::kind;

/// What is known of them beside the configuration.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// What links other than our tunnels are connected to.
    connected: Vec<IpNet>,
    /// Prefixes that two networks claim.
    pub(super) overlaps: Vec<Overlap>,
    /// There may be others since they were looked for.
    changed: bool,
    /// The kernel's network may not be what it was when it was last looked at.
    stale: bool,
}

impl Networks {
    /// Overlaps are looked for at the next [`Gateway::look_around`].
    pub(super) const fn changed(&mut self) {
        self.changed = true;
    }

    /// The kernel's network is looked at again by the next [`Gateway::look_around`].
    pub(super) const fn kernel_changed(&mut self) {
        self.stale = true;
    }
}

impl Gateway {
    /// Once in a while: what our links are connected to by now, and what overlaps.
    pub(super) fn look_around(&mut self) {
        if core::mem::take(&mut self.networks.stale) {
            let connected = self.connected();
            if connected != self.networks.connected {
                self.networks.connected = connected;
                self.networks.changed();
                self.protect_own_networks();
            }
        }
        if core::mem::take(&mut self.networks.changed) {
            self.look_for_overlaps();
        }
    }

    /// Tells the speaker what of our own no peer may announce, and what we offer.
    pub(super) fn protect_own_networks(&mut self) {
        let mut site = self.config.site();
        site.networks.extend(&self.networks.connected);
        self.bgp.speaker.set_site(self.clock.now(), site, self.config.gateway.advertise.clone());
    }

    /// Each overlap is told once, as long as it lasts.
    fn look_for_overlaps(&mut self) {
        let found = overlaps(self.claims());
        for overlap in found.iter().filter(|overlap| !self.networks.overlaps.contains(overlap)) {
            let (code, remedy) = (overlap.code(), Overlap::remedy());
            warn!(code, reason = %overlap, remedy, event = kind::OVERLAP, "prefixes overlap");
        }
        self.networks.overlaps = found;
    }

    fn connected(&self) -> Vec<IpNet> {
        let devices: Vec<&str> =
            self.records.values().map(|record| record.tunnel.interface.as_str()).collect();
        let connected = self.table.mirror().around().connected();
        connected.filter(|(_, device)| !devices.contains(device)).map(|(prefix, _)| prefix).collect()
    }

    fn claims(&self) -> Vec<Claim> {
        let connected = self.networks.connected.iter();
        let connected = connected.map(|prefix| Claim { prefix: *prefix, owner: Owner::Ourselves });
        let learned = self.bgp.speaker.routes().filter_map(|(prefix, tunnel, local_pref, _)| {
            let name = self.connection_of(tunnel)?.to_owned();
            Some(Claim { prefix, owner: Owner::Connection { name, local_pref } })
        });
        self.config.claims().into_iter().chain(connected).chain(learned).collect()
    }

    fn connection_of(&self, tunnel: PeerId) -> Option<&str> {
        self.records.get(&tunnel).map(|record| record.connection.name.as_str())
    }
}

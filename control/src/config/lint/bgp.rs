//! Warnings about BGP: what a cloud would refuse, and what would keep AWS from moving the traffic.

use std::net::IpAddr;

use super::Warnings;
use crate::bgp::policy::Action;
use crate::config::bgp::Policy;
use crate::config::model::{Connection, Tunnel};
use crate::config::presets::Cloud;

impl Warnings<'_> {
    /// What concerns the sessions of one connection.
    pub(super) fn bgp(&mut self, connection: &Connection) {
        let Some(policy) = &connection.policy else { return };
        self.offers(connection, policy);
        for (index, tunnel) in connection.tunnels.iter().enumerate().filter(|_| connection.bgp.is_some()) {
            self.families(connection, policy, index, tunnel);
        }
        match connection.cloud {
            Cloud::Aws => self.aws_preferences(connection, policy),
            Cloud::Azure => self.azure(connection),
            Cloud::Gcp | Cloud::Generic => {}
        }
    }

    /// A session that is told too much is ended by the cloud, so that the rest is held back.
    fn offers(&mut self, connection: &Connection, policy: &Policy) {
        let (offered, limit) = (self.loaded.config.gateway.advertise.len(), policy.export.limit);
        if offered > limit {
            self.warn(
                "gateway.advertise".to_owned(),
                format!("connection {} takes {limit} of these {offered} prefixes", connection.name),
                "write fewer and wider ones, or set max_advertised where the cloud takes more (a transit gateway: 1000)",
            );
        }
    }

    /// What the tunnel has no address of is not offered through it.
    fn families(&mut self, connection: &Connection, policy: &Policy, index: usize, tunnel: &Tunnel) {
        let has = |v6: bool| tunnel.insides().any(|inside| inside.addr().is_ipv6() == v6);
        let offers = policy.export.offers(&self.loaded.config.gateway.advertise);
        let mut offered = offers.into_iter().filter(|(_, verdict)| verdict.is_ok()).map(|(prefix, _)| prefix);
        let Some(prefix) = offered.find(|prefix| !has(prefix.addr().is_ipv6())) else { return };
        let key = |key: &str| format!("connection.{}.tunnel[{}].{key}", connection.name, index + 1);
        if prefix.addr().is_ipv6() {
            self.warn(
                key("inside"),
                format!("is IPv4 alone: {prefix} of gateway.advertise is not offered, it would have no next hop"),
                "write inside6 = \"fd00:10::2/126\" with the IPv6 address that the cloud knows as ours, or leave IPv6 out of `export`",
            );
        } else {
            self.warn(
                key("inside"),
                format!("is IPv6: {prefix} of gateway.advertise is not offered, it would have no next hop"),
                "write the tunnel's IPv4 address as inside and this one as inside6, or leave IPv4 out of `export`",
            );
        }
    }

    /// Before the maintenance of an endpoint AWS lowers the MED of the other one; MED decides among equals alone.
    fn aws_preferences(&mut self, connection: &Connection, policy: &Policy) {
        let key = |key: &str| format!("connection.{}.{key}", connection.name);
        if policy.import.communities.iter().any(|rule| matches!(rule.action, Action::LocalPref(_))) {
            self.warn(
                key("communities"),
                "a preference by community: where the tunnels differ in it, AWS's maintenance cannot move the traffic",
                "write local_pref at the connection, which holds for both tunnels",
            );
        }
        let loaded = self.loaded;
        let others = loaded.config.connections.iter().take_while(|other| other.name != connection.name);
        for other in others.filter(|other| other.cloud == Cloud::Aws && other.tunnels.len() == 1) {
            let Some(theirs) = &other.policy else { continue };
            if connection.tunnels.len() == 1 && theirs.import.local_pref != policy.import.local_pref {
                self.warn(
                    key("local_pref"),
                    format!("differs from that of connection {}: AWS moves traffic by MED, among equals", other.name),
                    "write the two tunnels of one VPN connection below one connection, or the same local_pref",
                );
            }
        }
    }

    fn azure(&mut self, connection: &Connection) {
        if let Some(asn) = self.loaded.config.gateway.asn.filter(|asn| is_azures(*asn)) {
            self.warn(
                "gateway.asn".to_owned(),
                format!("{asn} is reserved by Azure: its gateway accepts no such neighbour"),
                "write another private AS number, 64512 to 65514 for example",
            );
        }
        let link_local =
            |inside: Option<IpAddr>| matches!(inside, Some(IpAddr::V4(address)) if address.is_link_local());
        let passive = connection.bgp.as_ref().is_some_and(|bgp| bgp.passive);
        if passive && connection.tunnels.iter().any(|tunnel| link_local(tunnel.peer_inside)) {
            self.warn(
                format!("connection.{}.passive", connection.name),
                "with APIPA addresses Azure never opens the session",
                "remove passive",
            );
        }
    }
}

/// AS numbers that Azure keeps for itself.
const fn is_azures(asn: u32) -> bool {
    matches!(asn, 8074 | 8075 | 12076 | 65515 | 65517..=65520)
}

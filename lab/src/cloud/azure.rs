//! Azure's VPN gateway with BGP: one instance, strongSwan and FRR.
//!
//! The address of its BGP peer is in the GatewaySubnet, not on the link: the customer needs a host route into the
//! tunnel and a session of several hops. Its timers are 60 s and 180 s whatever the customer wishes, it ends a session
//! above 4,000 prefixes, and it waits to be connected to, as Azure does where the customer has an APIPA address.

use core::time::Duration;

use anyhow::Result;

use super::DEVICE;
use super::aws::CUSTOMER_AS;
use crate::gotthard::{Config, Tunnel};
use crate::site::{OUTSIDE, Site};
use crate::strongswan::{Charon, posture};
use crate::{Frr, Run, Suite};

/// The instance's daemons.
#[derive(Debug)]
pub struct Azure {
    /// strongSwan: it initiates, and rekeys without a key exchange.
    pub charon: Charon,
    /// FRR; its neighbour is [`CUSTOMER`].
    pub frr: Frr,
}

impl Azure {
    /// Starts it at the site's first endpoint.
    pub fn start(run: &Run, site: &Site) -> Result<Self> {
        let host = &site.endpoints[0];
        host.address(&format!("{}/24", posture::AZURE_ENDPOINT), OUTSIDE)?;
        host.address(&format!("{PEER}/32"), "lo")?;
        let conf = posture::azure(run.suite.ike())?;
        let charon = super::endpoint(run, host, 0, "azure", &conf)?;
        host.route(&format!("{CUSTOMER}/32 dev {DEVICE} src {PEER}"))?;
        Ok(Self {
            charon,
            frr: Frr::start(run, host, "azure-bgp", &frr_conf(PEER, CUSTOMER, (AS, CUSTOMER_AS), PREFIX))?,
        })
    }

    /// Waits until its session is established.
    pub fn await_established(&self, deadline: Duration) -> Result<()> {
        self.frr.await_established(CUSTOMER, deadline)
    }
}

/// The customer's gateway.
pub fn config(suite: Suite) -> Config {
    let mut config = Config::aws_bgp(suite);
    "azure".clone_into(&mut config.cloud);
    config.esp = vec![suite.esp().to_owned(), suite.esp_name().to_owned()];
    config.tunnels = vec![Tunnel {
        peer: posture::AZURE_ENDPOINT.to_owned(),
        inside: format!("{CUSTOMER}/32"),
        psk: posture::AZURE_PSK.to_owned(),
        options: vec![format!("peer_inside = \"{PEER}\""), format!("peer_asn = {AS}")],
    }];
    config
}

/// bgpd's configuration of an instance: its address and the customer's, its AS number and the customer's, its network.
pub(super) fn frr_conf(peer: &str, customer: &str, (asn, customer_asn): (u32, u32), network: &str) -> String {
    format!(
        "router bgp {asn}\n bgp router-id {peer}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         neighbor {customer} remote-as {customer_asn}\n neighbor {customer} update-source {peer}\n \
         neighbor {customer} ebgp-multihop 8\n neighbor {customer} passive\n neighbor {customer} timers 60 180\n \
         address-family ipv4 unicast\n  network {network}\n  neighbor {customer} maximum-prefix 4000\n exit-address-family\n"
    )
}

/// The BGP peer of the instance, in the GatewaySubnet.
pub const PEER: &str = "10.60.255.30";
/// The customer's APIPA address.
pub const CUSTOMER: &str = "169.254.21.2";
/// Azure's AS.
pub const AS: u32 = 65515;
/// The virtual network. The endpoint owns 10.200.0.1 of it, as everywhere in the site.
pub const PREFIX: &str = "10.200.0.0/16";

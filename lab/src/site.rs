//! The site of the scenarios: a LAN, our gateway, the outside, and the two endpoints of a cloud.
//!
//! ```text
//! lan --- gateway --- (nat) --- wan === bridge === endpoint 1   198.51.100.11   inside 169.254.10.1
//! 10.10.0.2  203.0.113.10       (router)       === endpoint 2   198.51.100.12   inside 169.254.11.1
//!                                              === stranger     198.51.100.66
//! ```
//! Both endpoints own 10.200.0.1, the cloud's LAN. The gateway has a default route to the outside, for IPv6 too: what
//! is not caught by a tunnel would leave in clear, and the capture on the outside link would show it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;

use crate::capture::Capture;
use crate::strongswan::{Charon, posture};
use crate::traffic::{Direction, Stream};
use crate::{Netns, Run, nat};

/// The hosts.
#[derive(Debug)]
pub struct Site {
    /// A host behind the gateway.
    pub lan: Netns,
    /// Our gateway; its outer device is [`OUTSIDE`].
    pub gateway: Netns,
    /// The translator between gateway and outside, if there is one.
    pub nat: Option<Netns>,
    /// The router outside.
    pub wan: Netns,
    /// The cloud's endpoints.
    pub endpoints: [Netns; 2],
    /// Somebody else outside.
    pub stranger: Netns,
}

impl Site {
    /// The gateway has its address itself.
    pub fn new() -> Result<Self> {
        let site = Self::hosts()?;
        site.gateway.link(OUTSIDE, &site.wan, "customer")?;
        site.gateway.address("203.0.113.10/24", OUTSIDE)?;
        site.gateway.address("2001:db8:113::10/64", OUTSIDE)?;
        site.address_wan()?;
        site.gateway.route("default via 203.0.113.1")?;
        site.gateway.route("default via 2001:db8:113::1")?;
        Ok(site)
    }

    /// The gateway is behind a translator that owns its address.
    pub fn behind_nat() -> Result<Self> {
        let nat = Netns::new("nat")?;
        let site = Self::hosts()?;
        site.gateway.link(OUTSIDE, &nat, "inside")?;
        site.gateway.address("192.168.77.2/24", OUTSIDE)?;
        site.gateway.route("default via 192.168.77.1")?;
        nat.address("192.168.77.1/24", "inside")?;
        nat.link("outside", &site.wan, "customer")?;
        nat.address("203.0.113.10/24", "outside")?;
        site.address_wan()?;
        nat.route("default via 203.0.113.1")?;
        nat::masquerade(&nat, "outside")?;
        Ok(Self { nat: Some(nat), ..site })
    }

    /// Starts strongSwan on both endpoints, in the posture of AWS.
    pub fn aws(&self, run: &Run) -> Result<[Charon; 2]> {
        let conf = posture::aws()?;
        Ok([
            Charon::start(run, &self.endpoints[0], "endpoint1", &conf)?,
            Charon::start(run, &self.endpoints[1], "endpoint2", &conf)?,
        ])
    }

    /// Captures the gateway's outside link. The gateway's batches are taken apart before it, so that the capture shows
    /// packets as a wire would carry them; a veth pair hands them over whole.
    pub fn capture(&self, run: &Run) -> Result<Capture> {
        self.gateway.output("ethtool", &["-K", OUTSIDE, "tx-udp-segmentation", "off"])?;
        Capture::start(run, &self.gateway, OUTSIDE, "outside")
    }

    /// One second of a stream between the LAN's host and the cloud's behind this endpoint: the one that the routes lead to.
    pub fn lan_stream(&self, endpoint: usize, direction: Direction) -> Stream<'_> {
        Stream {
            client: &self.lan,
            from: LAN_HOST,
            server: &self.endpoints[endpoint],
            to: CLOUD_HOST,
            direction,
            seconds: 1,
            cap_mbit: Some(50),
        }
    }

    /// The hosts, the LAN and the bridge of endpoints; the path between gateway and router is left to the caller.
    fn hosts() -> Result<Self> {
        let site = Self {
            lan: Netns::new("lan")?,
            gateway: Netns::new("gateway")?,
            nat: None,
            wan: Netns::new("wan")?,
            endpoints: [Netns::new("endpoint1")?, Netns::new("endpoint2")?],
            stranger: Netns::new("stranger")?,
        };
        site.gateway.forward()?;
        site.wan.forward()?;
        site.connect_lan()?;
        site.wan.ip("link add bridge type bridge")?;
        site.wan.ip("link set bridge up")?;
        site.wan.address("198.51.100.1/24", "bridge")?;
        for (host, device, last) in [
            (&site.endpoints[0], "endpoint1", 11),
            (&site.endpoints[1], "endpoint2", 12),
            (&site.stranger, "stranger", 66),
        ] {
            site.wan.link(device, host, OUTSIDE)?;
            site.wan.ip(&format!("link set {device} master bridge"))?;
            host.address(&format!("198.51.100.{last}/24"), OUTSIDE)?;
            host.route("203.0.113.0/24 via 198.51.100.1")?;
        }
        for (index, endpoint) in site.endpoints.iter().enumerate() {
            endpoint.address(&format!("{CLOUD_HOST}/32"), "lo")?;
            endpoint.address(&format!("{}/32", inside_of(index)), "lo")?;
        }
        Ok(site)
    }

    fn connect_lan(&self) -> Result<()> {
        self.lan.link("lan", &self.gateway, "lan")?;
        self.lan.address("10.10.0.2/24", "lan")?;
        self.lan.address("2001:db8:10::2/64", "lan")?;
        self.gateway.address("10.10.0.1/24", "lan")?;
        self.gateway.address("2001:db8:10::1/64", "lan")?;
        self.lan.route("default via 10.10.0.1")?;
        self.lan.route("default via 2001:db8:10::1")
    }

    fn address_wan(&self) -> Result<()> {
        self.wan.address("203.0.113.1/24", "customer")?;
        self.wan.address("2001:db8:113::1/64", "customer")
    }
}

/// The address inside the tunnel of an endpoint, by its index.
pub fn inside_of(index: usize) -> IpAddr {
    if index == 0 { INSIDE_1 } else { INSIDE_2 }
}

/// The outer device of every host that has one.
pub const OUTSIDE: &str = "outside";
/// The host on our LAN.
pub const LAN_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 0, 2));
/// The host on the cloud's LAN: both endpoints own it.
pub const CLOUD_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 200, 0, 1));

const INSIDE_1: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 10, 1));
const INSIDE_2: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 11, 1));

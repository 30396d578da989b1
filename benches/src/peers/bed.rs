//! Two hosts and the path between them, the same for every candidate.
//!
//! ```text
//! left --- outer (veth, MTU 1500) --- right          192.0.2.1, 192.0.2.2; inside 10.10.0.1, 10.200.0.1
//! left --- outer --- router --- outer --- right      198.51.100.2 for the right end
//! ```

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use gotthard_lab::Netns;
use serde::{Deserialize, Serialize};

/// Both hosts; removed with everything that runs in them when dropped.
#[derive(Debug)]
pub(super) struct Bed {
    /// Where the client of a measurement runs.
    pub(super) left: Netns,
    /// Where its server runs.
    pub(super) right: Netns,
    router: Option<Netns>,
    path: Path,
}

/// What lies between the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    /// A veth pair.
    Link,
    /// A router, behind which packets are as they are on a wire; the right end gathers UDP datagrams again (GRO).
    Router {
        /// It sets the checksum of every UDP datagram to zero, as kernels do that send ESP in UDP. GRO leaves such
        /// datagrams alone.
        zero_checksums: bool,
    },
}

/// What the link does with packets larger than its MTU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Path {
    /// It carries super-packets whole, as veth pairs do.
    #[default]
    Friendly,
    /// Every packet is cut to the MTU before the link, and nothing puts packets together behind it.
    Hostile,
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// Readable part of file names, and what `gotthard-benches gateway` is told.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    /// The other end.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// The address inside the tunnel.
    pub(super) fn inner(self) -> Ipv4Addr {
        match self {
            Self::Left => Ipv4Addr::new(10, 10, 0, 1),
            Self::Right => Ipv4Addr::new(10, 200, 0, 1),
        }
    }
}

impl Bed {
    /// Makes the hosts and the path between them.
    pub(super) fn new(between: Between) -> Result<Self> {
        let (left, right) = (Netns::new("left")?, Netns::new("right")?);
        for host in [&left, &right] {
            // A host with 1,000 links solicits routers on each when they come up, and the other end's looks every
            // solicitation up among 1,000 link-local routes: seconds of the gateway's time before anything is measured.
            host.sysctl("net.ipv6.conf.default.disable_ipv6=1")?;
        }
        let router = match between {
            Between::Link => {
                left.link(OUTER, &right, OUTER)?;
                right.address("192.0.2.2/24", OUTER)?;
                None
            }
            Between::Router { zero_checksums } => Some(route_between(&left, &right, zero_checksums)?),
        };
        left.address("192.0.2.1/24", OUTER)?;
        if router.is_some() {
            left.route("default via 192.0.2.254")?;
            right.route("default via 198.51.100.254")?;
        }
        Ok(Self { left, right, router, path: Path::default() })
    }

    /// Changes what the link does with large packets.
    pub(super) fn set_path(&mut self, path: Path) -> Result<()> {
        if self.path == path || self.router.is_some() {
            return Ok(());
        }
        let segmentation = match path {
            Path::Friendly => "on",
            Path::Hostile => "off",
        };
        // Where super-packets arrive whole there is nothing to gather, and where they do not nothing shall gather them.
        let features = ["-K", OUTER, "tx-udp-segmentation", segmentation, "tso", segmentation, "gro", "off"];
        for side in Side::BOTH {
            self.host(side).output("ethtool", &features)?;
        }
        self.path = path;
        Ok(())
    }

    /// The host of an end.
    pub(super) fn host(&self, side: Side) -> &Netns {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// The outer address of an end.
    pub(super) fn outer(&self, side: Side) -> IpAddr {
        match (side, &self.router) {
            (Side::Left, _) => Ipv4Addr::new(192, 0, 2, 1).into(),
            (Side::Right, None) => Ipv4Addr::new(192, 0, 2, 2).into(),
            (Side::Right, Some(_)) => Ipv4Addr::new(198, 51, 100, 2).into(),
        }
    }

    /// Gives an end its inner address on a device and the route to the other through it.
    pub(super) fn address_inside(&self, side: Side, device: &str) -> Result<()> {
        let host = self.host(side);
        host.ip(&format!("link set {device} mtu {INNER_MTU} up"))?;
        host.address(&format!("{}/32", side.inner()), device)?;
        let (ours, theirs) = (side.inner(), side.other().inner());
        host.route(&format!("{theirs}/32 dev {device} src {ours}"))
    }
}

/// Packets are cut to the MTU where they leave for the router, and gathered by the right end's device alone.
fn route_between(left: &Netns, right: &Netns, zero_checksums: bool) -> Result<Netns> {
    let router = Netns::new("router")?;
    left.link(OUTER, &router, "left")?;
    right.link(OUTER, &router, "right")?;
    router.address("192.0.2.254/24", "left")?;
    router.address("198.51.100.254/24", "right")?;
    right.address("198.51.100.2/24", OUTER)?;
    router.forward()?;
    for host in [left, right] {
        host.output("ethtool", &["-K", OUTER, "tx-udp-segmentation", "off", "gro", "on"])?;
    }
    // A veth pair gathers only what comes from a device without segmentation offload.
    for device in ["left", "right"] {
        router.output("ethtool", &["-K", device, "tso", "off"])?;
    }
    if zero_checksums {
        router.output("nft", &[ZERO_CHECKSUMS])?;
    }
    Ok(router)
}

/// The outer device of both ends.
pub(super) const OUTER: &str = "outer";
/// MTU inside, the same for all: that of strongSwan's device, which cannot be told another.
pub(crate) const INNER_MTU: u16 = 1400;
/// MTU of the link.
pub(crate) const OUTER_MTU: u16 = 1500;

const ZERO_CHECKSUMS: &str = "add table ip bench; \
     add chain ip bench forward { type filter hook forward priority 0; }; \
     add rule ip bench forward udp dport 4500 udp checksum set 0";

//! The host's own way to a peer: whether it was lost, which the kernel tells sooner than the silence that follows. Pure.
//!
//! A loss is a moment, not a state. What the main table says may not be what the kernel does: rules may lead outer packets
//! elsewhere, and a link without a carrier may have a spare. So a tunnel whose way was lost is given up at once, and its
//! probe has the last word; a way that was never seen to stand cannot be lost.

use core::fmt;
use std::net::IpAddr;

use super::mirror::Surroundings;
use super::{MAIN_TABLE, Target};

/// The way of one tunnel's outer packets, as it was last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uplink {
    stood: bool,
    lost: Option<Lost>,
}

/// What there is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The link is set down, or has no carrier; its name.
    Link(String),
    /// A route to the peer that leads through no tunnel.
    Route,
    /// Our outer address.
    Address(IpAddr),
}

/// Where outer packets go from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Our address, once it is known.
    pub local: Option<IpAddr>,
    /// The peer's.
    pub peer: IpAddr,
}

impl Uplink {
    /// Looks again. `besides`: the links that are tunnels of ours. True: it stood, and does so no longer.
    pub fn look(&mut self, around: &Surroundings, besides: &[u32], ends: Ends) -> bool {
        let found = way(around, besides, ends);
        let lost = core::mem::replace(&mut self.stood, found.is_ok()) && !self.stood;
        if lost || self.stood {
            self.lost = found.err();
        }
        lost
    }

    /// What was lost and has not come back.
    pub const fn lost(&self) -> Option<&Lost> {
        self.lost.as_ref()
    }
}

fn way(around: &Surroundings, besides: &[u32], Ends { local, peer }: Ends) -> Result<(), Lost> {
    if let Some(local) = local.filter(|local| around.path_to(LOCAL_TABLE, *local, &[]).is_none()) {
        return Err(Lost::Address(local));
    }
    let Some(path) = around.path_to(MAIN_TABLE, peer, besides) else { return Err(Lost::Route) };
    let Target::Links(hops) = &path.target else { return Err(Lost::Route) };
    let mut links = hops.iter().filter_map(|hop| around.link(hop.index));
    let Some(first) = links.clone().next() else { return Err(Lost::Route) };
    if links.any(|link| link.up && link.carrier) { Ok(()) } else { Err(Lost::Link(first.name.clone())) }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "{name}, which leads to the peer, is down or has no carrier"),
            Self::Route => f.write_str("the host's route to the peer is gone"),
            Self::Address(address) => write!(f, "our outer address {address} is gone"),
        }
    }
}

/// The table of the host's own addresses (`RT_TABLE_LOCAL` of rtnetlink(7)).
const LOCAL_TABLE: u32 = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::mirror::Mirror;
    use crate::routes::{Event, Hop, KERNEL_PROTOCOL, KernelRoute, Link, Route};

    const ETH0: u32 = 2;
    const ETH1: u32 = 3;
    const GTH0: u32 = 9;

    fn link(index: u32, up: bool, carrier: bool) -> Link {
        Link { index, name: format!("link{index}"), mtu: 1500, up, carrier }
    }

    fn route(table: u32, prefix: &str, metric: u32, target: Target) -> KernelRoute {
        let prefix = prefix.parse().expect("a prefix");
        KernelRoute { route: Route { table, prefix, metric, target }, protocol: KERNEL_PROTOCOL }
    }

    fn through(index: u32) -> Target {
        Target::Links(vec![Hop { index, gateway: None }])
    }

    fn address() -> KernelRoute {
        route(LOCAL_TABLE, "203.0.113.10/32", 0, Target::Other)
    }

    /// A host with its address, a default route through `eth0`, and whatever else.
    fn host(more: Vec<KernelRoute>) -> Mirror {
        let routes = [vec![address(), route(MAIN_TABLE, "0.0.0.0/0", 0, through(ETH0))], more].concat();
        let links = [ETH0, ETH1, GTH0].map(|index| link(index, true, true)).to_vec();
        Mirror::read(links, routes, Vec::new())
    }

    fn look(uplink: &mut Uplink, mirror: &Mirror) -> bool {
        let ends = Ends { local: Some([203, 0, 113, 10].into()), peer: [198, 51, 100, 11].into() };
        uplink.look(mirror.around(), &[GTH0], ends)
    }

    /// What is said to be lost after the event, once; and again after it was undone and happened once more.
    fn lost_by(mut mirror: Mirror, event: &Event, undone: &Event) -> Option<Lost> {
        let mut uplink = Uplink::default();
        assert!(!look(&mut uplink, &mirror), "it stands");
        for _ in 0..2 {
            mirror.observe(event.clone());
            let lost = look(&mut uplink, &mirror);
            assert_eq!(lost, uplink.lost().is_some());
            assert!(!look(&mut uplink, &mirror), "told once");
            if !lost {
                return None;
            }
            mirror.observe(undone.clone());
            assert!(!look(&mut uplink, &mirror) && uplink.lost().is_none(), "it stands again");
        }
        mirror.observe(event.clone());
        look(&mut uplink, &mirror);
        uplink.lost().cloned()
    }

    #[test]
    fn a_link_that_loses_its_carrier_or_is_set_down_is_a_loss() {
        let on = Event::Link(link(ETH0, true, true));
        for (up, carrier) in [(true, false), (false, false)] {
            let off = Event::Link(link(ETH0, up, carrier));
            assert_eq!(lost_by(host(Vec::new()), &off, &on), Some(Lost::Link("link2".to_owned())));
        }
        assert_eq!(lost_by(host(Vec::new()), &Event::LinkGone(ETH0), &on), Some(Lost::Route));
    }

    #[test]
    fn an_address_or_a_route_that_goes_is_a_loss() {
        let [gone, back] = [Event::RouteGone(address()), Event::Route { route: address(), replaces: false }];
        let expected = Lost::Address([203, 0, 113, 10].into());
        assert_eq!(lost_by(host(Vec::new()), &gone, &back), Some(expected));
        let default = || route(MAIN_TABLE, "0.0.0.0/0", 0, through(ETH0));
        let [gone, back] = [Event::RouteGone(default()), Event::Route { route: default(), replaces: false }];
        assert_eq!(lost_by(host(Vec::new()), &gone, &back), Some(Lost::Route));
    }

    #[test]
    fn what_happens_to_another_link_or_to_one_of_two_is_none() {
        let on = Event::Link(link(ETH1, true, true));
        let off = Event::Link(link(ETH1, true, false));
        assert_eq!(lost_by(host(Vec::new()), &off, &on), None);
        let hops = [ETH0, ETH1].map(|index| Hop { index, gateway: None }).to_vec();
        let both = route(MAIN_TABLE, "198.51.100.0/24", 0, Target::Links(hops));
        assert_eq!(lost_by(host(vec![both]), &off, &on), None);
    }

    #[test]
    fn a_more_specific_route_counts_and_a_tunnel_does_not() {
        let own = route(MAIN_TABLE, "198.51.100.11/32", 0, through(ETH1));
        let tunnel = route(MAIN_TABLE, "198.51.100.0/24", 0, through(GTH0));
        let [off, on] = [false, true].map(|carrier| Event::Link(link(ETH1, true, carrier)));
        assert_eq!(lost_by(host(vec![own, tunnel.clone()]), &off, &on), Some(Lost::Link("link3".to_owned())));
        let [off, on] = [false, true].map(|carrier| Event::Link(link(GTH0, true, carrier)));
        assert_eq!(lost_by(host(vec![tunnel]), &off, &on), None);
    }

    #[test]
    fn a_way_that_the_main_table_never_knew_cannot_be_lost() {
        let mut mirror = Mirror::read(vec![link(ETH0, true, true)], vec![address()], Vec::new());
        let mut uplink = Uplink::default();
        assert!(!look(&mut uplink, &mirror));
        mirror.observe(Event::Link(link(ETH0, true, false)));
        assert!(!look(&mut uplink, &mirror));
        assert_eq!(uplink.lost(), None, "rules lead its packets elsewhere");
    }
}

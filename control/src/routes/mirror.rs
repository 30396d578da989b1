//! What is in the kernel's network, as far as our routes depend on it: read once and kept by what the kernel tells. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    Edit, Event, KERNEL_PROTOCOL, KernelRoute, Key, Link, MAIN_TABLE, PROTOCOL, Route, Rule, Target,
};

/// Links and routes, ours and those of others.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    around: Surroundings,
    own: BTreeMap<Key, Route>,
    rules: BTreeSet<Rule>,
    /// It is not known to be true: everything must be read.
    stale: bool,
}

/// What others have made: links, and their routes.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    links: BTreeMap<u32, Link>,
    routes: BTreeMap<(u32, IpNet), BTreeSet<KernelRoute>>,
}

/// Whether an event may change which routes should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// It does not.
    None,
    /// It may, where these packets go.
    Prefix(IpNet),
    /// It may.
    Everything,
}

impl Mirror {
    /// Nothing is known yet.
    pub fn unread() -> Self {
        Self { stale: true, ..Self::default() }
    }

    /// What was read just now.
    pub fn read(links: Vec<Link>, routes: Vec<KernelRoute>, rules: Vec<Rule>) -> Self {
        let (own, foreign): (Vec<_>, Vec<_>) = routes.into_iter().partition(|r| r.protocol == PROTOCOL);
        let own = own.into_iter().map(|known| (known.route.key(), known.route)).collect();
        let rules = rules.into_iter().collect();
        Self { around: Surroundings::new(links, foreign), own, rules, stale: false }
    }

    /// It must be read anew before it is relied upon.
    pub const fn is_stale(&self) -> bool {
        self.stale
    }

    /// It may be wrong.
    pub const fn distrust(&mut self) {
        self.stale = true;
    }

    /// What others have made.
    pub const fn around(&self) -> &Surroundings {
        &self.around
    }

    /// Our routes.
    pub const fn own(&self) -> &BTreeMap<Key, Route> {
        &self.own
    }

    /// Our rules.
    pub const fn rules(&self) -> &BTreeSet<Rule> {
        &self.rules
    }

    /// We have carried out an edit.
    pub fn edited(&mut self, edit: &Edit) {
        match edit {
            Edit::Add(route) | Edit::Replace(route) => drop(self.own.insert(route.key(), route.clone())),
            Edit::Withdraw(route) => drop(self.own.remove(&route.key())),
            Edit::AddRule(rule) => {
                self.rules.insert(*rule);
            }
            Edit::RemoveRule(rule) => {
                self.rules.remove(rule);
            }
        }
    }

    /// Takes what somebody else has changed.
    pub fn observe(&mut self, event: Event) -> Concern {
        match event {
            Event::Lost => {
                self.stale = true;
                Concern::Everything
            }
            Event::Link(link) => self.link_changed(link),
            Event::LinkGone(index) => {
                self.around.links.remove(&index);
                self.lose_routes_through(index);
                Concern::Everything
            }
            Event::Route { route, replaces } if route.protocol == PROTOCOL => {
                // Somebody plays with our number; or a link of ours came back with what the kernel kept of its routes.
                let before = self.own.insert(route.route.key(), route.route.clone());
                if before.as_ref() == Some(&route.route) && !replaces {
                    return Concern::None;
                }
                Concern::Everything
            }
            Event::Route { route, replaces } => {
                let key = route.route.key();
                if replaces {
                    self.around.forget(key);
                    if self.own.remove(&key).is_some() {
                        self.around.add(route);
                        return Concern::Everything;
                    }
                }
                let prefix = route.route.prefix;
                self.around.add(route);
                Concern::Prefix(prefix)
            }
            Event::RuleGone(rule) => {
                if self.rules.remove(&rule) {
                    return Concern::Everything;
                }
                Concern::None
            }
            Event::RouteGone(route) if route.protocol == PROTOCOL => {
                match self.own.remove(&route.route.key()) {
                    Some(_) => Concern::Everything,
                    None => Concern::None,
                }
            }
            Event::RouteGone(route) => {
                let prefix = route.route.prefix;
                if !self.around.remove(&route) {
                    // It was known in another shape: a next hop of several that went.
                    self.stale = true;
                }
                Concern::Prefix(prefix)
            }
        }
    }

    fn link_changed(&mut self, link: Link) -> Concern {
        let (index, up) = (link.index, link.up);
        let known = self.around.links.get(&index);
        if known == Some(&link) {
            return Concern::None;
        }
        let went_down = known.is_some_and(|before| before.up) && !up;
        self.around.links.insert(index, link);
        if went_down {
            self.lose_routes_through(index);
        }
        Concern::Everything
    }

    /// The kernel drops the IPv4 routes of a link that goes without a word.
    fn lose_routes_through(&mut self, index: u32) {
        let foreign = self.around.routes.values().flatten().map(|known| &known.route);
        self.stale |= self.own.values().chain(foreign).any(|route| route.leads_through(index));
    }
}

impl Surroundings {
    /// These links and routes, of whoever made them.
    pub fn new(links: Vec<Link>, routes: Vec<KernelRoute>) -> Self {
        let mut around =
            Self { links: links.into_iter().map(|link| (link.index, link)).collect(), ..Self::default() };
        for route in routes {
            around.add(route);
        }
        around
    }

    /// The links.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The links that have one of these names.
    pub fn links_named<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> impl Iterator<Item = &Link> {
        let names: HashSet<&str> = names.into_iter().collect();
        self.links().filter(move |link| names.contains(link.name.as_str()))
    }

    /// A link, by its index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// The routes to exactly this prefix.
    pub fn routes_to(&self, table: u32, prefix: IpNet) -> impl Iterator<Item = &KernelRoute> {
        self.routes.get(&(table, prefix)).into_iter().flatten()
    }

    /// All routes.
    pub fn routes(&self) -> impl Iterator<Item = &KernelRoute> {
        self.routes.values().flatten()
    }

    /// Networks that links are connected to, by the kernel's own word, each with the link's name.
    pub fn connected(&self) -> impl Iterator<Item = (IpNet, &str)> {
        let of_kernel = self
            .routes()
            .filter(|known| known.protocol == KERNEL_PROTOCOL && known.route.table == MAIN_TABLE);
        let named = |known: &KernelRoute| {
            let Target::Links(hops) = &known.route.target else { return None };
            let link = self.link(hops.first()?.index)?;
            Some((known.route.prefix, link.name.as_str()))
        };
        of_kernel.filter_map(named)
    }

    /// The route of `table` that packets to `address` take, were there none through one of the links `besides`: by the
    /// longest prefix and then the lowest metric.
    pub fn path_to(&self, table: u32, address: IpAddr, besides: &[u32]) -> Option<&Route> {
        let host = IpNet::from(address);
        (0..=host.max_prefix_len()).rev().find_map(|length| {
            let prefix = IpNet::new(address, length).ok()?.trunc();
            let usable = |route: &&Route| !besides.iter().any(|index| route.leads_through(*index));
            let known = self.routes_to(table, prefix).map(|known| &known.route);
            known.filter(usable).min_by_key(|route| route.metric)
        })
    }

    fn add(&mut self, route: KernelRoute) {
        self.routes.entry((route.route.table, route.route.prefix)).or_default().insert(route);
    }

    fn remove(&mut self, route: &KernelRoute) -> bool {
        let place = (route.route.table, route.route.prefix);
        let Some(known) = self.routes.get_mut(&place) else { return false };
        let was_there = known.remove(route);
        if known.is_empty() {
            self.routes.remove(&place);
        }
        was_there
    }

    fn forget(&mut self, (table, prefix, metric): Key) {
        if let Some(known) = self.routes.get_mut(&(table, prefix)) {
            known.retain(|known| known.route.metric != metric);
        }
    }
}

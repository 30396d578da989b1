//! Our routes in the kernel, kept as they are wanted: one decision is one run of edits, of what it changes alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tracing::debug;

use super::mirror::{Concern, Mirror};
use super::plan::{self, Plan, Refused, Wanted};
use super::{
    Edit, Event, FALLBACK_METRIC, Failure, Kernel, Key, MAIN_TABLE, Route, RouteError, Rule, Target,
};

/// Keeps the kernel's routes as they are wanted.
#[derive(Debug)]
pub struct Table<K> {
    kernel: K,
    mirror: Mirror,
    /// What was wanted last.
    wanted: Wanted,
    /// Fallbacks that a daemon before us left and that nobody has asked for yet.
    inherited: Option<BTreeSet<Key>>,
    holds_inherited: bool,
}

/// What [`Table::reconcile`] came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many routes were added, replaced or removed.
    pub edits: usize,
    /// Prefixes that are not routed, and why.
    pub refused: Vec<Refused>,
}

impl<K: Kernel> Table<K> {
    /// A table that speaks to this kernel.
    pub fn new(kernel: K) -> Self {
        let wanted = Wanted::default();
        Self { kernel, mirror: Mirror::unread(), wanted, inherited: None, holds_inherited: false }
    }

    /// Makes the kernel's routes those that are wanted, and says which prefixes it must not route and why.
    ///
    /// New routes are in place before old ones go, and a route that moves to another device is replaced in one step, so
    /// that no packet finds neither. What the kernel refuses is tried once more on what it has by then.
    pub async fn reconcile(&mut self, wanted: &Wanted) -> Result<Outcome, RouteError> {
        if self.wanted != *wanted {
            self.wanted.clone_from(wanted);
        }
        match self.attempt().await? {
            (outcome, None) => Ok(outcome),
            (_, Some(failure)) => {
                debug!(?failure, "the kernel's routes are not those that it told of: reading them again");
                match self.attempt().await? {
                    (outcome, None) => Ok(outcome),
                    (_, Some(failure)) => Err(failure.into()),
                }
            }
        }
    }

    /// Takes what somebody else has changed in the kernel; whether our routes may have to follow.
    pub fn observe(&mut self, event: Event) -> bool {
        match self.mirror.observe(event) {
            Concern::None => false,
            Concern::Everything => true,
            Concern::Prefix(prefix) => {
                let Wanted { peers, remotes, insides, neighbours, .. } = &self.wanted;
                peers.iter().any(|peer| prefix.contains(peer))
                    || remotes.iter().any(|remote| remote.prefix == prefix)
                    || insides.contains(&prefix)
                    || neighbours.iter().any(|(address, _)| prefix == (*address).into())
            }
        }
    }

    /// Everything is read before the next decision: a notification may have been lost without a trace.
    pub const fn distrust(&mut self) {
        self.mirror.distrust();
    }

    /// Keeps the `unreachable` routes that a daemon before us has left until they are wanted again, or for as long as this
    /// is said: what it had learnt by BGP must not leave in clear before the peer has told it again (RFC 4724).
    pub const fn hold_inherited(&mut self, hold: bool) {
        self.holds_inherited = hold;
    }

    /// Whether they are kept.
    pub const fn holds_inherited(&self) -> bool {
        self.holds_inherited
    }

    /// The smallest MTU of our links towards an address, were there no tunnels.
    pub async fn mtu_towards(&mut self, address: IpAddr) -> Option<u32> {
        self.refresh().await.ok()?;
        let around = self.mirror.around();
        let devices = around.links_named(self.wanted.devices.iter().map(String::as_str));
        let devices: Vec<u32> = devices.map(|link| link.index).collect();
        let path = around.path_to(MAIN_TABLE, address, &devices)?;
        let Target::Links(hops) = &path.target else { return None };
        hops.iter().filter_map(|hop| around.link(hop.index)).map(|link| link.mtu).min()
    }

    /// The kernel behind it.
    pub const fn kernel(&self) -> &K {
        &self.kernel
    }

    /// What is known of the kernel's network.
    pub const fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    async fn attempt(&mut self) -> Result<(Outcome, Option<Failure>), RouteError> {
        self.refresh().await?;
        let Plan { routes, rules, refused } = plan::plan(&self.wanted, self.mirror.around());
        let edits = self.edits(routes, &rules);
        let failed = self.carry_out(&edits).await?;
        Ok((Outcome { edits: edits.len(), refused }, failed))
    }

    async fn refresh(&mut self) -> Result<(), RouteError> {
        if !self.mirror.is_stale() {
            return Ok(());
        }
        let kernel = &self.kernel;
        self.mirror = Mirror::read(kernel.links().await?, kernel.routes().await?, kernel.rules().await?);
        let own = self.mirror.own().values();
        let fallbacks = own.filter(|route| route.metric == FALLBACK_METRIC).map(Route::key);
        self.inherited.get_or_insert_with(|| fallbacks.collect());
        Ok(())
    }

    /// From the routes and rules that there are to those that are wanted.
    fn edits(&mut self, routes: Vec<Route>, rules: &BTreeSet<Rule>) -> Vec<Edit> {
        let wanted: BTreeSet<Key> = routes.iter().map(Route::key).collect();
        let own = self.mirror.own();
        let inherited = self.inherited.get_or_insert_default();
        inherited.retain(|key| self.holds_inherited && !wanted.contains(key));
        let unwanted =
            own.values().filter(|old| !wanted.contains(&old.key()) && !inherited.contains(&old.key()));
        let mut unwanted: Vec<&Route> = unwanted.collect();
        // Tunnels before the host routes that keep peers out of them, and what refuses packets last.
        unwanted.sort_by_key(|route| (route.metric, route.prefix.prefix_len()));
        let withdrawn: Vec<Edit> = unwanted.into_iter().cloned().map(Edit::Withdraw).collect();
        let mut edits: Vec<Edit> = Vec::with_capacity(withdrawn.len());
        for route in routes {
            match own.get(&route.key()) {
                Some(old) if *old == route => {}
                Some(_) => edits.push(Edit::Replace(route)),
                None => edits.push(Edit::Add(route)),
            }
        }
        edits.extend(rules.difference(self.mirror.rules()).copied().map(Edit::AddRule));
        edits.extend(withdrawn);
        edits.extend(self.mirror.rules().difference(rules).copied().map(Edit::RemoveRule));
        edits
    }

    /// Carries out the edits, and returns the first that failed. A route that could not be replaced goes, so that its
    /// packets are refused and not lost on the tunnel that they were to leave.
    async fn carry_out(&mut self, edits: &[Edit]) -> Result<Option<Failure>, RouteError> {
        if edits.is_empty() {
            return Ok(None);
        }
        let failures = self.kernel.edit(edits).await;
        let Ok([]) = failures.as_deref() else {
            self.mirror.distrust();
            let failures = failures?;
            let stuck = failures.iter().filter_map(|failure| match &failure.edit {
                Edit::Replace(route) => Some(Edit::Withdraw(route.clone())),
                Edit::Add(_) | Edit::Withdraw(_) | Edit::AddRule(_) | Edit::RemoveRule(_) => None,
            });
            let stuck: Vec<Edit> = stuck.collect();
            if !stuck.is_empty() {
                self.kernel.edit(&stuck).await?;
            }
            return Ok(failures.into_iter().next());
        };
        for edit in edits {
            self.mirror.edited(edit);
        }
        Ok(None)
    }
}

impl From<Failure> for RouteError {
    fn from(Failure { edit, why }: Failure) -> Self {
        let what = match edit {
            Edit::Add(route) => format!("adding the route to {}", route.prefix),
            Edit::Replace(route) => format!("moving the route to {}", route.prefix),
            Edit::Withdraw(route) => format!("removing the route to {}", route.prefix),
            Edit::AddRule(rule) => format!("adding the rule {} for table {}", rule.priority, rule.table),
            Edit::RemoveRule(rule) => format!("removing the rule {} for table {}", rule.priority, rule.table),
        };
        Self::Kernel { what, why }
    }
}

//! What we tell the peer: the prefixes that the policy permits, in as few messages as hold them, and their end.

use std::collections::BTreeSet;

use gotthard_ike::Time;
use ipnet::IpNet;

use super::output::{NotOffered, Notice};
use super::session::{Desk, Session};
use super::settings::NextHops;
use crate::bgp::codec::{Families, Family, announce};
use crate::bgp::policy::{Export, Rank};

/// What the peer was told in this session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    prefixes: BTreeSet<IpNet>,
    rank: Rank,
}

impl Offered {
    pub(super) fn len(&self) -> usize {
        self.prefixes.len()
    }
}

impl Session {
    /// The session is established: tells all, and that it is all (RFC 4724 §2). Says what is not offered.
    pub(super) fn offer_all<K: Copy + Ord>(&mut self, now: Time, desk: &mut Desk<'_, K>) {
        self.offered = Offered::default();
        self.offer(now, desk);
        let ends: Vec<_> = self.families().iter().map(announce::end_of_rib).collect();
        self.peer.send(now, ends);
    }

    /// Tells what changed since it was last told.
    pub(super) fn offer<K: Copy + Ord>(&mut self, now: Time, desk: &mut Desk<'_, K>) {
        if self.peer.negotiated().is_none() {
            return;
        }
        let wanted = Offered { prefixes: self.permitted(now, desk), rank: self.rank };
        let gone: Vec<IpNet> = self.offered.prefixes.difference(&wanted.prefixes).copied().collect();
        let again = wanted.rank != self.offered.rank;
        let told = |prefix: &&IpNet| !again && self.offered.prefixes.contains(*prefix);
        let new: Vec<IpNet> = wanted.prefixes.iter().filter(|prefix| !told(prefix)).copied().collect();
        self.offered = wanted;
        self.peer.send(now, announce::withdraw(&gone));
        self.tell(now, &new);
    }

    /// The peer asks once more (RFC 2918).
    pub(super) fn offer_again(&mut self, now: Time, family: Family) {
        let of_family = self.offered.prefixes.iter().filter(|prefix| Family::of(**prefix) == family);
        let prefixes: Vec<IpNet> = of_family.copied().collect();
        self.tell(now, &prefixes);
    }

    /// What may be offered, by policy and by what the peer and the link can take.
    fn permitted<K: Copy>(&mut self, now: Time, desk: &mut Desk<'_, K>) -> BTreeSet<IpNet> {
        let (families, hops) = (self.families(), self.next_hops());
        let mut permitted = BTreeSet::new();
        for (prefix, verdict) in self.settings.export.offers(desk.offer) {
            let family = Family::of(prefix);
            let why = match verdict {
                Err(refusal) => NotOffered::Refused(refusal),
                Ok(()) if hops.of(family).is_none() => NotOffered::NextHop(family),
                Ok(()) if !families.contains(family) => NotOffered::Family,
                Ok(()) => {
                    permitted.insert(prefix);
                    continue;
                }
            };
            if let Some(untold) = self.withheld.say(now) {
                desk.notice(Notice::NotOffered { prefix, why, untold });
            }
        }
        permitted
    }

    fn tell(&mut self, now: Time, prefixes: &[IpNet]) {
        let Some(terms) = self.peer.negotiated().map(|terms| terms.session) else { return };
        for family in Family::ALL {
            let own: Vec<IpNet> = prefixes.iter().copied().filter(|p| Family::of(*p) == family).collect();
            let Some(next_hop) = self.next_hops().of(family) else { continue };
            let path = Export::path(self.settings.config.local_asn, next_hop, self.offered.rank);
            // Our attributes are few, and the next hop is of the family: there is nothing that cannot be said.
            if let Ok(messages) = announce::announce(&path, &own, terms) {
                self.peer.send(now, messages);
            }
        }
    }

    fn families(&self) -> Families {
        self.peer.negotiated().map(|terms| terms.session.families).unwrap_or_default()
    }

    const fn next_hops(&self) -> NextHops {
        NextHops::new(&self.settings.neighbour)
    }
}

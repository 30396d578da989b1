//! The path attributes of one UPDATE, read (RFC 4271 §4.3, §5; RFC 7606 §3-§5, §7). An error costs what RFC 7606 says, and is
//! noted; reading goes on, because what the UPDATE is about may come later.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::Session;
use super::as_path::{self, Width};
use super::family::Family;
use super::flaw::{Flaw, Handling, What};
use super::iana::{AS_TRANS, AttributeType, EXTENDED_LENGTH, OPTIONAL, TRANSITIVE};
use super::nlri;
use super::reader::Reader;
use crate::bgp::route::{Aggregator, AsPath, Community, LargeCommunity, Origin, Path};

/// What the attributes say, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    /// MP_REACH_NLRI.
    pub(super) reach: Option<Reach>,
    /// What MP_UNREACH_NLRI withdraws (RFC 4760 §4).
    pub(super) unreach: Vec<IpNet>,
    /// What is wrong.
    pub(super) flaws: Flaws<'a>,
    seen: BTreeSet<AttributeType>,
    origin: Option<Origin>,
    as_path: Option<AsPath>,
    as4_path: Option<AsPath>,
    next_hop: Option<Ipv4Addr>,
    med: Option<u32>,
    local_pref: Option<u32>,
    atomic_aggregate: bool,
    aggregator: Option<Aggregator>,
    as4_aggregator: Option<Aggregator>,
    communities: Vec<Community>,
    large_communities: Vec<LargeCommunity>,
}

/// MP_REACH_NLRI (RFC 4760 §3).
#[derive(Debug)]
pub(super) struct Reach {
    /// The global address where there is a link-local one too; `None`: it is none that a packet can be sent to.
    pub(super) next_hop: Option<IpAddr>,
    pub(super) prefixes: Vec<IpNet>,
}

/// What is wrong with an UPDATE: the first flaws, and the dearest of all with the attribute's octets.
#[derive(Debug, Default)]
pub(super) struct Flaws<'a> {
    pub(super) list: Vec<Flaw>,
    pub(super) worst: Option<(Flaw, &'a [u8])>,
}

/// One attribute as it came.
#[derive(Clone, Copy)]
struct Raw<'a> {
    flags: u8,
    kind: AttributeType,
    value: &'a [u8],
    /// All of it, for the NOTIFICATION.
    octets: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads the whole Path Attributes field.
    pub(super) fn read(field: &'a [u8], session: Session) -> Self {
        let mut read = Self::default();
        let mut r = Reader::new(field);
        while !r.is_empty() {
            let rest = r.peek();
            if let Some(raw) = Raw::read(&mut r) {
                read.take(raw, session);
            } else {
                let kind = rest.get(1).copied().unwrap_or_default();
                read.flaw(AttributeType(kind), What::Overrun, rest);
                break;
            }
        }
        read
    }

    /// Whether there are attributes besides MP_UNREACH_NLRI: then there should be routes too (RFC 7606 §5.2).
    pub(super) fn describe_routes(&self) -> bool {
        self.seen.iter().any(|kind| *kind != AttributeType::MP_UNREACH_NLRI)
    }

    /// The path of the routes behind the attributes (`ipv4`) and of those in MP_REACH_NLRI. Notes as a flaw what they lack.
    pub(super) fn paths(&mut self, ipv4: bool, session: Session) -> (Option<Arc<Path>>, Option<Arc<Path>>) {
        let mut mandatory = vec![AttributeType::ORIGIN, AttributeType::AS_PATH];
        if ipv4 {
            mandatory.push(AttributeType::NEXT_HOP);
        }
        for kind in mandatory {
            if !self.seen.contains(&kind) {
                self.flaw(kind, What::Missing, &[]);
            }
        }
        let as_path = self.whole_as_path();
        if session.external && as_path.as_ref().is_some_and(|path| path.neighbor() != Some(session.peer_asn))
        {
            self.flaw(AttributeType::AS_PATH, What::NotThePeer, &[]);
        }
        let by_field = self.next_hop.map(IpAddr::V4).filter(|_| ipv4);
        let by_reach = self.reach.as_ref().and_then(|reach| reach.next_hop);
        (self.path(as_path.as_ref(), by_field), self.path(as_path.as_ref(), by_reach))
    }

    fn path(&self, as_path: Option<&AsPath>, next_hop: Option<IpAddr>) -> Option<Arc<Path>> {
        Some(Arc::new(Path {
            origin: self.origin?,
            as_path: as_path?.clone(),
            next_hop: next_hop?,
            med: self.med,
            local_pref: self.local_pref,
            atomic_aggregate: self.atomic_aggregate,
            aggregator: self.whole_aggregator(),
            communities: self.communities.clone(),
            large_communities: self.large_communities.clone(),
        }))
    }

    /// AS_PATH, with what two octets do not hold from AS4_PATH. Where the aggregator did not know four octets, AS4_PATH
    /// does not tell of its doing (RFC 6793 §4.2.3).
    fn whole_as_path(&self) -> Option<AsPath> {
        let as_path = self.as_path.clone()?;
        let aggregated = self.aggregator.is_some_and(|aggregator| aggregator.asn != u32::from(AS_TRANS));
        match &self.as4_path {
            Some(as4_path) if !aggregated => Some(as_path::join(as_path, as4_path.clone())),
            Some(_) | None => Some(as_path),
        }
    }

    fn whole_aggregator(&self) -> Option<Aggregator> {
        match self.aggregator {
            Some(Aggregator { asn, .. }) if asn == u32::from(AS_TRANS) => {
                self.as4_aggregator.or(self.aggregator)
            }
            other => other,
        }
    }

    fn take(&mut self, raw: Raw<'a>, session: Session) {
        let Raw { flags, kind, octets, .. } = raw;
        let what = if !self.seen.insert(kind) {
            Some(What::Repeated)
        } else if is_misplaced(kind, session) {
            Some(What::Misplaced)
        } else {
            match kind.flags() {
                Some(its) if flags & (OPTIONAL | TRANSITIVE) != its => {
                    // Its prefixes are looked for all the same, to be withdrawn.
                    if holds_prefixes(kind)
                        && let Err(what) = self.value(raw, session)
                    {
                        self.flaw(kind, what, octets);
                    }
                    Some(What::Flags)
                }
                Some(_) => self.value(raw, session).err(),
                None => (flags & OPTIONAL == 0).then_some(What::Unrecognized),
            }
        };
        if let Some(what) = what {
            self.flaw(kind, what, octets);
        }
    }

    fn value(&mut self, raw: Raw<'a>, session: Session) -> Result<(), What> {
        let width = if session.four_octet_as { Width::Four } else { Width::Two };
        let value = raw.value;
        match raw.kind {
            AttributeType::ORIGIN => self.origin = Some(origin(value)?),
            AttributeType::AS_PATH => self.as_path = Some(as_path::parse(width, value).ok_or(What::Value)?),
            AttributeType::AS4_PATH => {
                // Of the two only AS_PATH may be empty (RFC 7606 §4).
                let as4_path = as_path::parse(Width::Four, value).filter(|path| !path.0.is_empty());
                self.as4_path = Some(as4_path.ok_or(What::Value)?);
            }
            AttributeType::NEXT_HOP => {
                let address = Ipv4Addr::from(fixed::<4>(value)?);
                self.next_hop = Some(address).filter(|address| is_host_v4(*address));
                self.next_hop.ok_or(What::Value)?;
            }
            AttributeType::MULTI_EXIT_DISC => self.med = Some(u32::from_be_bytes(fixed(value)?)),
            AttributeType::LOCAL_PREF => self.local_pref = Some(u32::from_be_bytes(fixed(value)?)),
            AttributeType::ATOMIC_AGGREGATE => {
                let [] = fixed(value)?;
                self.atomic_aggregate = true;
            }
            AttributeType::AGGREGATOR => self.aggregator = Some(aggregator(width, value)?),
            AttributeType::AS4_AGGREGATOR => self.as4_aggregator = Some(aggregator(Width::Four, value)?),
            AttributeType::COMMUNITIES => self.communities = sorted(value, community)?,
            AttributeType::LARGE_COMMUNITY => self.large_communities = sorted(value, large_community)?,
            AttributeType::ORIGINATOR_ID => _ = fixed::<4>(value)?,
            AttributeType::CLUSTER_LIST => _ = sorted(value, |octets: [u8; 4]| octets)?,
            AttributeType::EXTENDED_COMMUNITIES => _ = sorted(value, |octets: [u8; 8]| octets)?,
            AttributeType::MP_REACH_NLRI => {
                let reach = self.reach.insert(reach(value, session)?);
                reach.next_hop.ok_or(What::Value)?;
            }
            AttributeType::MP_UNREACH_NLRI => self.unreach = unreach(value, session)?,
            _ => {}
        }
        Ok(())
    }

    fn flaw(&mut self, attribute: AttributeType, what: What, octets: &'a [u8]) {
        let flaw = Flaw { attribute, what, handling: handling(attribute, what) };
        let dearest = self.flaws.worst.is_none_or(|(worst, _)| worst.handling < flaw.handling);
        if dearest {
            self.flaws.worst = Some((flaw, octets));
        }
        // What decided is told, however many came before it.
        if dearest && self.flaws.list.len() == MAX_FLAWS {
            self.flaws.list.pop();
        }
        if self.flaws.list.len() < MAX_FLAWS {
            self.flaws.list.push(flaw);
        }
    }
}

impl<'a> Raw<'a> {
    fn read(r: &mut Reader<'a>) -> Option<Self> {
        let start = r.peek();
        let (flags, kind) = (r.u8()?, AttributeType(r.u8()?));
        let value = if flags & EXTENDED_LENGTH == 0 { r.block8() } else { r.block16() }?;
        let octets = start.get(..start.len().saturating_sub(r.peek().len()))?;
        Some(Self { flags, kind, value, octets })
    }
}

/// What an error costs, by RFC 7606 §3, §5.3 and §7.
const fn handling(attribute: AttributeType, what: What) -> Handling {
    match (attribute, what) {
        (_, What::Misplaced | What::Family)
        | (
            AttributeType::ATOMIC_AGGREGATE
            | AttributeType::AGGREGATOR
            | AttributeType::AS4_PATH
            | AttributeType::AS4_AGGREGATOR,
            What::Length | What::Value,
        ) => Handling::AttributeDiscard,
        // The prefixes are known; only where to send to is not.
        (AttributeType::MP_REACH_NLRI, What::Value) | (_, What::Overrun | What::Flags) => {
            Handling::TreatAsWithdraw
        }
        (_, What::Unrecognized) | (AttributeType::MP_REACH_NLRI | AttributeType::MP_UNREACH_NLRI, _) => {
            Handling::SessionReset
        }
        (_, What::Repeated) => Handling::AttributeDiscard,
        _ => Handling::TreatAsWithdraw,
    }
}

/// Whether it says which routes the UPDATE is about.
const fn holds_prefixes(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::MP_REACH_NLRI | AttributeType::MP_UNREACH_NLRI)
}

/// What no peer of this kind has to tell us (RFC 7606 §7.5, §7.9, §7.10; RFC 6793 §4.1).
const fn is_misplaced(kind: AttributeType, session: Session) -> bool {
    match kind {
        AttributeType::LOCAL_PREF | AttributeType::ORIGINATOR_ID | AttributeType::CLUSTER_LIST => {
            session.external
        }
        AttributeType::AS4_PATH | AttributeType::AS4_AGGREGATOR => session.four_octet_as,
        _ => false,
    }
}

fn origin(value: &[u8]) -> Result<Origin, What> {
    match fixed(value)? {
        [0] => Ok(Origin::Igp),
        [1] => Ok(Origin::Egp),
        [2] => Ok(Origin::Incomplete),
        [_] => Err(What::Value),
    }
}

fn aggregator(width: Width, value: &[u8]) -> Result<Aggregator, What> {
    let mut r = Reader::new(value);
    let (asn, identifier) = (as_path::number(width, &mut r), r.u32());
    match (asn, identifier) {
        // RFC 7607 §2.
        (Some(0), _) => Err(What::Value),
        (Some(asn), Some(bits)) if r.is_empty() => {
            Ok(Aggregator { asn, identifier: Ipv4Addr::from_bits(bits) })
        }
        _ => Err(What::Length),
    }
}

fn reach(value: &[u8], session: Session) -> Result<Reach, What> {
    let mut r = Reader::new(value);
    let (Some(afi), Some(safi), Some(next_hop), Some(_reserved)) = (r.u16(), r.u8(), r.block8(), r.u8())
    else {
        return Err(What::Network);
    };
    let family = agreed(afi, safi, session)?;
    let next_hop = match family {
        Family::Ipv4 => fixed::<4>(next_hop).map(|octets| IpAddr::from(Ipv4Addr::from(octets))),
        // A link-local address may follow the global one (RFC 2545 §3); a tunnel has no use for it.
        Family::Ipv6 => fixed::<16>(next_hop)
            .or_else(|_| {
                fixed::<32>(next_hop).and_then(|both| fixed(both.first_chunk::<16>().ok_or(What::Length)?))
            })
            .map(|octets| IpAddr::from(Ipv6Addr::from(octets))),
    };
    let next_hop = next_hop.map_err(|_| What::Network)?;
    let prefixes = nlri::parse(family, r.rest()).ok_or(What::Network)?;
    Ok(Reach { next_hop: Some(next_hop).filter(|address| is_host(*address)), prefixes })
}

fn unreach(value: &[u8], session: Session) -> Result<Vec<IpNet>, What> {
    let mut r = Reader::new(value);
    let (Some(afi), Some(safi)) = (r.u16(), r.u8()) else { return Err(What::Network) };
    let family = agreed(afi, safi, session)?;
    nlri::parse(family, r.rest()).ok_or(What::Network)
}

fn agreed(afi: u16, safi: u8, session: Session) -> Result<Family, What> {
    let family = Family::from_iana(afi, safi).filter(|family| session.families.contains(*family));
    family.ok_or(What::Family)
}

/// Whether a packet can be sent to it: a unicast address, and not of this host alone (RFC 4271 §6.3).
fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_host_v4(address),
        IpAddr::V6(address) => !(address.is_unspecified() || address.is_multicast() || address.is_loopback()),
    }
}

const fn is_host_v4(address: Ipv4Addr) -> bool {
    // 0.0.0.0/8 is "this host", what is from 224.0.0.0 on is multicast, reserved or broadcast.
    !address.is_loopback() && matches!(address.octets(), [1..=223, ..])
}

fn community(octets: [u8; 4]) -> Community {
    Community(u32::from_be_bytes(octets))
}

fn large_community(octets: [u8; 12]) -> LargeCommunity {
    let (parts, _) = octets.as_chunks::<4>();
    let mut parts = parts.iter().copied().map(u32::from_be_bytes);
    let mut part = || parts.next().unwrap_or_default();
    LargeCommunity { global: part(), local1: part(), local2: part() }
}

/// The `N`-octet elements of `value`, in ascending order, each once; one at least (RFC 7606 §7.8, RFC 8092 §6).
fn sorted<const N: usize, T: Ord>(value: &[u8], element: impl Fn([u8; N]) -> T) -> Result<Vec<T>, What> {
    let (elements, rest) = value.as_chunks::<N>();
    if elements.is_empty() || !rest.is_empty() {
        return Err(What::Length);
    }
    let all: BTreeSet<T> = elements.iter().copied().map(element).collect();
    Ok(all.into_iter().collect())
}

/// A value of `N` octets.
fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], What> {
    value.try_into().map_err(|_| What::Length)
}

/// Flaws of one UPDATE that are told; a hostile one has hundreds.
const MAX_FLAWS: usize = 8;

//! UPDATE, sent: routes and withdrawals packed into as few messages as hold them (RFC 4271 §4.3, §9.2; RFC 7606 §5.1).

use std::net::IpAddr;

use ipnet::IpNet;

use super::Session;
use super::as_path::{self, Width};
use super::family::Family;
use super::header::{HEADER, MAX_MESSAGE};
use super::iana::{AS_TRANS, AttributeType, EXTENDED_LENGTH, MessageType, OPTIONAL};
use super::nlri;
use super::reader::Reader;
use super::writer;
use crate::bgp::route::{Aggregator, Origin, Path};

/// Why a route cannot be told to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsayable {
    /// Its attributes leave no room for a prefix in a message (RFC 4271 §9.2).
    #[error("its attributes do not fit into a message")]
    TooLong,
    /// The next hop is not of the prefix's family.
    #[error("its next hop is of another address family")]
    NextHop,
}

/// The messages that announce `prefixes` over `path`, IPv4 first.
pub fn announce(path: &Path, prefixes: &[IpNet], session: Session) -> Result<Vec<Vec<u8>>, Unsayable> {
    let mut messages = Vec::new();
    for family in Family::ALL {
        let own = of_family(prefixes, family);
        if own.is_empty() {
            continue;
        }
        if Family::of_address(path.next_hop) != family {
            return Err(Unsayable::NextHop);
        }
        let attributes = attributes(path, family, session);
        let room =
            ROOM.checked_sub(attributes.len()).filter(|room| *room >= REACH.saturating_add(nlri::LONGEST));
        let room = room.ok_or(Unsayable::TooLong)?;
        match family {
            Family::Ipv4 => {
                messages.extend(pack(&own, room).iter().map(|nlri| update(&[], &attributes, nlri)));
            }
            Family::Ipv6 => messages.extend(pack(&own, room.saturating_sub(REACH)).iter().map(|nlri| {
                let field = [&reach(path.next_hop, nlri)[..], &attributes].concat();
                update(&[], &field, &[])
            })),
        }
    }
    Ok(messages)
}

/// The messages that withdraw `prefixes`, IPv4 first.
pub fn withdraw(prefixes: &[IpNet]) -> Vec<Vec<u8>> {
    let ipv4 = pack(&of_family(prefixes, Family::Ipv4), ROOM);
    let ipv6 = pack(&of_family(prefixes, Family::Ipv6), ROOM.saturating_sub(UNREACH));
    let ipv6 = ipv6.iter().map(|field| update(&[], &unreach(Family::Ipv6, field), &[]));
    ipv4.iter().map(|field| update(field, &[], &[])).chain(ipv6).collect()
}

/// The message that says: all routes of `family` have been told (RFC 4724 §2).
pub fn end_of_rib(family: Family) -> Vec<u8> {
    match family {
        Family::Ipv4 => update(&[], &[], &[]),
        Family::Ipv6 => update(&[], &unreach(family, &[]), &[]),
    }
}

/// Whether `field` is the one attribute that ends the routes of `family`, whichever length form it has.
pub(super) fn is_empty_unreach(field: &[u8], family: Family) -> bool {
    let mut r = Reader::new(field);
    let (flags, kind) = (r.u8(), r.u8().map(AttributeType));
    let long = flags.is_some_and(|flags| flags & EXTENDED_LENGTH != 0);
    let value = if long { r.block16() } else { r.block8() };
    let [high, low] = family.afi().to_be_bytes();
    kind == Some(AttributeType::MP_UNREACH_NLRI) && value == Some(&[high, low, family.safi()]) && r.is_empty()
}

fn update(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    writer::block16(&mut body, withdrawn);
    writer::block16(&mut body, attributes);
    body.extend_from_slice(nlri);
    writer::message(MessageType::UPDATE, &body)
}

/// All attributes but MP_REACH_NLRI, in ascending order (RFC 4271 §5).
fn attributes(path: &Path, family: Family, session: Session) -> Vec<u8> {
    let width = if session.four_octet_as { Width::Four } else { Width::Two };
    let mut out = Vec::new();
    attribute(&mut out, AttributeType::ORIGIN, &[origin(path.origin)]);
    attribute(&mut out, AttributeType::AS_PATH, &as_path::write(width, &path.as_path));
    if let (IpAddr::V4(next_hop), Family::Ipv4) = (path.next_hop, family) {
        attribute(&mut out, AttributeType::NEXT_HOP, &next_hop.octets());
    }
    if let Some(med) = path.med {
        attribute(&mut out, AttributeType::MULTI_EXIT_DISC, &med.to_be_bytes());
    }
    // LOCAL_PREF stays within an AS (RFC 4271 §5.1.5).
    if let Some(local_pref) = path.local_pref.filter(|_| !session.external) {
        attribute(&mut out, AttributeType::LOCAL_PREF, &local_pref.to_be_bytes());
    }
    if path.atomic_aggregate {
        attribute(&mut out, AttributeType::ATOMIC_AGGREGATE, &[]);
    }
    if let Some(aggregator) = path.aggregator {
        attribute(&mut out, AttributeType::AGGREGATOR, &aggregator_value(width, aggregator));
    }
    if !path.communities.is_empty() {
        let value: Vec<u8> =
            path.communities.iter().flat_map(|community| community.0.to_be_bytes()).collect();
        attribute(&mut out, AttributeType::COMMUNITIES, &value);
    }
    if width == Width::Two {
        four_octet_attributes(&mut out, path);
    }
    if !path.large_communities.is_empty() {
        let parts =
            path.large_communities.iter().flat_map(|large| [large.global, large.local1, large.local2]);
        let value: Vec<u8> = parts.flat_map(u32::to_be_bytes).collect();
        attribute(&mut out, AttributeType::LARGE_COMMUNITY, &value);
    }
    out
}

/// What a peer that knows two-octet AS numbers alone hands on to those who know more (RFC 6793 §4.2.2).
fn four_octet_attributes(out: &mut Vec<u8>, path: &Path) {
    if as_path::is_wide(&path.as_path) {
        attribute(out, AttributeType::AS4_PATH, &as_path::write(Width::Four, &path.as_path));
    }
    if let Some(aggregator) = path.aggregator.filter(|aggregator| u16::try_from(aggregator.asn).is_err()) {
        attribute(out, AttributeType::AS4_AGGREGATOR, &aggregator_value(Width::Four, aggregator));
    }
}

/// Appends an attribute with the flags of its specification.
fn attribute(out: &mut Vec<u8>, kind: AttributeType, value: &[u8]) {
    let flags = kind.flags().unwrap_or(OPTIONAL);
    if u8::try_from(value.len()).is_ok() {
        out.extend_from_slice(&[flags, kind.0]);
        writer::block8(out, value);
    } else {
        out.extend_from_slice(&[flags | EXTENDED_LENGTH, kind.0]);
        writer::block16(out, value);
    }
}

/// MP_REACH_NLRI (RFC 4760 §3).
fn reach(next_hop: IpAddr, nlri: &[u8]) -> Vec<u8> {
    let family = Family::of_address(next_hop);
    let mut value = family.afi().to_be_bytes().to_vec();
    value.push(family.safi());
    match next_hop {
        IpAddr::V4(address) => writer::block8(&mut value, &address.octets()),
        IpAddr::V6(address) => writer::block8(&mut value, &address.octets()),
    }
    value.push(0);
    value.extend_from_slice(nlri);
    let mut out = Vec::new();
    attribute(&mut out, AttributeType::MP_REACH_NLRI, &value);
    out
}

/// MP_UNREACH_NLRI (RFC 4760 §4).
fn unreach(family: Family, prefixes: &[u8]) -> Vec<u8> {
    let [high, low] = family.afi().to_be_bytes();
    let mut out = Vec::new();
    attribute(&mut out, AttributeType::MP_UNREACH_NLRI, &[&[high, low, family.safi()], prefixes].concat());
    out
}

/// The prefixes in fields of at most `room` octets.
fn pack(prefixes: &[IpNet], room: usize) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for prefix in prefixes {
        match fields.last_mut() {
            Some(field) if field.len().saturating_add(nlri::size(*prefix)) <= room => {
                nlri::write(field, *prefix);
            }
            Some(_) | None => {
                let mut field = Vec::new();
                nlri::write(&mut field, *prefix);
                fields.push(field);
            }
        }
    }
    fields
}

fn of_family(prefixes: &[IpNet], family: Family) -> Vec<IpNet> {
    prefixes.iter().copied().filter(|prefix| Family::of(*prefix) == family).collect()
}

const fn origin(origin: Origin) -> u8 {
    match origin {
        Origin::Igp => 0,
        Origin::Egp => 1,
        Origin::Incomplete => 2,
    }
}

fn aggregator_value(width: Width, aggregator: Aggregator) -> Vec<u8> {
    let identifier = aggregator.identifier.octets();
    match width {
        Width::Two => {
            let asn = u16::try_from(aggregator.asn).unwrap_or(AS_TRANS);
            [&asn.to_be_bytes()[..], &identifier].concat()
        }
        Width::Four => [&aggregator.asn.to_be_bytes()[..], &identifier].concat(),
    }
}

/// Octets of an UPDATE behind header and lengths.
const ROOM: usize = MAX_MESSAGE - HEADER - 4;
/// An MP_REACH_NLRI without its prefixes: flags, type, length, AFI, SAFI, next hop with its length, reserved.
const REACH: usize = 4 + 3 + 17 + 1;
/// An MP_UNREACH_NLRI without its prefixes.
const UNREACH: usize = 4 + 3;

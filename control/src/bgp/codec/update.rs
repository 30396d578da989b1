//! UPDATE (RFC 4271 §4.3, §6.3; RFC 4760; RFC 7606), received: what is withdrawn, what is announced, and what was wrong.

use std::sync::Arc;

use ipnet::IpNet;

use super::Session;
use super::attributes::{Attributes, Flaws};
use super::family::{Families, Family};
use super::flaw::{Flaw, Handling};
use super::iana::{ErrorCode, update_error};
use super::nlri;
use super::notification::Notification;
use super::reader::Reader;
use crate::bgp::route::{Path, Route};

/// What an UPDATE says. A prefix that is withdrawn and announced is announced (RFC 4271 §4.3): take them in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Prefixes that the peer leads to no more, those counted as withdrawn for a flaw among them.
    pub withdrawn: Vec<IpNet>,
    /// Routes in place of what the peer told of their prefixes before.
    pub announced: Vec<Route>,
    /// After these the peer has told all its routes of this family (RFC 4724 §2).
    pub end_of_rib: Option<Family>,
    /// What was wrong: the first few, and the dearest.
    pub flaws: Vec<Flaw>,
}

impl Update {
    /// Reads the body of a message. An error is one that resets the session.
    pub fn parse(body: &[u8], session: Session) -> Result<Self, Notification> {
        let mut r = Reader::new(body);
        let (Some(withdrawn), Some(field)) = (r.block16(), r.block16()) else {
            return Err(refused(update_error::ATTRIBUTE_LIST));
        };
        let nlri = r.rest();
        let invalid = || refused(update_error::NETWORK);
        let withdrawn = nlri::parse(Family::Ipv4, withdrawn).ok_or_else(invalid)?;
        let announced = nlri::parse(Family::Ipv4, nlri).ok_or_else(invalid)?;

        let end_of_rib = end_of_rib(body, field, session);
        let mut attributes = Attributes::read(field, session);
        let reached = attributes.reach.as_ref().is_some_and(|reach| !reach.prefixes.is_empty());
        let paths = if announced.is_empty() && !reached {
            (None, None)
        } else {
            attributes.paths(!announced.is_empty(), session)
        };
        let describes_nothing = attributes.describe_routes() && announced.is_empty() && !reached;
        let Attributes { reach, unreach, flaws, .. } = attributes;
        let keep = judge(&flaws, describes_nothing)?;

        let mut update = Self { end_of_rib, flaws: flaws.list, ..Self::default() };
        let by_reach = reach.map(|reach| reach.prefixes).unwrap_or_default();
        update.withdraw(withdrawn, session.families);
        update.withdraw(unreach, session.families);
        update.announce(announced, paths.0.filter(|_| keep), session.families);
        update.announce(by_reach, paths.1.filter(|_| keep), session.families);
        Ok(update)
    }

    fn withdraw(&mut self, prefixes: Vec<IpNet>, families: Families) {
        self.withdrawn.extend(prefixes.into_iter().filter(|prefix| families.contains(Family::of(*prefix))));
    }

    /// Routes over `path`; without one they count as withdrawn.
    fn announce(&mut self, prefixes: Vec<IpNet>, path: Option<Arc<Path>>, families: Families) {
        let Some(path) = path else { return self.withdraw(prefixes, families) };
        let agreed = prefixes.into_iter().filter(|prefix| families.contains(Family::of(*prefix)));
        self.announced.extend(agreed.map(|prefix| Route { prefix, path: Arc::clone(&path) }));
    }
}

/// Whether the routes are kept, by the dearest flaw.
///
/// Attributes without routes leave doubt whether all routes were found; with a flaw that would cost them it is the session
/// that is reset (RFC 7606 §5.2).
fn judge(flaws: &Flaws<'_>, describes_nothing: bool) -> Result<bool, Notification> {
    let Some((flaw, octets)) = flaws.worst else { return Ok(true) };
    let in_doubt = describes_nothing && flaw.handling == Handling::TreatAsWithdraw;
    let handling = if in_doubt { Handling::SessionReset } else { flaw.handling };
    match handling {
        Handling::AttributeDiscard => Ok(true),
        Handling::TreatAsWithdraw => Ok(false),
        Handling::SessionReset => {
            let data = octets.to_vec();
            Err(Notification { data, ..refused(flaw.what.subcode(flaw.attribute)) })
        }
    }
}

/// The family whose end this is: an empty UPDATE, or an empty MP_UNREACH_NLRI alone (RFC 4724 §2).
fn end_of_rib(body: &[u8], field: &[u8], session: Session) -> Option<Family> {
    let family = if body == [0; 4] {
        Family::Ipv4
    } else if body.len() == field.len().saturating_add(4) {
        Family::ALL.into_iter().find(|family| super::announce::is_empty_unreach(field, *family))?
    } else {
        return None;
    };
    session.families.contains(family).then_some(family)
}

const fn refused(subcode: u8) -> Notification {
    Notification::new(ErrorCode::UPDATE, subcode)
}

//! The chain IKE, ESP, probe, BGP, routes: its first broken link, and what breaks none and should be known.
//!
//! Each link is asked in its turn, first for what it says of itself, then for what [`crate::diagnose`] has found of it.

use core::fmt::Display;

use gotthard_ike::Time;
use gotthard_ike::error::{Failure, Stage};

use super::gateway::Gateway;
use super::record::{Device, Record, escaped};
use crate::api::status::{BrokenLink, Link, Note};
use crate::bgp::overlap::Overlap;
use crate::config::model::{Connection, Routing};
use crate::diagnose::{self, Finding};
use crate::tunnels::Phase;

/// How the chain of a tunnel holds.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Its first broken link.
    pub(super) broken: Option<BrokenLink>,
    /// What breaks none.
    pub(super) notes: Vec<Note>,
    /// Nothing comes through it, whatever its links say of themselves.
    pub(super) one_way: bool,
}

/// Asks every link of a tunnel.
pub(super) fn judge(gateway: &Gateway, connection: &Connection, record: &Record, now: Time) -> Verdict {
    if record.state.phase() == Phase::AdminDown {
        return Verdict::default();
    }
    let found = gateway.findings(record, &connection.ceilings, now);
    let of = |wanted: diagnose::Link| {
        found
            .iter()
            .find(|finding| finding.breaks() == Some(wanted))
            .map(|finding| broken_by(wanted, finding))
    };
    let beyond_sas = || {
        of(diagnose::Link::Esp)
            .or_else(|| probe(record))
            .or_else(|| of(diagnose::Link::Probe))
            .or_else(|| bgp(gateway, record))
            .or_else(|| routes(gateway, connection))
            .or_else(|| of(diagnose::Link::Routes))
    };
    let broken = match record.state.phase() {
        Phase::Up => sas(record).or_else(beyond_sas),
        Phase::AdminDown | Phase::Waiting | Phase::Connecting => sas(record),
    };
    let harmless = found.iter().filter(|finding| finding.breaks().is_none()).map(note);
    let notes = harmless.chain(overlaps(gateway, connection)).take(MOST_NOTES).collect();
    let one_way = found.iter().any(|finding| matches!(finding, Finding::OneWay { .. }));
    Verdict { broken, notes, one_way }
}

/// What keeps the tunnel from having its SAs, where it has none.
fn sas(record: &Record) -> Option<BrokenLink> {
    if let Some(why) = &record.no_path {
        return Some(link(Link::Ike, "GTH-NET-01", why, "give the host that address or a route to the peer"));
    }
    if let Device::Missing { why, .. } = &record.device {
        return Some(link(Link::Esp, "GTH-ESP-01", why, DEVICE_REMEDY));
    }
    if record.set_down {
        let why = format!("somebody has set {} down", record.tunnel.interface);
        return Some(link(Link::Esp, "GTH-ESP-01", why, "set it up again: `ip link set … up`"));
    }
    if record.state.phase() != Phase::Up {
        let at = if record.state.ike().is_some() { Link::Esp } else { Link::Ike };
        let failure = record.state.failure()?;
        return Some(link(at, failure.code(), escaped(failure), remedy(failure)));
    }
    let why = record.no_sa.as_ref()?;
    Some(link(Link::Esp, "GTH-ESP-02", why, "report it with the log"))
}

fn probe(record: &Record) -> Option<BrokenLink> {
    if record.probe_hears() {
        return None;
    }
    let (code, why, remedy) = record.why_silent();
    Some(link(Link::Probe, code, why, remedy))
}

fn bgp(gateway: &Gateway, record: &Record) -> Option<BrokenLink> {
    let session = gateway.bgp.speaker.session(record.id).filter(|session| !session.carries())?;
    let failure = session.failure?;
    Some(link(Link::Bgp, failure.code(), escaped(failure), failure.remedy()))
}

/// What keeps the prefixes of a connection from being routed.
fn routes(gateway: &Gateway, connection: &Connection) -> Option<BrokenLink> {
    if connection.routing == Routing::External {
        return None;
    }
    if let Some(why) = &gateway.route_error {
        return Some(link(Link::Routes, "GTH-RTE-02", why, ROUTES_REMEDY));
    }
    let refused = gateway.refused.iter().find(|refused| connection.remote.contains(&refused.prefix))?;
    Some(link(
        Link::Routes,
        "GTH-RTE-01",
        &refused.why,
        "mend the routes of the host or `remote`, then reload",
    ))
}

/// Prefixes that this connection and another network claim.
fn overlaps<'g>(gateway: &'g Gateway, connection: &'g Connection) -> impl Iterator<Item = Note> + 'g {
    let own = gateway.networks.overlaps.iter().filter(|overlap| overlap.is_of(&connection.name));
    own.map(|overlap| Note {
        code: overlap.code().to_owned(),
        message: overlap.to_string(),
        remedy: Overlap::remedy().to_owned(),
    })
}

fn broken_by(at: diagnose::Link, finding: &Finding) -> BrokenLink {
    let at = match at {
        diagnose::Link::Esp => Link::Esp,
        diagnose::Link::Probe => Link::Probe,
        diagnose::Link::Routes => Link::Routes,
    };
    link(at, finding.code(), finding, finding.remedy())
}

fn note(finding: &Finding) -> Note {
    Note { code: finding.code().to_owned(), message: finding.to_string(), remedy: finding.remedy() }
}

fn link(link: Link, code: &str, message: impl Display, remedy: impl Into<String>) -> BrokenLink {
    BrokenLink { link, code: code.to_owned(), message: message.to_string(), remedy: remedy.into() }
}

/// An endpoint that answers on UDP 500 and then falls silent is not down: IKE_AUTH has moved to UDP 4500 (RFC 7296 §2.23).
const fn remedy(failure: &Failure) -> &'static str {
    if matches!(failure, Failure::Timeout { exchange: Stage::Auth, .. }) {
        return AUTH_REMEDY;
    }
    failure.remedy()
}

/// Notes on one tunnel: the clouds can claim as many prefixes as they like.
const MOST_NOTES: usize = 8;

const AUTH_REMEDY: &str = "UDP 500 passes: let UDP 4500 pass both ways too; where it does, see that the peer knows our address \
                           as this tunnel's customer gateway";
const DEVICE_REMEDY: &str =
    "see that /dev/net/tun exists, that we may use it, and that no other link has the name of `interface`";
const ROUTES_REMEDY: &str = "see that nothing else changes the routes of our devices";

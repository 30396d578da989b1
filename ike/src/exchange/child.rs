//! What IKE_AUTH and CREATE_CHILD_SA have in common: the terms of a child SA (RFC 7296 §1.2, §1.3.1).

use crate::codec::DecodeError;
use crate::codec::iana::{Group, NotifyType};
use crate::codec::payload::sa::SecurityAssociation;
use crate::codec::payload::select::Select;
use crate::codec::payload::ts::TrafficSelector;
use crate::config::PeerConfig;
use crate::error::{Failure, Side};
use crate::sa::child_sa::Terms;
use crate::sa::narrow::{is_subset, narrow};
use crate::sa::negotiate::{self, Chosen, Offer, Pfs, choose_esp};
use crate::suite::EspSuite;

/// What one end asks for, or answers: SA, TSi, TSr.
pub(super) struct Request<'p> {
    sa: &'p SecurityAssociation,
    ts_i: &'p [TrafficSelector],
    ts_r: &'p [TrafficSelector],
}

impl<'p> Request<'p> {
    /// Finds the three payloads; `None` if one is missing.
    pub(super) fn find(payloads: Select<'p, '_>) -> Result<Option<Self>, DecodeError> {
        let (Some(sa), Some(ts_i), Some(ts_r)) =
            (payloads.single_sa()?, payloads.single_ts_i()?, payloads.single_ts_r()?)
        else {
            return Ok(None);
        };
        Ok(Some(Self { sa, ts_i: &ts_i.selectors, ts_r: &ts_r.selectors }))
    }
}

/// The selectors that we permit: ours and the peer's.
#[derive(Clone, Copy)]
pub(super) struct Policy<'c> {
    pub(super) ts_local: &'c [TrafficSelector],
    pub(super) ts_remote: &'c [TrafficSelector],
}

impl<'c> Policy<'c> {
    pub(super) fn of(config: &'c PeerConfig) -> Self {
        Self { ts_local: &config.ts_local, ts_remote: &config.ts_remote }
    }

    /// What another child carries.
    pub(super) fn of_terms(terms: &'c Terms) -> Self {
        Self { ts_local: &terms.ts_local, ts_remote: &terms.ts_remote }
    }

    /// Whether these selectors miss nothing of it.
    pub(super) fn is_covered_by(self, ts_local: &[TrafficSelector], ts_remote: &[TrafficSelector]) -> bool {
        is_subset(self.ts_local, ts_local) && is_subset(self.ts_remote, ts_remote)
    }
}

/// Why there is no child SA, and the notify that says so to the peer.
pub(super) struct Refused {
    pub(super) notify: NotifyType,
    pub(super) failure: Failure,
}

/// What we choose of the peer's request: the suite and both selectors, as the peer is the initiator.
pub(super) struct Choice {
    pub(super) chosen: Chosen<EspSuite>,
    pub(super) ts_local: Vec<TrafficSelector>,
    pub(super) ts_remote: Vec<TrafficSelector>,
}

impl Choice {
    /// The terms, with the SPI on which we receive.
    pub(super) fn terms(&self, spi_in: u32) -> Terms {
        Terms {
            suite: self.chosen.suite,
            esn: self.chosen.esn,
            spi_in,
            spi_out: self.chosen.spi_out(),
            ts_local: self.ts_local.clone(),
            ts_remote: self.ts_remote.clone(),
        }
    }

    /// The group that the KE payloads must have.
    pub(super) const fn group(&self) -> Option<Group> {
        self.chosen.suite.group
    }
}

/// Chooses as responder.
pub(super) fn choose(
    config: &PeerConfig,
    policy: Policy<'_>,
    request: &Request<'_>,
    pfs: Pfs,
) -> Result<Choice, Refused> {
    let Some(chosen) = choose_esp(&config.esp_suites, request.sa, pfs) else {
        let theirs = Some(negotiate::describe(request.sa));
        let failure =
            Failure::ChildProposal { by: Side::Ours, ours: negotiate::ours(&config.esp_suites), theirs };
        return Err(Refused { notify: NotifyType::NO_PROPOSAL_CHOSEN, failure });
    };
    let ts_local = narrow(policy.ts_local, request.ts_r);
    let ts_remote = narrow(policy.ts_remote, request.ts_i);
    if ts_local.is_empty() || ts_remote.is_empty() {
        let failure = refused_selectors(policy, request.ts_r, request.ts_i);
        return Err(Refused { notify: NotifyType::TS_UNACCEPTABLE, failure });
    }
    Ok(Choice { chosen, ts_local, ts_remote })
}

/// Checks the answer to our own request: a suite that we offered, and selectors within those of `policy`.
pub(super) fn accept(
    config: &PeerConfig,
    policy: Policy<'_>,
    offer: &Offer<EspSuite>,
    spi_in: u32,
    answer: &Request<'_>,
) -> Result<Terms, Failure> {
    let Some(chosen) = offer.accept(answer.sa) else {
        return Err(Failure::ChildProposal {
            by: Side::Ours,
            ours: negotiate::ours(&config.esp_suites),
            theirs: Some(negotiate::describe(answer.sa)),
        });
    };
    let (ts_local, ts_remote) = (answer.ts_i, answer.ts_r);
    let some = !ts_local.is_empty() && !ts_remote.is_empty();
    if !some || !is_subset(ts_local, policy.ts_local) || !is_subset(ts_remote, policy.ts_remote) {
        return Err(refused_selectors(policy, ts_local, ts_remote));
    }
    Ok(Terms {
        suite: chosen.suite,
        esn: chosen.esn,
        spi_in,
        spi_out: chosen.spi_out(),
        ts_local: ts_local.to_vec(),
        ts_remote: ts_remote.to_vec(),
    })
}

/// We refuse selectors of the peer.
pub(super) fn refused_selectors(
    policy: Policy<'_>,
    ts_local: &[TrafficSelector],
    ts_remote: &[TrafficSelector],
) -> Failure {
    Failure::TrafficSelectors {
        by: Side::Ours,
        ours: selectors_text(policy.ts_local, policy.ts_remote),
        theirs: Some(selectors_text(ts_local, ts_remote)),
    }
}

/// The failure that the peer's error notify stands for, when it refuses our request for a child.
pub(super) fn refused_by_peer(config: &PeerConfig, notify: NotifyType) -> Option<Failure> {
    match notify {
        NotifyType::NO_PROPOSAL_CHOSEN => Some(Failure::ChildProposal {
            by: Side::Peer,
            ours: negotiate::ours(&config.esp_suites),
            theirs: None,
        }),
        NotifyType::TS_UNACCEPTABLE | NotifyType::SINGLE_PAIR_REQUIRED => Some(Failure::TrafficSelectors {
            by: Side::Peer,
            ours: selectors_text(&config.ts_local, &config.ts_remote),
            theirs: None,
        }),
        _ => None,
    }
}

/// `0.0.0.0/0 === 10.0.0.0/8`: our side first. A long list is cut: it may be a peer's.
pub(super) fn selectors_text(local: &[TrafficSelector], remote: &[TrafficSelector]) -> String {
    format!("{} === {}", list_text(local), list_text(remote))
}

fn list_text(selectors: &[TrafficSelector]) -> String {
    let shown: Vec<_> = selectors.iter().take(MAX_SHOWN).map(ToString::to_string).collect();
    let more = if selectors.len() > MAX_SHOWN { ", ..." } else { "" };
    format!("{}{more}", if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") })
}

const MAX_SHOWN: usize = 8;

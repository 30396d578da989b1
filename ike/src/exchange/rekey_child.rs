//! Child SAs made by CREATE_CHILD_SA (RFC 7296 §1.3.1, §1.3.3, §2.8): mostly the one that takes another's place.
//!
//! At our wish the new inbound is installed when the answer is read, and we send with the new child at once: the peer
//! receives with it before its answer leaves. The old one is deleted after that. At the peer's wish we go on sending
//! with the old one until the peer shows that it has read the answer, by its next request (mostly the Delete of the old
//! one), or until a time in which a lost answer would have been asked for again.
//!
//! When both ends rekey at once each has two new children, and the one with the lowest of the four nonces is deleted by
//! the end that asked for it (§2.8.1). Until that is known both go on with the old one.

use std::sync::Arc;

use super::child::{self, Policy, Request};
use super::create_child::{self, Refused};
use super::refusal::Refusal;
use super::{Stop, ends_sa, invalid};
use crate::Time;
use crate::codec::iana::{ExchangeType, NotifyType, ProtocolId};
use crate::codec::payload::Payload;
use crate::codec::payload::ke::KeyExchange;
use crate::codec::payload::nonce::Nonce;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::crypto::dh::DhSecret;
use crate::crypto::keymat::child_keymat;
use crate::crypto::prf::Prf;
use crate::error::{Failure, Sa, Stage};
use crate::event::{EspKeys, Event};
use crate::sa::Cx;
use crate::sa::child_sa::{ChildSa, Terms};
use crate::sa::compute::Pending;
use crate::sa::ike_sa::IkeSa;
use crate::sa::negotiate::{Offer, Pfs};
use crate::sa::task::{Asked, ChildRequest, Rival, Task};
use crate::suite::EspSuite;

/// Asks for a child once the secret of the key exchange is there. Nothing where the child to be replaced is not there
/// any more, or where there is one already.
pub(super) fn start(sa: &mut IkeSa, id: u32, old: Option<u32>, cx: &mut Cx<'_>) -> Result<(), Pending> {
    let wanted = match old {
        Some(old) => sa.children.get(old).is_some_and(ChildSa::is_live),
        None => sa.children.live().is_none(),
    };
    if wanted {
        let group = preferred(sa).first().and_then(|suite| suite.group);
        let dh = group.map_or(Ok(None), |group| sa.take_secret(group, cx))?;
        ask(sa, id, old, (dh, 0, cx.now), cx);
    }
    Ok(())
}

/// Sends HDR, SK {[N(REKEY_SA)], SA, Ni, [KEi], TSi, TSr}, after as many answers that wanted another group, the first of
/// which was asked at `begun`.
fn ask(
    sa: &mut IkeSa,
    id: u32,
    old: Option<u32>,
    (dh, rounds, begun): (Option<Arc<DhSecret>>, u32, Time),
    cx: &mut Cx<'_>,
) {
    let child = old.and_then(|spi_in| sa.children.get(spi_in)).map(|child| &child.terms);
    let policy = child.map_or(Policy::of(&sa.peer.config), Policy::of_terms);
    let (ts_local, ts_remote) = (policy.ts_local.to_vec(), policy.ts_remote.to_vec());
    let suites = preferred(sa);
    let spi_in = cx.esp_spi();
    let request = ChildRequest {
        old,
        spi_in,
        offer: Offer::esp(&suites, spi_in, Pfs::Suites),
        nonce: cx.request_nonce(),
        dh,
        begun,
        rounds,
        rival: None,
    };
    let old_spi = old.map(u32::to_be_bytes);
    let rekey = old_spi.as_ref().map(|spi| Payload::Notify(Notify::of_esp(NotifyType::REKEY_SA, spi)));
    let ke = request.dh.as_ref().map(|dh| KeyExchange { group: dh.group(), public: dh.public() });
    let mut payloads: Vec<Payload<'_>> = rekey.into_iter().collect();
    payloads
        .extend([Payload::Sa(request.offer.security_association()), Payload::Nonce(Nonce(&request.nonce))]);
    payloads.extend(ke.map(Payload::Ke));
    payloads.extend([Payload::TsI(ts_local.into()), Payload::TsR(ts_remote.into())]);
    let message = sa.channel.seal_request(ExchangeType::CREATE_CHILD_SA, id, &payloads, cx);
    sa.send_request(id, Asked::Child(Box::new(request)), message, cx);
}

/// Takes the answer to our request.
pub(super) fn take_answer(sa: &mut IkeSa, payloads: Select<'_, '_>, cx: &mut Cx<'_>) -> Result<(), Stop> {
    let agreed = match payloads.error() {
        Some(notify) => Err(Refusal::of(sa, notify, cx)?),
        None => agree(sa, payloads, cx)?.map_err(Refusal::Useless),
    };
    let Some(Asked::Child(request)) = sa.requests.take().map(|in_flight| in_flight.task) else {
        return Ok(());
    };
    match agreed {
        Ok(_) if !sa.is_up() => cx.esp_spis.release(request.spi_in),
        Ok(agreed) => conclude(sa, *request, agreed, cx),
        Err(Refusal::Notify(notify, secret)) => refused(sa, &request, (notify, secret), cx),
        Err(Refusal::Useless(reason)) => {
            // The peer has made a child: it is told to forget it.
            sa.push_task(Task::DeleteChild(request.spi_in));
            fail(sa, request.old, reason, cx);
        }
    }
    Ok(())
}

/// Answers a request with N(REKEY_SA).
pub(super) fn answer(
    sa: &mut IkeSa,
    id: u32,
    rekey: &Notify<'_>,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Result<(), Refused>, Stop> {
    let spi = <[u8; 4]>::try_from(rekey.spi).ok().filter(|_| rekey.protocol == ProtocolId::ESP);
    let Some(spi) = spi else {
        return Ok(Err(Refused::new(NotifyType::CHILD_SA_NOT_FOUND)));
    };
    let asking = sa.child_request().map(|request| request.rival.is_some());
    let Some(old) = sa.children.by_spi_out(u32::from_be_bytes(spi)) else {
        // It may be the child that the answer under way to us tells of.
        let refused = match asking {
            Some(_) => Refused::new(NotifyType::TEMPORARY_FAILURE),
            None => Refused { spi: Some(spi), ..Refused::new(NotifyType::CHILD_SA_NOT_FOUND) },
        };
        return Ok(Err(refused));
    };
    if !old.is_live() || asking == Some(true) {
        return Ok(Err(Refused::new(NotifyType::TEMPORARY_FAILURE)));
    }
    let terms = old.terms.clone();
    let made = create_child::make(sa, id, Policy::of_terms(&terms), Some(terms.spi_in), payloads, cx)?;
    Ok(made.map(|rival| {
        let group = payloads.single_ke().is_ok_and(|ke| ke.is_some());
        sa.peer_has_pfs = Some(group);
        contend(sa, rival);
    }))
}

/// The peer has made a child while we ask for one ourselves.
pub(super) fn contend(sa: &mut IkeSa, rival: Rival<u32>) {
    if let Some(request) = sa.child_request() {
        request.rival = Some(rival);
    }
}

/// What both ends have agreed on.
struct Agreed {
    terms: Terms,
    /// Inbound, outbound.
    keys: (EspKeys, EspKeys),
    nonce_r: Vec<u8>,
}

/// Reads HDR, SK {SA, Nr, [KEr], TSi, TSr}. Nothing changes.
fn agree(sa: &IkeSa, payloads: Select<'_, '_>, cx: &mut Cx<'_>) -> Result<Result<Agreed, Failure>, Stop> {
    let (Some(answer), Some(nonce), ke) =
        (Request::find(payloads)?, payloads.single_nonce()?, payloads.single_ke()?)
    else {
        return Ok(Err(invalid(Stage::CreateChild, "SA, Nr, TSi or TSr is missing")));
    };
    let Some(Asked::Child(request)) = sa.asked() else {
        return Ok(Err(invalid(Stage::CreateChild, "nothing was asked")));
    };
    let config = &sa.peer.config;
    let old = request.old.and_then(|old| sa.children.get(old)).map(|child| &child.terms);
    let policy = old.map_or(Policy::of(config), Policy::of_terms);
    let terms = match child::accept(config, policy, &request.offer, request.spi_in, &answer) {
        Ok(terms) => terms,
        Err(failure) => return Ok(Err(failure)),
    };
    // A rekey may not change the selectors (RFC 7296 §2.9.2).
    if old.is_some() && !policy.is_covered_by(&terms.ts_local, &terms.ts_remote) {
        return Ok(Err(child::refused_selectors(policy, &terms.ts_local, &terms.ts_remote)));
    }
    let exchanged = match (terms.suite.group, &request.dh, ke) {
        (None, ..) => None,
        (Some(group), Some(dh), Some(ke)) if dh.group() == group && ke.group == group => {
            let exchanged = cx.agree(dh, ke.public)?;
            if exchanged.shared.is_err() {
                return Ok(Err(Failure::PublicValue { group }));
            }
            Some(exchanged)
        }
        _ => return Ok(Err(invalid(Stage::CreateChild, "KEr is not of the group that was asked for"))),
    };
    let Some(prf) = Prf::new(sa.suite.prf) else { return Ok(Err(Failure::NoSuite { what: Sa::Child })) };
    let shared = exchanged.as_ref().and_then(|exchanged| exchanged.shared.as_ref().ok());
    let (outbound, inbound) = child_keymat(prf, &sa.sk_d, shared, &request.nonce, nonce.0, &terms.suite);
    Ok(Ok(Agreed { terms, keys: (inbound, outbound), nonce_r: nonce.0.to_vec() }))
}

/// The new child is there: it takes the old one's place, or gives way to the peer's.
fn conclude(sa: &mut IkeSa, request: ChildRequest, agreed: Agreed, cx: &mut Cx<'_>) {
    let ChildRequest { old, spi_in, nonce, begun, rival, .. } = request;
    let Agreed { terms, keys, nonce_r } = agreed;
    sa.add_child(terms, keys, old.map(|_| begun), cx);
    let now = cx.now;
    let rival = rival.filter(|rival| sa.children.get(rival.spi).is_some_and(ChildSa::is_live));
    if rival.as_ref().is_some_and(|rival| rival.wins_against(&nonce, &nonce_r)) {
        sa.close_child(spi_in, cx);
        return;
    }
    if let Some(redundant) = rival.and_then(|rival| sa.children.by_spi_in(rival.spi)) {
        redundant.stay();
        redundant.rekeyed(now);
    }
    sa.switch_outbound(cx);
    if let Some(old) = old {
        sa.close_child(old, cx);
    }
}

/// The peer refuses (RFC 7296 §2.25).
fn refused(
    sa: &mut IkeSa,
    request: &ChildRequest,
    (notify, secret): (&Notify<'_>, Option<Arc<DhSecret>>),
    cx: &mut Cx<'_>,
) {
    let ChildRequest { old, spi_in, begun, rounds, .. } = *request;
    if ends_sa(notify.kind) {
        cx.esp_spis.release(spi_in);
        sa.end(Failure::Refused { exchange: Stage::CreateChild, notify: notify.kind }, cx);
        return;
    }
    let live = old.is_some_and(|old| sa.children.get(old).is_some_and(ChildSa::is_live));
    if request.rival.is_some() || (old.is_some() && !live) {
        // The peer's own child has taken its place, or the peer has deleted it.
        cx.esp_spis.release(spi_in);
        sa.note_childless(Failure::PeerDeleted { what: Sa::Child }, cx);
        return;
    }
    match (notify.kind, secret) {
        (NotifyType::INVALID_KE_PAYLOAD, Some(secret)) => {
            cx.esp_spis.release(spi_in);
            if let Some(id) = sa.requests.free() {
                ask(sa, id, old, (Some(secret), rounds.saturating_add(1), begun), cx);
            }
        }
        (NotifyType::TEMPORARY_FAILURE, _) => {
            cx.esp_spis.release(spi_in);
            retry(sa, old, cx);
        }
        (NotifyType::CHILD_SA_NOT_FOUND, _) => {
            cx.esp_spis.release(spi_in);
            if let Some(old) = old {
                sa.forget_child(old, cx);
            }
            sa.push_task(Task::MakeChild);
        }
        (kind, _) => {
            let config = &sa.peer.config;
            let reason = child::refused_by_peer(config, kind)
                .unwrap_or(Failure::Refused { exchange: Stage::CreateChild, notify: kind });
            cx.esp_spis.release(spi_in);
            fail(sa, old, reason, cx);
        }
    }
}

fn retry(sa: &mut IkeSa, old: Option<u32>, cx: &mut Cx<'_>) {
    if let Some(child) = old.and_then(|old| sa.children.by_spi_in(old)) {
        let at = IkeSa::retry_rekey_at(child.hard(), cx);
        child.retry_rekey_at(at);
    }
}

/// A rekey that will not succeed: told to the operator, and the tunnel is made anew before the child ends. Where there
/// was no child to replace, who waits for one ends the SA in time.
fn fail(sa: &mut IkeSa, old: Option<u32>, reason: Failure, cx: &mut Cx<'_>) {
    let Some(hard) = old.and_then(|old| sa.children.get(old)).map(ChildSa::hard) else { return };
    sa.reauthenticate_before(hard, cx.now);
    cx.event(Event::RekeyFailed { peer: sa.peer.id, what: Sa::Child, reason });
}

/// The suites of an offer. A peer whose own rekeys have no KE payload, as Azure's, is asked without one first where that
/// is configured: what it does itself it accepts.
fn preferred(sa: &IkeSa) -> Vec<EspSuite> {
    let suites = &sa.peer.config.esp_suites;
    if sa.peer_has_pfs != Some(false) {
        return suites.clone();
    }
    let (without, with): (Vec<_>, Vec<_>) = suites.iter().partition(|suite| suite.group.is_none());
    without.into_iter().chain(with).collect()
}

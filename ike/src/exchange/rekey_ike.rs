//! Rekey of the IKE SA (RFC 7296 §1.3.2, §2.8, §2.18). The children live on under the new one; who asked for it deletes
//! the old one.
//!
//! When both ends rekey at once each has two new IKE SAs, and the one with the lowest of the four nonces is deleted by
//! the end that asked for it (§2.8.1). Until that is known the peer's is a candidate, and the children stay.

use std::sync::Arc;

use super::create_child::{Refused, exchange_keys};
use super::established::Outcome;
use super::refusal::Refusal;
use super::{Stop, ends_sa, invalid};
use crate::Time;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::payload::Payload;
use crate::codec::payload::ke::KeyExchange;
use crate::codec::payload::nonce::Nonce;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::sa::SecurityAssociation;
use crate::codec::payload::select::Select;
use crate::crypto::dh::DhSecret;
use crate::crypto::job::Exchanged;
use crate::crypto::keymat::{IkeKeys, SkeySeed};
use crate::crypto::prf::Prf;
use crate::error::{Failure, Sa, Side, Stage};
use crate::event::Event;
use crate::limits;
use crate::sa::Cx;
use crate::sa::channel::Channel;
use crate::sa::compute::Pending;
use crate::sa::ike_sa::{IkeSa, Seed};
use crate::sa::negotiate::{self, Offer, choose_ike};
use crate::sa::task::{Asked, IkeRequest, Rival};
use crate::suite::IkeSuite;

/// Asks for an IKE SA once the secret of the key exchange is there.
pub(super) fn start(sa: &mut IkeSa, id: u32, cx: &mut Cx<'_>) -> Result<(), Pending> {
    let group = sa.peer.config.ike_suites.first().map(|suite| suite.group);
    if let Some(dh) = group.map_or(Ok(None), |group| sa.take_secret(group, cx))? {
        ask(sa, id, (dh, 0, cx.now), cx);
    }
    Ok(())
}

/// Sends HDR, SK {SA, Ni, KEi}, after as many answers that wanted another group, the first of which was asked at `begun`.
fn ask(sa: &mut IkeSa, id: u32, (dh, rounds, begun): (Arc<DhSecret>, u32, Time), cx: &mut Cx<'_>) {
    let suites = &sa.peer.config.ike_suites;
    let spi_i = cx.ike_spi();
    let offer = Offer::ike(suites, &spi_i.to_be_bytes());
    let request = IkeRequest { spi_i, offer, nonce: cx.request_nonce(), dh, begun, rounds, rival: None };
    let payloads = [
        Payload::Sa(request.offer.security_association()),
        Payload::Nonce(Nonce(&request.nonce)),
        Payload::Ke(KeyExchange { group: request.dh.group(), public: request.dh.public() }),
    ];
    let message = sa.channel.seal_request(ExchangeType::CREATE_CHILD_SA, id, &payloads, cx);
    sa.send_request(id, Asked::Ike(Box::new(request)), message, cx);
}

/// Takes the answer to our request: the IKE SA that takes this one's place, ours or the peer's.
pub(super) fn take_answer(
    sa: &mut IkeSa,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Outcome, Stop> {
    let agreed = match payloads.error() {
        Some(notify) => Err(Refusal::of(sa, notify, cx)?),
        None => agree(sa, payloads, cx)?.map_err(Refusal::Useless),
    };
    let Some(Asked::Ike(request)) = sa.requests.take().map(|in_flight| in_flight.task) else {
        return Ok(Outcome::Done);
    };
    Ok(match agreed {
        Ok(agreed) => conclude(sa, *request, agreed, cx),
        Err(Refusal::Notify(notify, secret)) => refused(sa, *request, (notify, secret), cx),
        Err(Refusal::Useless(reason)) => fail(sa, request.rival, reason, cx),
    })
}

/// Answers a request with SA, Ni, KEi for an IKE SA, and makes it. The peer is its original initiator.
pub(super) fn answer(
    sa: &mut IkeSa,
    id: u32,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Result<Outcome, Refused>, Stop> {
    let (Some(offer), Some(nonce)) = (payloads.single_sa()?, payloads.single_nonce()?) else {
        return Ok(Err(Refused::new(NotifyType::INVALID_SYNTAX)));
    };
    let peer = sa.peer.clone();
    let refused = || Refused::new(NotifyType::NO_PROPOSAL_CHOSEN);
    let Some(chosen) = choose_ike(&peer.config.ike_suites, offer, IKE_SPI_LEN) else {
        return Ok(Err(refused()));
    };
    let exchanged = match exchange_keys(Some(chosen.suite.group), payloads.single_ke()?, cx)? {
        Ok(Some(exchanged)) => exchanged,
        Ok(None) => return Ok(Err(refused())),
        Err(refused) => return Ok(Err(refused)),
    };
    let (Some(spi_i), Some(new_prf)) = (chosen.spi.first_chunk(), Prf::new(chosen.suite.prf)) else {
        return Ok(Err(refused()));
    };
    let dh = exchanged.secret.clone();
    let spis = (u64::from_be_bytes(*spi_i), cx.ike_spi());
    let nonce_r = cx.nonce(nonce.0.len(), new_prf);
    let made = Made { suite: chosen.suite, spis, nonces: (nonce.0.to_vec(), nonce_r.clone()), exchanged };
    let Some(mut successor) = made.into_sa(sa, false, cx.came, cx) else { return Ok(Err(refused())) };
    let payloads = [
        Payload::Sa(chosen.reply(&spis.1.to_be_bytes())),
        Payload::Nonce(Nonce(&nonce_r)),
        Payload::Ke(KeyExchange { group: dh.group(), public: dh.public() }),
    ];
    let response = sa.channel.seal_response(ExchangeType::CREATE_CHILD_SA, id, &payloads, cx);
    sa.adopt_response(id, response, cx);
    let lowest_nonce = nonce_r.min(nonce.0.to_vec());
    if let Some(request) = sa.ike_request() {
        request.rival = Some(Rival { spi: spis.1, lowest_nonce });
        successor.make_candidate(cx.now + limits::REDUNDANT_LIFETIME);
        return Ok(Ok(Outcome::Kept(successor)));
    }
    sa.hand_over_to(&mut successor, cx);
    sa.make_redundant(cx.now + limits::REDUNDANT_LIFETIME);
    Ok(Ok(Outcome::Kept(successor)))
}

/// What both ends have agreed on.
struct Made {
    suite: IkeSuite,
    /// Initiator's, responder's.
    spis: (u64, u64),
    /// Initiator's, responder's.
    nonces: (Vec<u8>, Vec<u8>),
    exchanged: Arc<Exchanged>,
}

impl Made {
    /// The IKE SA, without children.
    fn into_sa(
        self,
        old: &IkeSa,
        original_initiator: bool,
        begun: Time,
        cx: &mut Cx<'_>,
    ) -> Option<Box<IkeSa>> {
        let Self { suite, spis, nonces, exchanged } = self;
        let (prf, shared) = (Prf::new(old.suite.prf)?, exchanged.shared.as_ref().ok()?);
        let skeyseed = SkeySeed::rekey(prf, &old.sk_d, &nonces.0, &nonces.1, shared);
        let keys = IkeKeys::derive(&suite, &skeyseed, &nonces.0, &nonces.1, spis.0, spis.1)?;
        let fragments = old.channel.fragments();
        let channel = Channel::new(spis, original_initiator, fragments, &suite, &keys, cx)?;
        let seed = Seed {
            peer: old.peer.clone(),
            suite,
            sk_d: keys.d,
            channel,
            path: old.path,
            nat: old.nat,
            next_ids: (0, 0),
            handshake: old.handshake.clone(),
            begun,
        };
        Some(Box::new(IkeSa::new(seed, cx)))
    }
}

/// Reads HDR, SK {SA, Nr, KEr}. Nothing changes.
fn agree(sa: &IkeSa, payloads: Select<'_, '_>, cx: &mut Cx<'_>) -> Result<Result<Made, Failure>, Stop> {
    let (Some(answer), Some(nonce), Some(ke)) =
        (payloads.single_sa()?, payloads.single_nonce()?, payloads.single_ke()?)
    else {
        return Ok(Err(invalid(Stage::CreateChild, "SA, Nr or KEr is missing")));
    };
    let Some(Asked::Ike(request)) = sa.asked() else {
        return Ok(Err(invalid(Stage::CreateChild, "nothing was asked")));
    };
    let group = request.dh.group();
    let Some(chosen) = request.offer.accept(answer).filter(|c| c.suite.group == group) else {
        return Ok(Err(no_proposal(sa, Side::Ours, Some(answer))));
    };
    let Some(spi_r) = chosen.spi.first_chunk().filter(|_| ke.group == group) else {
        return Ok(Err(invalid(Stage::CreateChild, "KEr is not of the group that was asked for")));
    };
    let exchanged = cx.agree(&request.dh, ke.public)?;
    if exchanged.shared.is_err() {
        return Ok(Err(Failure::PublicValue { group }));
    }
    let spis = (request.spi_i, u64::from_be_bytes(*spi_r));
    let nonces = (request.nonce.clone(), nonce.0.to_vec());
    Ok(Ok(Made { suite: chosen.suite, spis, nonces, exchanged }))
}

/// The new IKE SA is there: it takes the old one's place, or gives way to the peer's.
fn conclude(sa: &mut IkeSa, request: IkeRequest, made: Made, cx: &mut Cx<'_>) -> Outcome {
    let loses = request.rival.as_ref().is_some_and(|r| r.wins_against(&made.nonces.0, &made.nonces.1));
    let Some(mut successor) = made.into_sa(sa, true, request.begun, cx) else {
        return fail(sa, request.rival, Failure::NoSuite { what: Sa::Ike }, cx);
    };
    if !sa.is_up() || loses {
        successor.delete(None);
        let candidate = request.rival.filter(|_| sa.is_up()).map(|rival| rival.spi);
        return Outcome::Lost { ours: successor, candidate };
    }
    sa.hand_over_to(&mut successor, cx);
    sa.delete(None);
    Outcome::Kept(successor)
}

/// The peer refuses (RFC 7296 §2.25).
fn refused(
    sa: &mut IkeSa,
    request: IkeRequest,
    (notify, secret): (&Notify<'_>, Option<Arc<DhSecret>>),
    cx: &mut Cx<'_>,
) -> Outcome {
    if ends_sa(notify.kind) {
        sa.end(Failure::Refused { exchange: Stage::CreateChild, notify: notify.kind }, cx);
        return Outcome::Done;
    }
    match (notify.kind, secret) {
        (NotifyType::INVALID_KE_PAYLOAD, Some(secret)) if request.rival.is_none() && sa.is_up() => {
            if let Some(id) = sa.requests.free() {
                ask(sa, id, (secret, request.rounds.saturating_add(1), request.begun), cx);
            }
            Outcome::Done
        }
        (NotifyType::TEMPORARY_FAILURE, _) if request.rival.is_none() => {
            sa.retry_rekey(cx);
            Outcome::Done
        }
        (NotifyType::NO_PROPOSAL_CHOSEN, _) => {
            let reason = no_proposal(sa, Side::Peer, None);
            fail(sa, request.rival, reason, cx)
        }
        (kind, _) => {
            let reason = Failure::Refused { exchange: Stage::CreateChild, notify: kind };
            fail(sa, request.rival, reason, cx)
        }
    }
}

/// A rekey that will not succeed. The peer's own has, if there is one; else the operator is told, and the tunnel is made
/// anew before the SA ends.
fn fail(sa: &mut IkeSa, rival: Option<Rival<u64>>, reason: Failure, cx: &mut Cx<'_>) -> Outcome {
    if !sa.is_up() {
        return Outcome::Done;
    }
    if let Some(rival) = rival {
        return Outcome::Adopt { candidate: rival.spi };
    }
    sa.reauthenticate_before(sa.hard(), cx.now);
    cx.event(Event::RekeyFailed { peer: sa.peer.id, what: Sa::Ike, reason });
    Outcome::Done
}

fn no_proposal(sa: &IkeSa, by: Side, theirs: Option<&SecurityAssociation>) -> Failure {
    let ours = negotiate::ours(&sa.peer.config.ike_suites);
    Failure::IkeProposal { by, ours, theirs: theirs.map(negotiate::describe) }
}

const IKE_SPI_LEN: usize = 8;

//! CREATE_CHILD_SA as responder (RFC 7296 §1.3): which of its three uses a request is, and what refuses it.

use std::sync::Arc;

use super::child::{self, Choice, Policy, Request};
use super::established::Outcome;
use super::{Stop, invalid, rekey_child, rekey_ike};
use crate::codec::iana::{ExchangeType, Group, NotifyType, ProtocolId};
use crate::codec::payload::Payload;
use crate::codec::payload::ke::KeyExchange;
use crate::codec::payload::nonce::Nonce;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::crypto::dh::DhSecret;
use crate::crypto::job::Exchanged;
use crate::crypto::keymat::child_keymat;
use crate::crypto::prf::Prf;
use crate::error::Stage;
use crate::sa::Cx;
use crate::sa::compute::Pending;
use crate::sa::ike_sa::IkeSa;
use crate::sa::negotiate::Pfs;
use crate::sa::task::{Asked, Rival};

/// Answers a request. While we change the IKE SA ourselves no child is made, and the other way round: the peer asks
/// again (RFC 7296 §2.25).
pub(super) fn answer(
    sa: &mut IkeSa,
    id: u32,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Outcome, Stop> {
    let rekey = payloads.single_notify(NotifyType::REKEY_SA)?;
    let is_ike = payloads
        .single_sa()?
        .is_some_and(|sa| sa.proposals.iter().any(|proposal| proposal.protocol == ProtocolId::IKE));
    let busy = match sa.asked() {
        Some(Asked::Ike(request)) => !is_ike || request.rival.is_some(),
        Some(Asked::Child(_) | Asked::DeleteChild(_)) => is_ike,
        Some(Asked::Liveness | Asked::DeleteIke) | None => false,
    };
    let answered = if busy || !sa.is_up() {
        // Not up is closing or replaced: whatever it is, it is too late for it here (RFC 7296 §2.25.2).
        Err(Refused::new(NotifyType::TEMPORARY_FAILURE))
    } else if is_ike {
        rekey_ike::answer(sa, id, payloads, cx)?
    } else if let Some(notify) = rekey {
        rekey_child::answer(sa, id, notify, payloads, cx)?.map(|()| Outcome::Done)
    } else if sa.children.live().is_some() {
        Err(Refused::new(NotifyType::NO_ADDITIONAL_SAS))
    } else {
        let peer = sa.peer.clone();
        let made = make(sa, id, Policy::of(&peer.config), None, payloads, cx)?;
        made.map(|rival| {
            rekey_child::contend(sa, rival);
            Outcome::Done
        })
    };
    Ok(answered.unwrap_or_else(|refused| {
        refuse(sa, id, &refused, cx);
        Outcome::Done
    }))
}

/// Why a request is refused, as it goes on the wire.
pub(super) struct Refused {
    pub(super) notify: NotifyType,
    pub(super) data: Vec<u8>,
    /// The child SA that it is about.
    pub(super) spi: Option<[u8; 4]>,
}

impl Refused {
    pub(super) const fn new(notify: NotifyType) -> Self {
        Self { notify, data: Vec::new(), spi: None }
    }

    /// Asks for a KE payload of another group (RFC 7296 §1.3).
    pub(super) fn group(group: Group) -> Self {
        Self { notify: NotifyType::INVALID_KE_PAYLOAD, data: group.0.to_be_bytes().to_vec(), spi: None }
    }
}

/// Makes a child SA within `policy`, mostly in the place of `old` (our SPI): its inbound is installed before the answer
/// leaves.
pub(super) fn make(
    sa: &mut IkeSa,
    id: u32,
    policy: Policy<'_>,
    old: Option<u32>,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Result<Rival<u32>, Refused>, Stop> {
    let (Some(request), Some(nonce)) = (Request::find(payloads)?, payloads.single_nonce()?) else {
        return Ok(Err(Refused::new(NotifyType::INVALID_SYNTAX)));
    };
    let peer = sa.peer.clone();
    let choice = match child::choose(&peer.config, policy, &request, Pfs::Suites) {
        Ok(choice) => choice,
        Err(refused) => return Ok(Err(Refused::new(refused.notify))),
    };
    // A rekey may not change the selectors (RFC 7296 §2.9.2).
    if old.is_some() && !policy.is_covered_by(&choice.ts_local, &choice.ts_remote) {
        return Ok(Err(Refused::new(NotifyType::TS_UNACCEPTABLE)));
    }
    let exchanged = match exchange_keys(choice.group(), payloads.single_ke()?, cx)? {
        Ok(exchanged) => exchanged,
        Err(refused) => return Ok(Err(refused)),
    };
    if !sa.children.has_room() {
        return Ok(Err(Refused::new(NotifyType::TEMPORARY_FAILURE)));
    }
    let Some(prf) = Prf::new(sa.suite.prf) else {
        return Ok(Err(Refused::new(NotifyType::NO_PROPOSAL_CHOSEN)));
    };
    let nonce_r = cx.nonce(nonce.0.len(), prf);
    let shared = exchanged.as_ref().and_then(|exchanged| exchanged.shared.as_ref().ok());
    let keys = child_keymat(prf, &sa.sk_d, shared, nonce.0, &nonce_r, &choice.chosen.suite);
    let spi_in = cx.esp_spi();
    if let Some(old) = old.and_then(|old| sa.children.by_spi_in(old)) {
        old.rekeyed(cx.now);
    }
    sa.add_child(choice.terms(spi_in), keys, old.map(|_| cx.came), cx);
    respond(sa, id, &choice, spi_in, &nonce_r, exchanged.as_ref().map(|exchanged| &*exchanged.secret), cx);
    Ok(Ok(Rival { spi: spi_in, lowest_nonce: nonce_r.min(nonce.0.to_vec()) }))
}

/// Our half of a key exchange, with a shared secret; nothing where the suite has none.
pub(super) fn exchange_keys(
    group: Option<Group>,
    theirs: Option<&KeyExchange<'_>>,
    cx: &mut Cx<'_>,
) -> Result<Result<Option<Arc<Exchanged>>, Refused>, Pending> {
    let Some(group) = group else { return Ok(Ok(None)) };
    let Some(theirs) = theirs.filter(|ke| ke.group == group) else {
        return Ok(Err(Refused::group(group)));
    };
    Ok(match cx.exchange(group, theirs.public)? {
        None => Err(Refused::new(NotifyType::NO_PROPOSAL_CHOSEN)),
        Some(exchanged) if exchanged.shared.is_err() => Err(Refused::new(NotifyType::INVALID_SYNTAX)),
        exchanged => Ok(exchanged),
    })
}

fn respond(
    sa: &mut IkeSa,
    id: u32,
    choice: &Choice,
    spi_in: u32,
    nonce_r: &[u8],
    dh: Option<&DhSecret>,
    cx: &mut Cx<'_>,
) {
    let mut payloads =
        vec![Payload::Sa(choice.chosen.reply(&spi_in.to_be_bytes())), Payload::Nonce(Nonce(nonce_r))];
    payloads.extend(dh.map(|dh| Payload::Ke(KeyExchange { group: dh.group(), public: dh.public() })));
    payloads.extend([
        Payload::TsI(choice.ts_remote.clone().into()),
        Payload::TsR(choice.ts_local.clone().into()),
    ]);
    sa.send_response(id, ExchangeType::CREATE_CHILD_SA, &payloads, cx);
}

fn refuse(sa: &mut IkeSa, id: u32, refused: &Refused, cx: &mut Cx<'_>) {
    let notify = match &refused.spi {
        Some(spi) => Notify::of_esp(refused.notify, spi),
        None => Notify::new(refused.notify, &refused.data),
    };
    sa.send_response(id, ExchangeType::CREATE_CHILD_SA, &[Payload::Notify(notify)], cx);
    if refused.notify == NotifyType::INVALID_SYNTAX {
        // It ends the SA, without a Delete (RFC 7296 §2.21.3).
        let detail = "a payload is missing, or the key exchange value is invalid";
        sa.end(invalid(Stage::CreateChild, detail), cx);
    }
}

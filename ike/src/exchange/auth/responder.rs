//! IKE_AUTH as responder. Until AUTH is verified nothing outside the half-open SA changes.

use core::time::Duration;
use std::sync::Arc;

use super::proof::{self, Proof, Role};
use super::{Authenticated, Child, first_child_keys, shown};
use crate::codec::DecodeError;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::payload::Payload;
use crate::codec::payload::id::{Identification, Identity};
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::error::{Failure, Sa, Stage};
use crate::exchange::child::{self, Choice, Policy, Request};
use crate::exchange::init::{Agreed, HalfOpen};
use crate::exchange::{invalid, refusal_of};
use crate::sa::channel::Opened;
use crate::sa::handshake::Handshake;
use crate::sa::ike_sa::{IkeSa, Seed};
use crate::sa::negotiate::Pfs;
use crate::sa::sealed::Sealed;
use crate::sa::{Cx, Path, Peer};

/// What an IKE_AUTH request is worth.
pub(crate) enum Verdict {
    /// The initiator is this peer.
    Accepted(AuthRequest),
    /// It is not, or the request cannot be read: what goes on the wire, and whom it concerns.
    Refused { notify: NotifyType, data: Vec<u8>, peer: Option<Arc<Peer>>, failure: Failure },
}

/// A request of an initiator that has proved who it is.
pub(crate) struct AuthRequest {
    peer: Arc<Peer>,
    proof: Proof,
    child: Result<Choice, child::Refused>,
    initial_contact: bool,
}

impl HalfOpen {
    /// What an authentic request says.
    /// `unix` is the time since 1970, for certificates.
    pub(crate) fn check(&self, opened: &Opened, unix: Duration) -> Verdict {
        let read = opened.payloads().and_then(|payloads| self.read(Select(&payloads), unix));
        read.unwrap_or_else(|error| {
            let (notify, data) = refusal_of(error);
            self.refuse(notify, data, invalid(Stage::Auth, error))
        })
    }

    /// Refuses the request. The half-open SA stays for a retransmission of it.
    pub(crate) fn refuse_auth(
        &mut self,
        id: u32,
        (notify, data): (NotifyType, &[u8]),
        path: Path,
        cx: &mut Cx<'_>,
    ) {
        let payload = Payload::Notify(Notify::new(notify, data));
        let mut response = self.channel.seal_response(ExchangeType::IKE_AUTH, id, &[payload], cx);
        self.channel.transmit(&mut response, path, cx);
        self.refusal = Some(response);
    }

    /// Makes the IKE SA. Its response is sealed, and leaves once the child's inbound is installed.
    pub(crate) fn establish(
        self,
        request: AuthRequest,
        id: u32,
        path: Path,
        cx: &mut Cx<'_>,
    ) -> (Authenticated, Sealed) {
        let AuthRequest { peer, proof, child, initial_contact } = request;
        let Self { mut channel, agreed, born, .. } = self;
        let mut payloads = vec![Payload::IdR(Identification::new(peer.config.local_id.clone()))];
        payloads.extend(proof::certificates(&peer.config.auth));
        payloads.push(proof.payload());
        let child = match child {
            Ok(choice) => {
                let spi_in = cx.esp_spi();
                let terms = choice.terms(spi_in);
                payloads.extend([
                    Payload::Sa(choice.chosen.reply(&spi_in.to_be_bytes())),
                    Payload::TsI(terms.ts_remote.clone().into()),
                    Payload::TsR(terms.ts_local.clone().into()),
                ]);
                let keys = first_child_keys(&agreed, &terms);
                keys.ok_or(Failure::NoSuite { what: Sa::Child }).map(|keys| Child { terms, keys })
            }
            Err(refused) => {
                payloads.push(Payload::Notify(Notify::new(refused.notify, &[])));
                Err(refused.failure)
            }
        };
        let response = channel.seal_response(ExchangeType::IKE_AUTH, id, &payloads, cx);
        let Agreed { suite, nonce_i, nonce_r, keys, nat, .. } = agreed;
        let next_ids = (0, id);
        let handshake = Handshake::new(born, cx.now, false, (nonce_i, nonce_r));
        let seed =
            Seed { peer, suite, sk_d: keys.d, channel, path, nat, next_ids, handshake, begun: cx.came };
        let sa = Box::new(IkeSa::new(seed, cx));
        (Authenticated { sa, child, initial_contact }, response)
    }

    fn read(&self, payloads: Select<'_, '_>, unix: Duration) -> Result<Verdict, DecodeError> {
        let (Some(id_i), Some(auth)) = (payloads.single_id_i()?, payloads.single_auth()?) else {
            // An initiator that leaves AUTH out wants EAP (RFC 7296 §2.16), which is not here.
            let failure = invalid(Stage::Auth, "IDi or AUTH is missing");
            return Ok(self.refuse(NotifyType::AUTHENTICATION_FAILED, Vec::new(), failure));
        };
        let id_r = payloads.single_id_r()?;
        let known = self.find(&id_i.identity, id_r.map(|id| &id.identity));
        let Some(peer) = known else {
            proof::check_nobody(&self.agreed, id_i, auth);
            let ours = self.candidates.iter().map(|peer| peer.config.remote_id.to_string());
            let ours = ours.collect::<Vec<_>>().join(" or ");
            let failure = Failure::PeerIdentity { ours, theirs: shown(id_i) };
            return Ok(self.refuse(NotifyType::AUTHENTICATION_FAILED, Vec::new(), failure));
        };
        let config = &peer.config;
        let proved = proof::check(&self.agreed, config, Role::Initiator, (id_i, auth), payloads, unix);
        let id_r = Identification::new(config.local_id.clone());
        let proof = match proved.and_then(|()| Proof::make(&self.agreed, config, Role::Responder, &id_r.body))
        {
            Ok(proof) => proof,
            Err(failure) => {
                let (notify, data) = (NotifyType::AUTHENTICATION_FAILED, Vec::new());
                return Ok(Verdict::Refused { notify, data, peer: Some(peer.clone()), failure });
            }
        };
        let Some(request) = Request::find(payloads)? else {
            let failure = invalid(Stage::Auth, "SA, TSi or TSr is missing");
            return Ok(self.refuse(NotifyType::INVALID_SYNTAX, Vec::new(), failure));
        };
        Ok(Verdict::Accepted(AuthRequest {
            peer: peer.clone(),
            proof,
            child: child::choose(&peer.config, Policy::of(&peer.config), &request, Pfs::Absent),
            initial_contact: payloads.has_notify(NotifyType::INITIAL_CONTACT),
        }))
    }

    /// The peer that has this identity; where several have, the one that is asked for. An initiator may ask for an
    /// identity that we do not show: it decides then whether it likes ours (RFC 7296 §3.5).
    fn find(&self, id_i: &Identity, id_r: Option<&Identity>) -> Option<&Arc<Peer>> {
        let has_id = |peer: &&Arc<Peer>| peer.config.remote_id.matches(id_i);
        let is_asked_for = |peer: &&Arc<Peer>| id_r.is_some_and(|id_r| peer.config.local_id.matches(id_r));
        let mut having = self.candidates.iter().filter(has_id);
        self.candidates.iter().filter(has_id).find(is_asked_for).or_else(|| having.next())
    }

    fn refuse(&self, notify: NotifyType, data: Vec<u8>, failure: Failure) -> Verdict {
        Verdict::Refused { notify, data, peer: self.candidates.first().cloned(), failure }
    }
}

//! IKE_SA_INIT as responder: an answer, and a half-open IKE SA that waits for IKE_AUTH (RFC 7296 §1.2, §2.7).

use std::sync::Arc;

use super::{Agreed, announced_hashes, derive, response_header};
use crate::Time;
use crate::codec::DecodeError;
use crate::codec::header::Header;
use crate::codec::iana::NotifyType;
use crate::codec::message::{self, Message};
use crate::codec::payload::Payload;
use crate::codec::payload::ke::KeyExchange;
use crate::codec::payload::nonce::Nonce;
use crate::codec::payload::notify::Notify;
use crate::config::Encapsulation;
use crate::crypto::job::Exchanged;
use crate::crypto::prf::Prf;
use crate::crypto::signature::Hashes;
use crate::error::{Failure, Refusal, Side};
use crate::event::Nat;
use crate::exchange::auth;
use crate::limits;
use crate::sa::channel::Channel;
use crate::sa::compute::Pending;
use crate::sa::natt::{self, Detection};
use crate::sa::negotiate::{self, Chosen, choose_ike};
use crate::sa::sealed::{FragmentSizes, Sealed};
use crate::sa::{Cx, Path, Peer};
use crate::suite::IkeSuite;

/// A request that can be answered.
pub(crate) struct InitRequest {
    header: Header,
    /// Peers that have these addresses and this suite; which one it is, IKE_AUTH says.
    candidates: Vec<Arc<Peer>>,
    chosen: Chosen<IkeSuite>,
    exchanged: Arc<Exchanged>,
    nonce_i: Vec<u8>,
    nat: Option<Nat>,
    hashes: Hashes,
    fragmentation: bool,
    path: Path,
}

/// Why a request is not answered with an SA.
pub(crate) enum Unanswered {
    /// The key exchange is being computed.
    Pending,
    /// It makes none.
    Refused(Refused),
}

/// Why a request makes no SA: what goes on the wire, and what the operator is told.
pub(crate) struct Refused {
    pub(crate) notify: NotifyType,
    pub(crate) data: Vec<u8>,
    pub(crate) failure: Option<Failure>,
}

impl Refused {
    const fn silently(notify: NotifyType) -> Self {
        Self { notify, data: Vec::new(), failure: None }
    }
}

impl From<Refused> for Unanswered {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Pending> for Unanswered {
    fn from(_: Pending) -> Self {
        Self::Pending
    }
}

impl From<DecodeError> for Unanswered {
    fn from(_: DecodeError) -> Self {
        Refused::silently(NotifyType::INVALID_SYNTAX).into()
    }
}

impl InitRequest {
    /// Reads a request to any of `peers`, and does the key exchange. Nothing is kept if it is refused.
    pub(crate) fn check(
        message: &Message<'_>,
        path: Path,
        peers: &[Arc<Peer>],
        cx: &mut Cx<'_>,
    ) -> Result<Self, Unanswered> {
        let payloads = message.select();
        let (Some(sa), Some(ke), Some(nonce)) =
            (payloads.single_sa()?, payloads.single_ke()?, payloads.single_nonce()?)
        else {
            return Err(Refused::silently(NotifyType::INVALID_SYNTAX).into());
        };
        let chosen = peers.iter().find_map(|peer| choose_ike(&peer.config.ike_suites, sa, 0));
        let Some(chosen) = chosen else {
            let suites: Vec<IkeSuite> =
                peers.iter().flat_map(|peer| peer.config.ike_suites.iter().copied()).collect();
            return Err(Refused {
                notify: NotifyType::NO_PROPOSAL_CHOSEN,
                data: Vec::new(),
                failure: Some(Failure::IkeProposal {
                    by: Side::Ours,
                    ours: negotiate::ours(&suites),
                    theirs: Some(negotiate::describe(sa)),
                }),
            }
            .into());
        };
        let group = chosen.suite.group;
        if ke.group != group {
            let data = group.0.to_be_bytes().to_vec();
            return Err(Refused { notify: NotifyType::INVALID_KE_PAYLOAD, data, failure: None }.into());
        }
        let exchanged = cx.exchange(group, ke.public)?;
        let exchanged = exchanged.ok_or_else(|| Refused::silently(NotifyType::NO_PROPOSAL_CHOSEN))?;
        if exchanged.shared.is_err() {
            return Err(Refused::silently(NotifyType::INVALID_SYNTAX).into());
        }
        let candidates =
            peers.iter().filter(|peer| peer.config.ike_suites.contains(&chosen.suite)).cloned().collect();
        Ok(Self {
            header: message.header,
            candidates,
            chosen,
            exchanged,
            nonce_i: nonce.0.to_vec(),
            nat: natt::detect(payloads, message.header.spi_i, 0, path),
            hashes: announced_hashes(payloads),
            fragmentation: payloads.has_notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
            path,
        })
    }
}

/// Answers a request: HDR, SAr1, KEr, Nr, and nothing that the request did not ask for, so that who forges a source
/// address gains nothing.
pub(crate) fn answer(request: InitRequest, spi_r: u64, datagram: &[u8], cx: &mut Cx<'_>) -> Option<HalfOpen> {
    let InitRequest { header, candidates, chosen, exchanged, nonce_i, nat, hashes, fragmentation, path } =
        request;
    let spis = (header.spi_i, spi_r);
    let nonce_r = cx.nonce(nonce_i.len(), Prf::new(chosen.suite.prf)?);
    let keys = derive(&chosen.suite, exchanged.shared.as_ref().ok()?, (&nonce_i, &nonce_r), spis)?;
    let forced = candidates.iter().any(|peer| peer.config.encapsulation == Encapsulation::Udp);
    let encapsulation = if forced { Encapsulation::Udp } else { Encapsulation::Auto };
    let detection = Detection::new(spis.0, spis.1, path, encapsulation, cx.random);
    let mut payloads = vec![
        Payload::Sa(chosen.reply(&[])),
        Payload::Ke(KeyExchange { group: exchanged.secret.group(), public: exchanged.secret.public() }),
        Payload::Nonce(Nonce(&nonce_r)),
    ];
    if nat.is_some() {
        payloads.extend(detection.payloads());
    }
    if fragmentation {
        payloads.push(Payload::Notify(Notify::new(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[])));
    }
    let ours = Hashes::emit_ours();
    let auth = candidates.iter().map(|peer| &peer.config.auth).find(|auth| auth.as_certificate().is_some());
    if let Some(auth) = auth {
        if !hashes.is_empty() {
            payloads.push(Payload::Notify(Notify::new(NotifyType::SIGNATURE_HASH_ALGORITHMS, &ours)));
        }
        let so_far = message::emit_clear(response_header(spis.0, spis.1), &payloads).len();
        let room = datagram.len().checked_sub(so_far + EMPTY_CERTREQ_LEN);
        payloads.extend(room.and_then(|room| auth::certificate_request(auth, room)));
    }
    let response = message::emit_clear(response_header(spis.0, spis.1), &payloads);
    let smallest = candidates.iter().map(|peer| peer.config.fragment_size).min().filter(|_| fragmentation);
    let fragments = smallest.map(|size| FragmentSizes::new(size, path.remote.ip()));
    let channel = Channel::new(spis, false, fragments, &chosen.suite, &keys, cx)?;
    cx.transmit(path, response.clone());
    Some(HalfOpen {
        candidates,
        channel,
        agreed: Agreed {
            suite: chosen.suite,
            spi_i: spis.0,
            spi_r: spis.1,
            nonce_i,
            nonce_r,
            keys,
            request: datagram.to_vec(),
            response,
            fragments,
            hashes,
            path,
            nat: nat.unwrap_or_default(),
        },
        born: cx.now,
        refusal: None,
    })
}

/// IKE_SA_INIT response sent; awaiting HDR, SK {IDi, AUTH, SAi2, TSi, TSr}.
pub(crate) struct HalfOpen {
    pub(crate) candidates: Vec<Arc<Peer>>,
    pub(crate) channel: Channel,
    pub(crate) agreed: Agreed,
    pub(crate) born: Time,
    /// IKE_AUTH was refused with this response, which is sent again when the request is.
    pub(crate) refusal: Option<Sealed>,
}

impl HalfOpen {
    /// The request came again: so does the response, octet for octet.
    pub(crate) fn resend_init(&self, datagram: &[u8], cx: &mut Cx<'_>) -> Result<(), Refusal> {
        if datagram != self.agreed.request {
            return Err(Refusal::Unexpected);
        }
        cx.transmit(self.agreed.path, self.agreed.response.clone());
        Ok(())
    }

    /// The refused IKE_AUTH came again: so does its answer.
    pub(crate) fn resend_refusal(&mut self, path: Path, cx: &mut Cx<'_>) {
        if let Some(refusal) = &mut self.refusal {
            self.channel.transmit(refusal, path, cx);
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        let ends = self.born + limits::HALF_OPEN_LIFETIME;
        self.channel.expires().map_or(ends, |at| at.min(ends))
    }

    /// Does what is due; false when its time is over.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> bool {
        self.channel.expire(now);
        now < self.born + limits::HALF_OPEN_LIFETIME
    }
}

/// Octets of a CERTREQ payload that names no authority.
const EMPTY_CERTREQ_LEN: usize = 5;

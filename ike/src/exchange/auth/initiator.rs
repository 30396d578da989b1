//! IKE_AUTH as initiator.

use core::time::Duration;
use std::sync::Arc;

use super::proof::{self, Proof, Role};
use super::{Authenticated, Child, MESSAGE_ID, first_child_keys, shown};
use crate::Time;
use crate::codec::DecodeError;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::payload::Payload;
use crate::codec::payload::id::Identification;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::error::{Failure, Sa, Stage};
use crate::exchange::child::{self, Policy, Request};
use crate::exchange::init::{Agreed, InitSent};
use crate::exchange::{authentication_lifetime, invalid};
use crate::sa::channel::{Channel, Opened};
use crate::sa::child_sa::Terms;
use crate::sa::handshake::Handshake;
use crate::sa::ike_sa::{IkeSa, Seed};
use crate::sa::negotiate::{Offer, Pfs};
use crate::sa::retransmit::{BackOff, Step};
use crate::sa::sealed::Sealed;
use crate::sa::{Cx, Path, Peer};
use crate::suite::EspSuite;

/// IKE_AUTH request sent; awaiting HDR, SK {IDr, AUTH, SAr2, TSi, TSr}.
pub(crate) struct AuthSent {
    pub(crate) peer: Arc<Peer>,
    pub(crate) channel: Channel,
    /// Our SPI of the first child; reserved, not installed.
    pub(crate) spi_in: u32,
    agreed: Agreed,
    offer: Offer<EspSuite>,
    born: Time,
    request: Sealed,
    back_off: BackOff,
    /// An error in the clear: a hint.
    hint: Option<NotifyType>,
}

/// What the peer's authentic answer says.
pub(crate) enum AuthReply {
    /// The peer is who it shall be.
    Accepted(Answer),
    /// The peer is not who it shall be. It believes otherwise, and is to be told (RFC 7296 §2.21.2).
    Impostor(Failure),
    /// The peer refuses us: there is no IKE SA.
    Refused(Failure),
}

/// What an authenticated peer answers.
pub(crate) struct Answer {
    /// The child, or the reason for none.
    child: Result<Terms, Failure>,
    /// The peer wants to see an authentication again within that time (RFC 4478).
    lifetime: Option<Duration>,
}

impl InitSent {
    /// Proves who we are.
    pub(crate) fn prove(&self, agreed: &Agreed) -> Result<Proof, Failure> {
        let config = &self.peer.config;
        let id_i = Identification::new(config.local_id.clone());
        Proof::make(agreed, config, Role::Initiator, &id_i.body)
    }

    /// Shows who we are, and asks for the child SA.
    pub(crate) fn advance(
        self,
        agreed: Agreed,
        proof: &Proof,
        initial_contact: bool,
        cx: &mut Cx<'_>,
    ) -> Result<AuthSent, Failure> {
        let Self { peer, born, .. } = self;
        let config = &peer.config;
        let spis = (agreed.spi_i, agreed.spi_r);
        let unusable = Failure::NoSuite { what: Sa::Ike };
        let mut channel =
            Channel::new(spis, true, agreed.fragments, &agreed.suite, &agreed.keys, cx).ok_or(unusable)?;
        let spi_in = cx.esp_spi();
        let offer = Offer::esp(&config.esp_suites, spi_in, Pfs::Absent);
        let mut payloads = vec![Payload::IdI(Identification::new(config.local_id.clone()))];
        payloads.extend(proof::certificates(&config.auth));
        if initial_contact {
            payloads.push(Payload::Notify(Notify::new(NotifyType::INITIAL_CONTACT, &[])));
        }
        payloads.extend(proof::certificate_request(&config.auth, usize::MAX));
        payloads.extend([
            Payload::IdR(Identification::new(config.remote_id.clone())),
            proof.payload(),
            Payload::Sa(offer.security_association()),
            Payload::TsI(config.ts_local.clone().into()),
            Payload::TsR(config.ts_remote.clone().into()),
        ]);
        let mut request = channel.seal_request(ExchangeType::IKE_AUTH, MESSAGE_ID, &payloads, cx);
        channel.transmit(&mut request, agreed.path, cx);
        let back_off = BackOff::start(config.retransmit, cx.now, cx.random);
        Ok(AuthSent { peer, channel, spi_in, agreed, offer, born, request, back_off, hint: None })
    }
}

impl AuthSent {
    /// What an authentic answer says. Not to be read at all is the peer's fault, and final: it has the keys.
    /// `unix` is the time since 1970, for certificates.
    pub(crate) fn check(&self, opened: &Opened, unix: Duration) -> AuthReply {
        let read = opened.payloads().and_then(|payloads| self.read(Select(&payloads), unix));
        read.unwrap_or_else(|error| AuthReply::Impostor(invalid(Stage::Auth, error)))
    }

    /// The peer is authenticated: makes the IKE SA.
    pub(crate) fn establish(self, answer: Answer, path: Path, cx: &mut Cx<'_>) -> Authenticated {
        let Answer { child, lifetime } = answer;
        let child = child.and_then(|terms| {
            let keys = first_child_keys(&self.agreed, &terms);
            let (outbound, inbound) = keys.ok_or(Failure::NoSuite { what: Sa::Child })?;
            Ok(Child { terms, keys: (inbound, outbound) })
        });
        let mut sa = Box::new(self.into_sa(path, cx));
        if let Some(lifetime) = lifetime {
            sa.limit_authentication(lifetime, cx);
        }
        Authenticated { sa, child, initial_contact: false }
    }

    /// The IKE SA, to be deleted or to carry the tunnel.
    pub(crate) fn into_sa(self, path: Path, cx: &mut Cx<'_>) -> IkeSa {
        let Self { peer, channel, agreed, born, .. } = self;
        let Agreed { suite, nonce_i, nonce_r, keys, nat, .. } = agreed;
        let next_ids = (MESSAGE_ID + 1, 0);
        let handshake = Handshake::new(born, cx.now, true, (nonce_i, nonce_r));
        let seed =
            Seed { peer, suite, sk_d: keys.d, channel, path, nat, next_ids, handshake, begun: cx.came };
        IkeSa::new(seed, cx)
    }

    /// An error arrived in the clear.
    pub(crate) fn hint(&mut self, notify: NotifyType) {
        self.hint = Some(notify);
    }

    /// Sends what is due; an error says why the attempt is over.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        self.channel.expire(cx.now);
        match self.back_off.step(cx.now, cx.random) {
            Step::Wait => Ok(()),
            Step::Resend => {
                self.channel.transmit(&mut self.request, self.agreed.path, cx);
                Ok(())
            }
            Step::GiveUp => Err(Failure::Timeout { exchange: Stage::Auth, hint: self.hint }),
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        self.channel.expires().map_or(self.back_off.due(), |at| at.min(self.back_off.due()))
    }

    fn read(&self, payloads: Select<'_, '_>, unix: Duration) -> Result<AuthReply, DecodeError> {
        let config = &self.peer.config;
        let (Some(id_r), Some(auth)) = (payloads.single_id_r()?, payloads.single_auth()?) else {
            return Ok(match payloads.error() {
                Some(notify) => AuthReply::Refused(self.refused(notify.kind)),
                None => AuthReply::Impostor(invalid(Stage::Auth, "IDr or AUTH is missing")),
            });
        };
        let proved = proof::check(&self.agreed, config, Role::Responder, (id_r, auth), payloads, unix);
        if let Err(method @ Failure::AuthMethod { .. }) = proved {
            return Ok(AuthReply::Impostor(method));
        }
        if !config.remote_id.matches(&id_r.identity) {
            let (ours, theirs) = (config.remote_id.to_string(), shown(id_r));
            return Ok(AuthReply::Impostor(Failure::PeerIdentity { ours, theirs }));
        }
        if let Err(failure) = proved {
            return Ok(AuthReply::Impostor(failure));
        }
        let (child, lifetime) = (self.read_child(payloads)?, authentication_lifetime(payloads));
        Ok(AuthReply::Accepted(Answer { child, lifetime }))
    }

    fn read_child(&self, payloads: Select<'_, '_>) -> Result<Result<Terms, Failure>, DecodeError> {
        let config = &self.peer.config;
        if let Some(notify) = payloads.error() {
            return Ok(Err(self.refused(notify.kind)));
        }
        Ok(match Request::find(payloads)? {
            Some(answer) => child::accept(config, Policy::of(config), &self.offer, self.spi_in, &answer),
            None => Err(invalid(Stage::Auth, "SA, TSi or TSr is missing")),
        })
    }

    fn refused(&self, notify: NotifyType) -> Failure {
        let config = &self.peer.config;
        if notify == NotifyType::AUTHENTICATION_FAILED {
            let (ours, theirs) = (config.local_id.to_string(), config.remote_id.to_string());
            return Failure::RefusedByPeer { ours, theirs };
        }
        child::refused_by_peer(config, notify).unwrap_or(Failure::Refused { exchange: Stage::Auth, notify })
    }
}

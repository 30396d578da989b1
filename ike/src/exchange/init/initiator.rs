//! IKE_SA_INIT as initiator: what is sent until an answer can be built upon (RFC 7296 §1.2, §2.6, §2.7).
//!
//! Anybody may answer in the peer's name. So an answer that asks for something else (COOKIE, INVALID_KE_PAYLOAD) is
//! followed in bounded rounds, an error is a hint, and the attempt stays open for the genuine answer meanwhile.

use std::sync::Arc;

use super::{Agreed, announced_hashes, derive, floats, request_header};
use crate::Time;
use crate::codec::iana::{Group, NotifyType};
use crate::codec::message::{self, Message};
use crate::codec::payload::Payload;
use crate::codec::payload::ke::KeyExchange;
use crate::codec::payload::nonce::Nonce;
use crate::codec::payload::notify::Notify;
use crate::crypto::dh::DhSecret;
use crate::crypto::signature::Hashes;
use crate::error::{Failure, Refusal, Sa, Side, Stage};
use crate::event::Nat;
use crate::exchange::wanted_group;
use crate::limits;
use crate::sa::compute::Pending;
use crate::sa::natt::{self, Detection};
use crate::sa::negotiate::{self, Offer};
use crate::sa::retransmit::{BackOff, Step};
use crate::sa::sealed::FragmentSizes;
use crate::sa::{Cx, IKE_PORT, Path, Peer};
use crate::suite::IkeSuite;

/// IKE_SA_INIT request sent; awaiting HDR, SAr1, KEr, Nr.
pub(crate) struct InitSent {
    pub(crate) peer: Arc<Peer>,
    pub(crate) spi_i: u64,
    pub(crate) born: Time,
    path: Path,
    nonce: Vec<u8>,
    offer: Offer<IkeSuite>,
    detection: Detection,
    /// One request for each group that was tried, the last one in use. A late answer to an earlier one is still good.
    requests: Vec<Request>,
    cookie: Option<Vec<u8>>,
    /// A cookie that is to be sent back at that time, unless a better answer comes.
    held_cookie: Option<(Time, Vec<u8>)>,
    rounds: u32,
    back_off: BackOff,
    /// What the operator is told if no better answer comes; with a time, the attempt ends then.
    suspected: Option<(Failure, Option<Time>)>,
}

struct Request {
    dh: Arc<DhSecret>,
    datagram: Vec<u8>,
}

/// What an answer is.
pub(crate) enum InitReply {
    /// Ask again, with this cookie (RFC 7296 §2.6).
    Cookie(Vec<u8>),
    /// Ask again, with a KE payload of this group (RFC 7296 §1.2).
    OtherGroup(Group),
    /// What it says takes a while to compute.
    Pending,
    /// An answer that nothing can be built upon: if no other comes, this is what the operator is told; at once (that
    /// is, after a grace) if nothing better can be expected.
    Useless { suspicion: Failure, conclusive: bool },
    /// HDR, SAr1, KEr, Nr.
    Agreed(Box<Agreed>),
}

impl InitSent {
    /// Sends the first request, with the group of the preferred suite.
    pub(crate) fn start(
        peer: Arc<Peer>,
        spi_i: u64,
        cx: &mut Cx<'_>,
    ) -> Result<Result<Self, Failure>, Pending> {
        let config = &peer.config;
        let path = Path { local: (config.local, IKE_PORT).into(), remote: (config.remote, IKE_PORT).into() };
        let path = if config.start_on_4500 { path.floated() } else { path };
        let group = config.ike_suites.first().map(|suite| suite.group);
        let dh = group.map_or(Ok(None), |group| cx.generate(group))?;
        let Some(dh) = dh else { return Ok(Err(Failure::NoSuite { what: Sa::Ike })) };
        let mut sent = Self {
            offer: Offer::ike(&config.ike_suites, &[]),
            detection: Detection::new(spi_i, 0, path, config.encapsulation, cx.random),
            back_off: BackOff::start(config.retransmit, cx.now, cx.random),
            spi_i,
            born: cx.now,
            path,
            nonce: cx.request_nonce(),
            requests: Vec::new(),
            cookie: None,
            held_cookie: None,
            rounds: 0,
            suspected: None,
            peer,
        };
        sent.send(dh, cx);
        Ok(Ok(sent))
    }

    /// What the answer says. Nothing changes: it may be forged.
    pub(crate) fn check(
        &self,
        message: &Message<'_>,
        datagram: &[u8],
        path: Path,
        cx: &mut Cx<'_>,
    ) -> Result<InitReply, Refusal> {
        if path != self.path {
            return Err(Refusal::Source);
        }
        let payloads = message.select();
        let malformed = |_| Refusal::Malformed;
        if let Some(cookie) = payloads.single_notify(NotifyType::COOKIE).map_err(malformed)? {
            return self.check_cookie(cookie.data);
        }
        if let Some(notify) = payloads.error() {
            return self.check_error(notify);
        }
        let (Some(sa), Some(ke), Some(nonce)) = (
            payloads.single_sa().map_err(malformed)?,
            payloads.single_ke().map_err(malformed)?,
            payloads.single_nonce().map_err(malformed)?,
        ) else {
            return Err(Refusal::Malformed);
        };
        let Some(chosen) = self.offer.accept(sa).filter(|_| message.header.spi_r != 0) else {
            return Ok(InitReply::Useless {
                suspicion: Failure::IkeProposal {
                    by: Side::Ours,
                    ours: negotiate::ours(&self.peer.config.ike_suites),
                    theirs: Some(negotiate::describe(sa)),
                },
                conclusive: false,
            });
        };
        let group = chosen.suite.group;
        let Some(request) = self.requests.iter().rfind(|r| r.dh.group() == group && r.dh.group() == ke.group)
        else {
            return Err(Refusal::Malformed);
        };
        let Ok(exchanged) = cx.agree(&request.dh, ke.public) else { return Ok(InitReply::Pending) };
        let Ok(shared) = &exchanged.shared else {
            return Ok(InitReply::Useless { suspicion: Failure::PublicValue { group }, conclusive: false });
        };
        let spis = (self.spi_i, message.header.spi_r);
        let keys = derive(&chosen.suite, shared, (&self.nonce, nonce.0), spis).ok_or(Refusal::Malformed)?;
        let nat = natt::detect(payloads, spis.0, spis.1, path);
        Ok(InitReply::Agreed(Box::new(Agreed {
            suite: chosen.suite,
            spi_i: spis.0,
            spi_r: spis.1,
            nonce_i: self.nonce.clone(),
            nonce_r: nonce.0.to_vec(),
            keys,
            request: request.datagram.clone(),
            response: datagram.to_vec(),
            fragments: payloads
                .has_notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED)
                .then(|| FragmentSizes::new(self.peer.config.fragment_size, path.remote.ip())),
            hashes: announced_hashes(payloads),
            path: self.next_path(nat.unwrap_or_default()),
            nat: nat.unwrap_or_default(),
        })))
    }

    /// Holds a cookie for a moment; the latest counts.
    pub(crate) fn hold_cookie(&mut self, cookie: Vec<u8>, now: Time) {
        let at = self.held_cookie.take().map_or(now + limits::COOKIE_GRACE, |(at, _)| at);
        self.held_cookie = Some((at, cookie));
    }

    /// Asks again with a KE payload of another group, which [`Self::check`] found among those offered.
    pub(crate) fn change_group(&mut self, group: Group, cx: &mut Cx<'_>) -> Result<(), Pending> {
        let kept = self.requests.iter().position(|request| request.dh.group() == group);
        let dh = match kept {
            Some(index) => Some(self.requests.remove(index).dh),
            None => cx.generate(group)?,
        };
        self.rounds = self.rounds.saturating_add(1);
        if let Some(dh) = dh {
            self.back_off = BackOff::start(self.peer.config.retransmit, cx.now, cx.random);
            self.send(dh, cx);
        }
        Ok(())
    }

    /// Remembers what an answer makes us fear.
    pub(crate) fn suspect(&mut self, failure: Failure, conclusive: bool, now: Time) {
        let ends = self.suspected.take().and_then(|(_, ends)| ends);
        let ends = ends.or_else(|| conclusive.then(|| now + limits::HINT_GRACE));
        self.suspected = Some((failure, ends));
    }

    /// Sends what is due; an error says why the attempt is over.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        if let Some((failure, Some(ends))) = &self.suspected
            && *ends <= cx.now
        {
            return Err(failure.clone());
        }
        if let Some((_, cookie)) = self.held_cookie.take_if(|(at, _)| *at <= cx.now) {
            self.cookie = Some(cookie);
            self.rounds = self.rounds.saturating_add(1);
            self.back_off = BackOff::start(self.peer.config.retransmit, cx.now, cx.random);
            if let Some(request) = self.requests.pop() {
                self.send(request.dh, cx);
            }
        }
        match self.back_off.step(cx.now, cx.random) {
            Step::Wait => {}
            Step::Resend => {
                if let Some(request) = self.requests.last() {
                    cx.transmit(self.path, request.datagram.clone());
                }
            }
            Step::GiveUp => return Err(self.silence()),
        }
        Ok(())
    }

    pub(crate) fn deadline(&self) -> Time {
        let cookie = self.held_cookie.as_ref().map(|(at, _)| *at);
        let ends = self.suspected.as_ref().and_then(|(_, ends)| *ends);
        cookie.into_iter().chain(ends).fold(self.back_off.due(), Time::min)
    }

    fn check_cookie(&self, cookie: &[u8]) -> Result<InitReply, Refusal> {
        if cookie.is_empty() || cookie.len() > limits::COOKIE {
            return Err(Refusal::Malformed);
        }
        if self.rounds >= limits::INIT_ROUNDS || self.cookie.as_deref() == Some(cookie) {
            return Err(Refusal::Rounds);
        }
        Ok(InitReply::Cookie(cookie.to_vec()))
    }

    fn check_error(&self, notify: &Notify<'_>) -> Result<InitReply, Refusal> {
        let ours = || negotiate::ours(&self.peer.config.ike_suites);
        if notify.kind == NotifyType::INVALID_KE_PAYLOAD {
            let group = wanted_group(notify).ok_or(Refusal::Malformed)?;
            let in_use = self.requests.last().is_some_and(|request| request.dh.group() == group);
            return match self.offer.has_group(group) {
                // An answer to an earlier request, or one that asks for what it was given.
                true if in_use => Err(Refusal::Rounds),
                true if self.rounds < limits::INIT_ROUNDS => Ok(InitReply::OtherGroup(group)),
                offered => Ok(InitReply::Useless {
                    suspicion: Failure::KeyExchange { ours: ours(), theirs: group },
                    conclusive: !offered,
                }),
            };
        }
        let refused = notify.kind == NotifyType::NO_PROPOSAL_CHOSEN;
        let suspicion = if refused {
            Failure::IkeProposal { by: Side::Peer, ours: ours(), theirs: None }
        } else {
            Failure::Timeout { exchange: Stage::Init, hint: Some(notify.kind) }
        };
        Ok(InitReply::Useless { suspicion, conclusive: refused })
    }

    /// Why there is nothing, where something was heard that may explain it.
    fn silence(&self) -> Failure {
        let nothing = Failure::Timeout { exchange: Stage::Init, hint: None };
        self.suspected.as_ref().map_or(nothing, |(failure, _)| failure.clone())
    }

    fn next_path(&self, nat: Nat) -> Path {
        if floats(nat, self.peer.config.encapsulation) { self.path.floated() } else { self.path }
    }

    fn send(&mut self, dh: Arc<DhSecret>, cx: &mut Cx<'_>) {
        let ke = KeyExchange { group: dh.group(), public: dh.public() };
        let cookie = self.cookie.as_deref().map(|c| Payload::Notify(Notify::new(NotifyType::COOKIE, c)));
        // The cookie comes first (RFC 7296 §2.6).
        let mut payloads: Vec<Payload<'_>> = cookie.into_iter().collect();
        payloads.extend([
            Payload::Sa(self.offer.security_association()),
            Payload::Ke(ke),
            Payload::Nonce(Nonce(&self.nonce)),
        ]);
        payloads.extend(self.detection.payloads());
        payloads.push(Payload::Notify(Notify::new(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[])));
        let hashes = Hashes::emit_ours();
        if self.peer.config.auth.as_certificate().is_some() {
            payloads.push(Payload::Notify(Notify::new(NotifyType::SIGNATURE_HASH_ALGORITHMS, &hashes)));
        }
        let datagram = message::emit_clear(request_header(self.spi_i), &payloads);
        cx.transmit(self.path, datagram.clone());
        self.requests.push(Request { dh, datagram });
    }
}

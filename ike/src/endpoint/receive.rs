//! From a datagram to the SA that it belongs to.
//!
//! What cannot belong to an SA or to a configured peer ends here, counted: no state, no work with keys, no answer.

use super::Endpoint;
use super::first::{Proof, is_first_request};
use super::parked::{Item, Place, Wait};
use super::table::Slot;
use crate::Time;
use crate::codec::DecodeError;
use crate::codec::header::Header;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::message::Message;
use crate::error::{Failure, Refusal};
use crate::event::Event;
use crate::exchange::auth::{self, AuthReply, Verdict};
use crate::exchange::established;
use crate::exchange::init::InitReply;
use crate::limits;
use crate::sa::Path;

impl Endpoint {
    pub(super) fn receive(&mut self, now: Time, path: Path, datagram: &[u8]) -> Result<(), Refusal> {
        let header = Header::parse(datagram).map_err(|_| Refusal::Malformed)?;
        if header.major != MAJOR_VERSION {
            return self.receive_other_version(now, path, &header, datagram.len());
        }
        let spi = if header.flags.initiator { header.spi_r } else { header.spi_i };
        self.find_addressee(spi, path)?;
        let message = match Message::parse(datagram) {
            Ok(message) => message,
            Err(error) => return self.receive_unreadable(now, path, &header, datagram.len(), error),
        };
        if spi == 0 {
            return self.receive_first(now, path, &message, datagram);
        }
        if self.table.parked.holds(Place { spi, wait: Wait::of(&header) }) {
            return Err(Refusal::Duplicate);
        }
        let handled = match self.table.slot(spi) {
            Some(Slot::InitSent(_)) => self.receive_init_reply(now, spi, path, &message, datagram),
            Some(Slot::AuthSent(_)) => self.receive_auth_reply(now, spi, path, &message, datagram),
            Some(Slot::HalfOpen(_)) => self.receive_auth_request(now, spi, path, &message, datagram),
            Some(Slot::Established(_)) => self.receive_established(now, spi, path, &message, datagram),
            Some(Slot::Starting(_) | Slot::Answering(_)) => Err(Refusal::Unexpected),
            None => Err(Refusal::UnknownSpi),
        };
        self.settle(now, spi);
        handled
    }

    /// Most of a flood ends here, at the cost of one look into a table.
    fn find_addressee(&self, spi: u64, path: Path) -> Result<(), Refusal> {
        if spi == 0 {
            return if self.table.has_peer_at(path) { Ok(()) } else { Err(Refusal::UnknownPeer) };
        }
        if self.table.contains(spi) { Ok(()) } else { Err(Refusal::UnknownSpi) }
    }

    /// IKEv1 does not exist here, but its speaker can be told apart from silence (RFC 9395). A higher version is told
    /// ours (RFC 7296 §2.5).
    fn receive_other_version(
        &mut self,
        now: Time,
        path: Path,
        header: &Header,
        len: usize,
    ) -> Result<(), Refusal> {
        let peers = self.table.peers_at(path);
        if header.major > MAJOR_VERSION && !header.flags.response && !peers.is_empty() {
            let refusal = (NotifyType::INVALID_MAJOR_VERSION, &[][..]);
            self.refuse(now, path, (header, len), refusal, Proof::Missing)?;
        }
        if header.major == IKE_V1 {
            for peer in peers {
                let attempt = self.table.attempt(peer.id);
                if let Some(Slot::InitSent(sent)) = attempt.and_then(|spi| self.table.slot(spi)) {
                    sent.suspect(Failure::IkeV1, false, now);
                }
                self.report(now, peer.id, Failure::IkeV1, limits::IKE_V1_REPORT);
            }
        }
        Err(Refusal::Version)
    }

    /// A message that cannot be read is answered only where RFC 7296 §2.5 asks for it: a payload of a first request
    /// that we must know and do not.
    fn receive_unreadable(
        &mut self,
        now: Time,
        path: Path,
        header: &Header,
        len: usize,
        error: DecodeError,
    ) -> Result<(), Refusal> {
        if let DecodeError::UnsupportedCritical(kind) = error
            && is_first_request(header)
            && !self.table.peers_at(path).is_empty()
        {
            let refusal = (NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, &[kind.0][..]);
            return self.refuse(now, path, (header, len), refusal, Proof::Missing);
        }
        Err(Refusal::Malformed)
    }

    pub(super) fn receive_init_reply(
        &mut self,
        now: Time,
        spi: u64,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let header = &message.header;
        let is_reply = header.exchange == ExchangeType::IKE_SA_INIT
            && header.flags.response
            && header.message_id == 0
            && !message.is_protected();
        let Some(Slot::InitSent(sent)) = self.table.slot(spi) else { return Err(Refusal::Unexpected) };
        if !is_reply {
            return Err(Refusal::Unexpected);
        }
        let mut cx = self.means.cx(now);
        let agreed = match sent.check(message, datagram, path, &mut cx)? {
            InitReply::Cookie(cookie) => {
                sent.hold_cookie(cookie, now);
                return Ok(());
            }
            InitReply::OtherGroup(group) => match sent.change_group(group, &mut cx) {
                Ok(()) => return Ok(()),
                Err(_) => return self.park(spi, Wait::Answer, Item::clear(path, datagram)),
            },
            InitReply::Pending => return self.park(spi, Wait::Answer, Item::clear(path, datagram)),
            InitReply::Useless { suspicion, conclusive } => {
                sent.suspect(suspicion, conclusive, now);
                return Err(Refusal::Hint);
            }
            InitReply::Agreed(agreed) => *agreed,
        };
        let (peer, proof) = (sent.peer.id, sent.prove(&agreed));
        let initial_contact = !self.table.has_child(peer);
        let Some(Slot::InitSent(sent)) = self.table.take(spi) else { return Err(Refusal::Unexpected) };
        let mut cx = self.means.cx(now);
        match proof.and_then(|proof| sent.advance(agreed, &proof, initial_contact, &mut cx)) {
            Ok(sent) => self.table.insert(spi, Slot::AuthSent(Box::new(sent))),
            Err(reason) => cx.event(Event::Failed { peer, reason }),
        }
        Ok(())
    }

    fn receive_auth_reply(
        &mut self,
        now: Time,
        spi: u64,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let header = &message.header;
        let Some(Slot::AuthSent(sent)) = self.table.slot(spi) else { return Err(Refusal::Unexpected) };
        let is_reply = header.exchange == ExchangeType::IKE_AUTH
            && header.flags.response
            && sent.channel.is_from_peer(header);
        if !is_reply {
            return Err(Refusal::Unexpected);
        }
        if header.message_id != auth::MESSAGE_ID {
            return Err(Refusal::MessageId);
        }
        if let (false, Some(notify)) = (message.is_protected(), message.select().error()) {
            sent.hint(notify.kind);
        }
        let part = sent.channel.open(message, datagram)?;
        let Some(opened) = sent.channel.assemble(header, part, now)? else { return Ok(()) };
        let reply = sent.check(&opened, self.means.unix(now));
        let Some(Slot::AuthSent(sent)) = self.table.take(spi) else { return Err(Refusal::Unexpected) };
        let (peer, spi_in) = (sent.peer.id, sent.spi_in);
        match reply {
            AuthReply::Accepted(answer) => {
                let authenticated = sent.establish(answer, path, &mut self.means.cx(now));
                if authenticated.child.is_err() {
                    self.means.esp_spis.release(spi_in);
                }
                self.establish(now, authenticated, None);
            }
            AuthReply::Impostor(reason) => {
                self.means.esp_spis.release(spi_in);
                let mut cx = self.means.cx(now);
                let mut sa = Box::new(sent.into_sa(path, &mut cx));
                sa.delete(Some(NotifyType::AUTHENTICATION_FAILED));
                established::send_next(&mut sa, &mut cx);
                cx.event(Event::Failed { peer, reason });
                self.keep(now, spi, sa);
            }
            AuthReply::Refused(reason) => {
                self.means.esp_spis.release(spi_in);
                self.means.cx(now).event(Event::Failed { peer, reason });
            }
        }
        Ok(())
    }

    fn receive_auth_request(
        &mut self,
        now: Time,
        spi: u64,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let header = &message.header;
        let Some(Slot::HalfOpen(half_open)) = self.table.slot(spi) else { return Err(Refusal::Unexpected) };
        let is_request = header.exchange == ExchangeType::IKE_AUTH
            && !header.flags.response
            && half_open.channel.is_from_peer(header)
            && message.is_protected();
        if !is_request {
            return Err(Refusal::Unexpected);
        }
        if header.message_id != auth::MESSAGE_ID {
            return Err(Refusal::MessageId);
        }
        let part = half_open.channel.open(message, datagram)?;
        let unix = self.means.unix(now);
        let mut cx = self.means.cx(now);
        if half_open.refusal.is_some() {
            if part.is_first() {
                half_open.resend_refusal(path, &mut cx);
            }
            return Ok(());
        }
        let Some(opened) = half_open.channel.assemble(header, part, now)? else { return Ok(()) };
        match half_open.check(&opened, unix) {
            Verdict::Refused { notify, data, peer, failure } => {
                half_open.refuse_auth(header.message_id, (notify, &data), path, &mut cx);
                if let Some(peer) = peer {
                    self.report(now, peer.id, failure, limits::REFUSAL_REPORT);
                }
            }
            Verdict::Accepted(request) => {
                let Some(Slot::HalfOpen(half_open)) = self.table.take(spi) else {
                    return Err(Refusal::Unexpected);
                };
                let id = header.message_id;
                let (authenticated, response) = half_open.establish(request, id, path, &mut cx);
                self.establish(now, authenticated, Some((id, response)));
            }
        }
        Ok(())
    }

    fn receive_established(
        &mut self,
        now: Time,
        spi: u64,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let Some(sa) = self.table.established(spi) else { return Err(Refusal::Unexpected) };
        if !sa.channel.is_from_peer(&message.header) {
            return Err(Refusal::Unexpected);
        }
        let mut cx = self.means.cx(now);
        let outcome = established::handle(sa, message, datagram, path, &mut cx)?;
        self.follow_message((now, now), spi, &message.header, outcome)
    }
}

const MAJOR_VERSION: u8 = 2;
const IKE_V1: u8 = 1;

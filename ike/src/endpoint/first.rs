//! The first request of an initiator (RFC 7296 §1.2, §2.6): whom it may come from, what it may cost, and what answers it.
//!
//! Its source may be forged. So it makes a half-open SA within bounds, below them only where the initiator has sent a
//! cookie back, and every answer is as rare as it must be and no larger than the request.

use std::net::IpAddr;

use super::Endpoint;
use super::cookie::Claim;
use super::parked::{Item, Wait};
use super::table::{Answering, FirstRequest, Slot};
use crate::Time;
use crate::codec::header::Header;
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::message::Message;
use crate::error::Refusal;
use crate::exchange::init::{self, InitRequest, Unanswered};
use crate::limits;
use crate::sa::Path;

/// Whether an initiator has shown that it receives at the address that it sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It sent back a cookie of ours.
    Cookie,
    /// It did not, yet.
    Missing,
}

impl Endpoint {
    /// A message to no SPI of ours: the first request of an initiator, or nothing.
    pub(super) fn receive_first(
        &mut self,
        now: Time,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let header = &message.header;
        // Our own request, reflected, has our SPI.
        if !is_first_request(header) || self.table.contains(header.spi_i) || message.is_protected() {
            return Err(Refusal::Unexpected);
        }
        let first = FirstRequest::new(path.remote, header.spi_i, datagram);
        if let Some(spi) = self.table.by_first_request(&first) {
            return match self.table.slot(spi) {
                Some(Slot::HalfOpen(half_open)) => half_open.resend_init(datagram, &mut self.means.cx(now)),
                _ => Err(Refusal::Duplicate),
            };
        }
        self.ask_for_proof(now, path, message, datagram.len())?;
        if !self.table.admits_half_open(path.remote.ip()) {
            return Err(Refusal::HalfOpenFull);
        }
        let spi = self.means.cx(now).ike_spi();
        self.answer_first(now, spi, path, message, datagram)
    }

    /// Answers a first request that is admitted, with our SPI `spi`.
    pub(super) fn answer_first(
        &mut self,
        now: Time,
        spi: u64,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let peers = self.table.peers_at(path);
        let Some(some_peer) = peers.first() else { return Err(Refusal::UnknownPeer) };
        let mut cx = self.means.cx(now);
        let slot = match InitRequest::check(message, path, &peers, &mut cx) {
            Ok(request) => {
                let half_open = init::answer(request, spi, datagram, &mut cx).ok_or(Refusal::Unexpected)?;
                Slot::HalfOpen(Box::new(half_open))
            }
            Err(Unanswered::Pending) => {
                self.park(spi, Wait::PeersRequest, Item::clear(path, datagram))?;
                let until = now + limits::HALF_OPEN_LIFETIME;
                Slot::Answering(Answering { remote: path.remote.ip(), until })
            }
            Err(Unanswered::Refused(refused)) => {
                if let Some(failure) = refused.failure {
                    self.report(now, some_peer.id, failure, limits::REFUSAL_REPORT);
                }
                let proof = self.proof(now, claim(path, message), message);
                let from = (&message.header, datagram.len());
                return self.refuse(now, path, from, (refused.notify, &refused.data), proof);
            }
        };
        self.table.insert(spi, slot);
        self.table.note_first_request(FirstRequest::new(path.remote, message.header.spi_i, datagram), spi);
        self.settle(now, spi);
        Ok(())
    }

    /// Asks for a cookie where there are many half-open SAs, or where much is refused; nothing is kept of who is asked.
    ///
    /// Who has sent one back competes with others of its kind alone: a flood that forges its address has none.
    fn ask_for_proof(
        &mut self,
        now: Time,
        path: Path,
        message: &Message<'_>,
        len: usize,
    ) -> Result<(), Refusal> {
        if !self.is_pressed_by(now, path.remote.ip()) {
            return Ok(());
        }
        // Without a nonce there is no cookie, nor anything else.
        let Some(claim) = claim(path, message) else { return Err(Refusal::Malformed) };
        if self.proof(now, Some(claim), message) == Proof::Cookie {
            return Ok(());
        }
        let cookie = self.cookies.make(now, claim, &mut *self.means.random);
        self.answer_in_clear(now, path, (&message.header, len), (NotifyType::COOKIE, &cookie));
        Err(Refusal::CookieAsked)
    }

    fn proof(&mut self, now: Time, claim: Option<Claim<'_>>, message: &Message<'_>) -> Proof {
        // Of two cookies neither counts.
        let cookie = message.select().single_notify(NotifyType::COOKIE).ok().flatten();
        match (claim, cookie) {
            (Some(claim), Some(cookie)) if self.cookies.verify(now, claim, cookie.data) => Proof::Cookie,
            _ => Proof::Missing,
        }
    }

    fn is_pressed_by(&mut self, now: Time, address: IpAddr) -> bool {
        self.table.half_open_presses(address) || !self.refusals.holds(now, limits::REFUSALS_RESERVE)
    }

    /// Refuses a request in the clear, as long as that is not done too often.
    pub(super) fn refuse(
        &mut self,
        now: Time,
        path: Path,
        from: (&Header, usize),
        refusal: (NotifyType, &[u8]),
        proof: Proof,
    ) -> Result<(), Refusal> {
        let reserve = if proof == Proof::Cookie { 0 } else { limits::REFUSALS_RESERVE };
        if !self.refusals.take(now, reserve) {
            return Err(Refusal::TooManyRefused);
        }
        self.answer_in_clear(now, path, from, refusal);
        Ok(())
    }

    /// Answers in the clear, never with more octets than were asked with: a forged source gains nothing.
    fn answer_in_clear(
        &mut self,
        now: Time,
        path: Path,
        (header, len): (&Header, usize),
        (notify, data): (NotifyType, &[u8]),
    ) {
        let response = init::refusal(header, notify, data);
        if response.len() <= len {
            self.means.cx(now).transmit(path, response);
        }
    }
}

/// Whose cookie would be in a first request; `None` where its nonce is missing or doubled.
fn claim<'a>(path: Path, message: &Message<'a>) -> Option<Claim<'a>> {
    let nonce = message.select().single_nonce().ok().flatten()?.0;
    Some(Claim { nonce, address: path.remote.ip(), spi_i: message.header.spi_i })
}

pub(super) fn is_first_request(header: &Header) -> bool {
    header.exchange == ExchangeType::IKE_SA_INIT
        && header.flags.initiator
        && !header.flags.response
        && header.spi_i != 0
        && header.spi_r == 0
        && header.message_id == 0
}

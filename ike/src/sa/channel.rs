//! The protected channel of an IKE SA (RFC 7296 §3.14, RFC 7383): payloads in, datagrams out, and back.

use zeroize::Zeroizing;

use super::reassembly::{Reassembly, Whole};
use super::sealed::{FragmentSizes, Sealed};
use super::{Cx, Path};
use crate::Time;
use crate::codec::DecodeError;
use crate::codec::header::{Flags, Header};
use crate::codec::iana::{ExchangeType, PayloadType};
use crate::codec::message::Message;
use crate::codec::payload::encrypted::EncryptedFragment;
use crate::codec::payload::{self, Payload};
use crate::crypto::keymat::IkeKeys;
use crate::crypto::protect::{Chain, SkCipher};
use crate::error::Refusal;
use crate::suite::IkeSuite;

/// SPIs, keys and fragments of both directions.
pub(crate) struct Channel {
    spi_i: u64,
    spi_r: u64,
    original_initiator: bool,
    fragments: Option<FragmentSizes>,
    outbound: SkCipher,
    inbound: SkCipher,
    requests: Reassembly,
    responses: Reassembly,
    /// When a message last left.
    sent: Time,
}

/// What an SK payload held; authentic, but not yet read.
pub(crate) struct Opened {
    first: PayloadType,
    octets: Zeroizing<Vec<u8>>,
}

impl Opened {
    pub(crate) fn payloads(&self) -> Result<Vec<Payload<'_>>, DecodeError> {
        payload::parse_chain(self.first, &self.octets)
    }
}

/// An authentic datagram: a message of its own, or a fragment of one.
pub(crate) enum Part<'m, 'a> {
    Message(Opened),
    Fragment(&'m EncryptedFragment<'a>, Zeroizing<Vec<u8>>),
}

impl Part<'_, '_> {
    /// It is a message, or the fragment that stands for all of them (RFC 7383 §2.6.1).
    pub(crate) const fn is_first(&self) -> bool {
        match self {
            Self::Message(_) => true,
            Self::Fragment(fragment, _) => fragment.number == 1,
        }
    }
}

impl Channel {
    /// `fragments` is `None` where one of the two ends takes none.
    pub(crate) fn new(
        (spi_i, spi_r): (u64, u64),
        original_initiator: bool,
        fragments: Option<FragmentSizes>,
        suite: &IkeSuite,
        keys: &IkeKeys,
        cx: &mut Cx<'_>,
    ) -> Option<Self> {
        let initiator = SkCipher::new(suite, keys.ei.as_bytes(), keys.ai.as_bytes())?;
        let responder = SkCipher::new(suite, keys.er.as_bytes(), keys.ar.as_bytes())?;
        let (outbound, inbound) =
            if original_initiator { (initiator, responder) } else { (responder, initiator) };
        let (requests, responses) = (Reassembly::default(), Reassembly::default());
        cx.reveal((spi_i, spi_r), suite, keys);
        let sent = Time::ZERO;
        Some(Self {
            spi_i,
            spi_r,
            original_initiator,
            fragments,
            outbound,
            inbound,
            requests,
            responses,
            sent,
        })
    }

    /// A request of ours.
    pub(crate) fn seal_request(
        &mut self,
        exchange: ExchangeType,
        message_id: u32,
        payloads: &[Payload<'_>],
        cx: &mut Cx<'_>,
    ) -> Sealed {
        self.seal(exchange, false, message_id, payloads, cx)
    }

    /// A response of ours.
    pub(crate) fn seal_response(
        &mut self,
        exchange: ExchangeType,
        message_id: u32,
        payloads: &[Payload<'_>],
        cx: &mut Cx<'_>,
    ) -> Sealed {
        self.seal(exchange, true, message_id, payloads, cx)
    }

    /// Sends a message that was sealed here, for the first time or again.
    pub(crate) fn transmit(&mut self, sealed: &mut Sealed, path: Path, cx: &mut Cx<'_>) {
        self.sent = cx.now;
        sealed.transmit(self.fragments, &mut self.outbound, path, cx);
    }

    /// Whether the header is of this SA and written by the other end: a message of ours that is reflected is not.
    pub(crate) const fn is_from_peer(&self, header: &Header) -> bool {
        header.spi_i == self.spi_i
            && header.spi_r == self.spi_r
            && header.flags.initiator != self.original_initiator
    }

    /// Checks the ICV and decrypts. A datagram that fails leaves everything as it was.
    pub(crate) fn open<'m, 'a>(
        &self,
        message: &'m Message<'a>,
        datagram: &[u8],
    ) -> Result<Part<'m, 'a>, Refusal> {
        match message.payloads.last() {
            Some(Payload::Encrypted(sk)) => {
                let octets = self.inbound.open(datagram, sk.offset).map_err(|_| Refusal::Integrity)?;
                Ok(Part::Message(Opened { first: sk.first, octets }))
            }
            Some(Payload::EncryptedFragment(fragment)) => {
                if self.fragments.is_none() {
                    return Err(Refusal::Fragment);
                }
                let reassembly = if message.header.flags.response { &self.responses } else { &self.requests };
                reassembly
                    .admit(message.header.message_id, fragment.number, fragment.total)
                    .map_err(|_| Refusal::Fragment)?;
                let octets = self.inbound.open(datagram, fragment.offset).map_err(|_| Refusal::Integrity)?;
                Ok(Part::Fragment(fragment, octets))
            }
            _ => Err(Refusal::Hint),
        }
    }

    /// The whole message, once no part of it is missing.
    pub(crate) fn assemble(
        &mut self,
        header: &Header,
        part: Part<'_, '_>,
        now: Time,
    ) -> Result<Option<Opened>, Refusal> {
        let (fragment, octets) = match part {
            Part::Message(opened) => return Ok(Some(opened)),
            Part::Fragment(fragment, octets) => (fragment, octets),
        };
        let reassembly = if header.flags.response { &mut self.responses } else { &mut self.requests };
        let whole =
            reassembly.insert(now, header.message_id, fragment, octets).map_err(|_| Refusal::Fragment)?;
        Ok(whole.map(|Whole { first, octets }| Opened { first, octets }))
    }

    /// Drops messages that were not completed in time.
    pub(crate) fn expire(&mut self, now: Time) {
        self.requests.expire(now);
        self.responses.expire(now);
    }

    /// When [`Self::expire`] is due.
    pub(crate) fn expires(&self) -> Option<Time> {
        self.requests.expires().into_iter().chain(self.responses.expires()).min()
    }

    /// How messages are cut; `None` unless both ends announced that they take fragments.
    pub(crate) const fn fragments(&self) -> Option<FragmentSizes> {
        self.fragments
    }

    /// When a message last left.
    pub(crate) const fn sent(&self) -> Time {
        self.sent
    }

    pub(crate) const fn original_initiator(&self) -> bool {
        self.original_initiator
    }

    pub(crate) const fn spi_i(&self) -> u64 {
        self.spi_i
    }

    pub(crate) const fn spi_r(&self) -> u64 {
        self.spi_r
    }

    /// Our SPI: by it the endpoint finds the SA.
    pub(crate) const fn local_spi(&self) -> u64 {
        if self.original_initiator { self.spi_i } else { self.spi_r }
    }

    fn seal(
        &mut self,
        exchange: ExchangeType,
        response: bool,
        message_id: u32,
        payloads: &[Payload<'_>],
        cx: &mut Cx<'_>,
    ) -> Sealed {
        let flags = Flags { initiator: self.original_initiator, response, version: false };
        let header = Header::new(self.spi_i, self.spi_r, exchange, flags, message_id);
        Sealed::new(header, Chain::new(payloads), self.fragments, &mut self.outbound, cx)
    }
}

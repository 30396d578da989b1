//! IKE_SA_INIT (RFC 7296 §1.2): suite, key exchange, nonces, and where NATs are. Nothing in it is authenticated.

mod initiator;
mod responder;

pub(crate) use self::initiator::{InitReply, InitSent};
pub(crate) use self::responder::{HalfOpen, InitRequest, Unanswered, answer};
use crate::codec::header::{Flags, Header};
use crate::codec::iana::{ExchangeType, NotifyType};
use crate::codec::message;
use crate::codec::payload::Payload;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::config::Encapsulation;
use crate::crypto::dh::SharedSecret;
use crate::crypto::keymat::{IkeKeys, SkeySeed};
use crate::crypto::prf::Prf;
use crate::crypto::signature::Hashes;
use crate::event::Nat;
use crate::sa::Path;
use crate::sa::sealed::FragmentSizes;
use crate::suite::IkeSuite;

/// What an IKE_SA_INIT exchange has agreed on, for IKE_AUTH.
pub(crate) struct Agreed {
    pub(crate) suite: IkeSuite,
    pub(crate) spi_i: u64,
    pub(crate) spi_r: u64,
    pub(crate) nonce_i: Vec<u8>,
    pub(crate) nonce_r: Vec<u8>,
    pub(crate) keys: IkeKeys,
    /// Both messages as they were on the wire: AUTH covers them (RFC 7296 §2.15).
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    /// How messages are cut, where both ends take fragments (RFC 7383 §2.3).
    pub(crate) fragments: Option<FragmentSizes>,
    /// With what the peer checks signatures (RFC 7427 §4).
    pub(crate) hashes: Hashes,
    pub(crate) path: Path,
    pub(crate) nat: Nat,
}

/// SKEYSEED and what follows from it (RFC 7296 §2.14).
fn derive(
    suite: &IkeSuite,
    shared: &SharedSecret,
    (nonce_i, nonce_r): (&[u8], &[u8]),
    (spi_i, spi_r): (u64, u64),
) -> Option<IkeKeys> {
    let skeyseed = SkeySeed::initial(Prf::new(suite.prf)?, nonce_i, nonce_r, shared);
    IkeKeys::derive(suite, &skeyseed, nonce_i, nonce_r, spi_i, spi_r)
}

fn request_header(spi_i: u64) -> Header {
    let flags = Flags { initiator: true, response: false, version: false };
    Header::new(spi_i, 0, ExchangeType::IKE_SA_INIT, flags, 0)
}

fn response_header(spi_i: u64, spi_r: u64) -> Header {
    let flags = Flags { initiator: false, response: true, version: false };
    Header::new(spi_i, spi_r, ExchangeType::IKE_SA_INIT, flags, 0)
}

/// A response that makes no SA, in the clear.
pub(crate) fn refusal(request: &Header, kind: NotifyType, data: &[u8]) -> Vec<u8> {
    let header = Header { exchange: request.exchange, ..response_header(request.spi_i, request.spi_r) };
    let header = Header { message_id: request.message_id, ..header };
    message::emit_clear(header, &[Payload::Notify(Notify::new(kind, data))])
}

/// The hashes that the peer announces; none where its notify is not there.
fn announced_hashes(payloads: Select<'_, '_>) -> Hashes {
    let notify = payloads.notifies().find(|notify| notify.kind == NotifyType::SIGNATURE_HASH_ALGORITHMS);
    notify.map(|notify| Hashes::parse(notify.data)).unwrap_or_default()
}

/// Whether the exchanges that follow use port 4500 (RFC 7296 §2.23).
const fn floats(nat: Nat, encapsulation: Encapsulation) -> bool {
    nat.local || nat.remote || matches!(encapsulation, Encapsulation::Udp)
}

//! One IKE SA as the peer holds it: keys and counters, no state machine.

use gotthard_ike::codec::header::{Flags, Header};
use gotthard_ike::codec::iana::ExchangeType;
use gotthard_ike::crypto::keymat::{IkeKeys, SkeySeed};
use gotthard_ike::crypto::protect::SkCipher;
use gotthard_ike::suite::IkeSuite;

/// An IKE SA.
pub(super) struct Keyed {
    /// Of the original initiator and of the original responder.
    pub(super) spis: (u64, u64),
    pub(super) keys: IkeKeys,
    /// The peer made the SA.
    pub(super) original_initiator: bool,
    pub(super) out: SkCipher,
    pub(super) inn: SkCipher,
    /// Message id of the next request.
    pub(super) next_id: u32,
    /// The peer's own first message, which its AUTH covers.
    pub(super) first_message: Vec<u8>,
    nonces: (Vec<u8>, Vec<u8>),
}

impl Keyed {
    pub(super) fn derive(
        suite: IkeSuite,
        seed: &SkeySeed,
        spis: (u64, u64),
        nonces: (Vec<u8>, Vec<u8>),
        original_initiator: bool,
    ) -> Option<Self> {
        let keys = IkeKeys::derive(&suite, seed, &nonces.0, &nonces.1, spis.0, spis.1)?;
        let of_initiator = SkCipher::new(&suite, keys.ei.as_bytes(), keys.ai.as_bytes())?;
        let of_responder = SkCipher::new(&suite, keys.er.as_bytes(), keys.ar.as_bytes())?;
        let (out, inn) =
            if original_initiator { (of_initiator, of_responder) } else { (of_responder, of_initiator) };
        let first_message = Vec::new();
        Some(Self { spis, keys, original_initiator, out, inn, next_id: 0, first_message, nonces })
    }

    pub(super) fn next_request(&mut self, exchange: ExchangeType) -> Header {
        let flags = Flags { initiator: self.original_initiator, response: false, version: false };
        let header = Header::new(self.spis.0, self.spis.1, exchange, flags, self.next_id);
        self.next_id += 1;
        header
    }

    /// SK_pi or SK_pr, whichever makes the peer's AUTH.
    pub(super) fn our_sk_p(&self) -> &[u8] {
        if self.original_initiator { self.keys.pi.as_bytes() } else { self.keys.pr.as_bytes() }
    }

    /// The endpoint's nonce, which the peer's AUTH covers.
    pub(super) fn their_nonce(&self) -> &[u8] {
        if self.original_initiator { &self.nonces.1 } else { &self.nonces.0 }
    }
}

//! The octets that AUTH covers, and AUTH with a pre-shared key (RFC 7296 §2.15).

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::prf::Prf;

/// What the AUTH of one end covers. All but the nonce is the signer's own.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// SK_pi or SK_pr.
    pub sk_p: &'a [u8],
    /// Its first message, whole, as it was last sent.
    pub message: &'a [u8],
    /// Nonce data of the other end.
    pub peer_nonce: &'a [u8],
    /// Its ID payload without the generic header.
    pub id_body: &'a [u8],
}

impl Signed<'_> {
    /// SignedOctets = message | peer's nonce | prf(SK_p, body of the ID payload).
    pub fn octets(&self, prf: Prf) -> Vec<u8> {
        let maced_id = prf.compute(self.sk_p, &[self.id_body]);
        [self.message, self.peer_nonce, &maced_id].concat()
    }
}

/// AUTH = prf(prf(Shared Secret, "Key Pad for IKEv2"), SignedOctets).
pub fn psk_auth(prf: Prf, psk: &[u8], signed: &Signed<'_>) -> Zeroizing<Vec<u8>> {
    let key = prf.compute(psk, &[KEY_PAD]);
    let maced_id = prf.compute(signed.sk_p, &[signed.id_body]);
    prf.compute(&key, &[signed.message, signed.peer_nonce, &maced_id])
}

/// Whether a received AUTH value is the expected one. The time does not tell where they differ.
pub fn verify(expected: &[u8], received: &[u8]) -> bool {
    expected.ct_eq(received).into()
}

const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

//! The octets of AUTH with a pre-shared key (RFC 7296 §2.15).

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::prf::Prf;

/// AUTH = prf(prf(Shared Secret, "Key Pad for IKEv2"), SignedOctets), where
/// SignedOctets = message | peer's nonce | prf(SK_p, body of the ID payload).
///
/// All of one end: `sk_p`, `message` (its first message, whole, as it was last sent) and `id_body` (without the
/// generic header) are the signer's, `peer_nonce` is the other end's nonce data.
pub fn psk_auth(
    prf: Prf,
    psk: &[u8],
    sk_p: &[u8],
    message: &[u8],
    peer_nonce: &[u8],
    id_body: &[u8],
) -> Zeroizing<Vec<u8>> {
    let key = prf.compute(psk, &[KEY_PAD]);
    let maced_id = prf.compute(sk_p, &[id_body]);
    prf.compute(&key, &[message, peer_nonce, &maced_id])
}

/// Whether a received AUTH value is the expected one. The time does not tell where they differ.
pub fn verify(expected: &[u8], received: &[u8]) -> bool {
    expected.ct_eq(received).into()
}

const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

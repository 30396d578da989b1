//! IKE_AUTH (RFC 7296 §1.2, §2.15): both ends prove who they are, and the first child SA is made.

mod initiator;
mod responder;

use zeroize::Zeroizing;

pub(crate) use self::initiator::{AuthReply, AuthSent};
pub(crate) use self::responder::Verdict;
use crate::codec::payload::auth::Authentication;
use crate::codec::payload::id::Identification;
use crate::config::Auth;
use crate::crypto::auth::{psk_auth, verify};
use crate::crypto::keymat::child_keymat;
use crate::crypto::prf::Prf;
use crate::error::Failure;
use crate::event::EspKeys;
use crate::exchange::init::Agreed;
use crate::sa::child_sa::Terms;
use crate::sa::ike_sa::IkeSa;

/// An IKE SA that is authenticated, and what is known of its first child. Its inbound is not installed yet.
pub(crate) struct Authenticated {
    pub(crate) sa: Box<IkeSa>,
    pub(crate) child: Result<Child, Failure>,
    /// The peer says that it has no other IKE SA with us (RFC 7296 §2.4).
    pub(crate) initial_contact: bool,
}

/// The first child SA.
pub(crate) struct Child {
    pub(crate) terms: Terms,
    /// Inbound, outbound.
    pub(crate) keys: (EspKeys, EspKeys),
}

/// AUTH of the initiator, over its request (RFC 7296 §2.15).
fn initiator_auth(agreed: &Agreed, auth: &Auth, id_body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let prf = Prf::new(agreed.suite.prf)?;
    let psk = auth.as_psk()?;
    Some(psk_auth(prf, psk, agreed.keys.pi.as_bytes(), &agreed.request, &agreed.nonce_r, id_body))
}

/// AUTH of the responder, over its response.
fn responder_auth(agreed: &Agreed, auth: &Auth, id_body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let prf = Prf::new(agreed.suite.prf)?;
    let psk = auth.as_psk()?;
    Some(psk_auth(prf, psk, agreed.keys.pr.as_bytes(), &agreed.response, &agreed.nonce_i, id_body))
}

/// Whether a peer proved with the expected value who it is. The comparison is made whatever else is wrong: what fails
/// costs the same.
fn proves(expected: Option<&[u8]>, auth: &Authentication<'_>) -> bool {
    expected.is_some_and(|expected| verify(expected, auth.data))
}

/// Keys of the first child (RFC 7296 §2.17): those of the initiator's direction, those of the responder's.
fn first_child_keys(agreed: &Agreed, terms: &Terms) -> Option<(EspKeys, EspKeys)> {
    let prf = Prf::new(agreed.suite.prf)?;
    Some(child_keymat(prf, &agreed.keys.d, None, &agreed.nonce_i, &agreed.nonce_r, &terms.suite))
}

/// An identity that the peer showed, in a text that a log can hold.
fn shown(id: &Identification<'_>) -> String {
    let text = id.identity.to_string();
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    text.chars().take(MAX_SHOWN).chain("...".chars()).collect()
}

const MAX_SHOWN: usize = 128;

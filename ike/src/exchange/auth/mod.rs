//! IKE_AUTH (RFC 7296 §1.2, §2.15): both ends prove who they are, and the first child SA is made.

mod initiator;
mod proof;
mod responder;

pub(crate) use self::initiator::{AuthReply, AuthSent};
pub(crate) use self::proof::certificate_request;
pub(crate) use self::responder::Verdict;
use crate::codec::payload::id::Identification;
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

/// Message ID of IKE_AUTH: pre-shared keys and signatures need no second exchange.
pub(crate) const MESSAGE_ID: u32 = 1;

const MAX_SHOWN: usize = 128;

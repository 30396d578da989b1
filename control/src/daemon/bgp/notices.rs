//! What an operator reads of a session in the log: one line a change.

use tracing::{info, warn};

use crate::bgp::speaker::Notice;
use crate::daemon::record::escaped;
use crate::events::kind;

/// Writes the line; the span of the tunnel is around it.
pub(super) fn log(notice: &Notice) {
    match notice {
        Notice::Up { hold_time } => info!(?hold_time, event = kind::BGP_UP, "the BGP session is established"),
        Notice::Down { failure, kept } => {
            let (code, kept) = (failure.code(), *kept);
            let reason = escaped(failure);
            warn!(code, routes_kept = kept, event = kind::BGP_DOWN, "the BGP session is down: {reason}");
        }
        Notice::Failed(failure) => {
            warn!(code = failure.code(), event = kind::BGP_FAILED, "no BGP session: {}", escaped(failure));
        }
        Notice::Refused { prefix, refusal, untold } => {
            let (code, event) = (refusal.code(), kind::ROUTE_REFUSED);
            warn!(%prefix, code, untold, event, "a route of the peer is not taken: {refusal}");
        }
        Notice::Flawed { flaw, untold } => {
            warn!(untold, event = kind::UPDATE_FLAWED, "an UPDATE of the peer is not sound: {flaw}");
        }
        Notice::NotOffered { prefix, why, untold } => {
            warn!(%prefix, untold, event = kind::NOT_OFFERED, "not offered to the peer: {why}");
        }
    }
}

//! What an operator reads of a session in the log: one line a change.

use tracing::{info, warn};

use crate::bgp::speaker::Notice;
use crate::daemon::record::escaped;

/// Writes the line; the span of the tunnel is around it.
pub(super) fn log(notice: &Notice) {
    match notice {
        Notice::Up { hold_time } => info!(?hold_time, "the BGP session is established"),
        Notice::Down { failure, kept } => {
            let (code, kept) = (failure.code(), *kept);
            warn!(code, routes_kept = kept, "the BGP session is down: {}", escaped(failure));
        }
        Notice::Failed(failure) => {
            warn!(code = failure.code(), "no BGP session: {}", escaped(failure));
        }
        Notice::Refused { prefix, refusal, untold } => {
            warn!(%prefix, code = refusal.code(), untold, "a route of the peer is not taken: {refusal}");
        }
        Notice::Flawed { flaw, untold } => warn!(untold, "an UPDATE of the peer is not sound: {flaw}"),
        Notice::NotOffered { prefix, why, untold } => {
            warn!(%prefix, untold, "not offered to the peer: {why}");
        }
    }
}

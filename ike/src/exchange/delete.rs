//! INFORMATIONAL exchanges: Delete of the IKE SA and of child SAs (RFC 7296 §1.4, §1.4.1); one without a Delete asks
//! whether we live.

use super::authentication_lifetime;
use super::established::Outcome;
use crate::codec::iana::{ExchangeType, NotifyType, ProtocolId};
use crate::codec::payload::Payload;
use crate::codec::payload::delete::Delete;
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::error::{Failure, Sa};
use crate::sa::Cx;
use crate::sa::ike_sa::IkeSa;

/// Deletes the child SA that we receive with `spi_in`.
pub(super) fn child_request(spi_in: u32) -> Vec<Payload<'static>> {
    vec![Payload::Delete(Delete::esp(spi_in))]
}

/// Deletes the IKE SA. `notify` says why, to a peer that believes it authenticated (RFC 7296 §2.21.2).
pub(super) fn ike_request(notify: Option<NotifyType>) -> Vec<Payload<'static>> {
    let notify = notify.map(|kind| Payload::Notify(Notify::new(kind, &[])));
    notify.into_iter().chain([Payload::Delete(Delete::ike())]).collect()
}

/// Whether it deletes the IKE SA.
pub(super) fn is_of_ike(payloads: Select<'_, '_>) -> bool {
    payloads.deletes().any(|delete| delete.protocol == ProtocolId::IKE)
}

/// The SPIs of the child SAs that it deletes: the peer receives with them.
pub(super) fn deleted_children(payloads: Select<'_, '_>) -> Vec<u32> {
    let of_children = payloads.deletes().filter(|delete| delete.protocol == ProtocolId::ESP);
    of_children.flat_map(|delete| delete.spis.iter().copied()).collect()
}

/// Answers the peer's request: the other halves of the child SAs that it deletes, or nothing.
///
/// SPIs that we do not have are passed over, and a half that we deleted ourselves meanwhile is not named again: its
/// Delete is under way (RFC 7296 §1.4.1).
pub(super) fn answer(sa: &mut IkeSa, id: u32, payloads: Select<'_, '_>, cx: &mut Cx<'_>) -> Outcome {
    let ends = is_of_ike(payloads);
    let refuses = payloads.has_notify(NotifyType::AUTHENTICATION_FAILED);
    let mut deleted = Vec::new();
    for spi_out in deleted_children(payloads) {
        deleted.extend(sa.delete_child_by_peer(spi_out, cx));
    }
    let payload = Payload::Delete(Delete { protocol: ProtocolId::ESP, spis: deleted.clone() });
    let payloads_of_answer: &[Payload<'_>] = if deleted.is_empty() || ends { &[] } else { &[payload] };
    sa.send_response(id, ExchangeType::INFORMATIONAL, payloads_of_answer, cx);
    if let Some(lifetime) = authentication_lifetime(payloads) {
        sa.limit_authentication(lifetime, cx);
    }
    if refuses {
        let (ours, theirs) = (sa.peer.config.local_id.to_string(), sa.peer.config.remote_id.to_string());
        sa.end(Failure::RefusedByPeer { ours, theirs }, cx);
    } else if let (true, Some(candidate)) = (ends && (sa.is_up() || sa.is_redundant()), candidate(sa)) {
        // The peer has rekeyed it and does not know of our own rekey, which is forgotten (RFC 7296 §2.25.2).
        return Outcome::Deleted { candidate };
    } else if ends {
        sa.end(Failure::PeerDeleted { what: Sa::Ike }, cx);
    } else if !deleted.is_empty() {
        sa.note_childless(Failure::PeerDeleted { what: Sa::Child }, cx);
    }
    Outcome::Done
}

/// The IKE SA that the peer made while we ask for one ourselves.
fn candidate(sa: &mut IkeSa) -> Option<u64> {
    sa.ike_request()?.rival.as_ref().map(|rival| rival.spi)
}

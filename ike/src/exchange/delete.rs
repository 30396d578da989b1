//! INFORMATIONAL exchanges: Delete of the IKE SA and of child SAs (RFC 7296 §1.4, §1.4.1); one without a Delete asks
//! whether we live.

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

/// Answers the peer's request: the other halves of the child SAs that it deletes, or nothing.
///
/// SPIs that we do not have are passed over, and a half that we deleted ourselves meanwhile is not named again: its
/// Delete is under way (RFC 7296 §1.4.1).
pub(super) fn answer(sa: &mut IkeSa, id: u32, payloads: Select<'_, '_>, cx: &mut Cx<'_>) {
    let ends = payloads.deletes().any(|delete| delete.protocol == ProtocolId::IKE);
    let refuses = payloads.has_notify(NotifyType::AUTHENTICATION_FAILED);
    let mut deleted = Vec::new();
    for delete in payloads.deletes().filter(|delete| delete.protocol == ProtocolId::ESP) {
        for spi_out in &delete.spis {
            deleted.extend(sa.delete_child_by_peer(*spi_out, cx));
        }
    }
    let payload = Payload::Delete(Delete { protocol: ProtocolId::ESP, spis: deleted.clone() });
    let payloads: &[Payload<'_>] = if deleted.is_empty() || ends { &[] } else { &[payload] };
    sa.send_response(id, ExchangeType::INFORMATIONAL, payloads, cx);
    if refuses {
        let (ours, theirs) = (sa.peer.config.local_id.to_string(), sa.peer.config.remote_id.to_string());
        sa.end(Failure::RefusedByPeer { ours, theirs }, cx);
    } else if ends {
        sa.end(Failure::PeerDeleted { what: Sa::Ike }, cx);
    } else if !deleted.is_empty() {
        sa.note_childless(Failure::PeerDeleted { what: Sa::Child }, cx);
    }
}

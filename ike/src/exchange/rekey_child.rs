//! Rekey of a child SA by the peer (RFC 7296 §1.3.3, §2.8).
//!
//! The new inbound is installed before the answer leaves: the peer may send with it as soon as it reads the answer. We
//! go on sending with the old one until the peer shows that it has read it, by its next request (mostly the Delete of
//! the old one), or until a time that a lost answer would have been asked for again.

use super::child::Policy;
use super::create_child::{self, Refused};
use crate::codec::DecodeError;
use crate::codec::iana::{NotifyType, ProtocolId};
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::sa::Cx;
use crate::sa::ike_sa::IkeSa;

/// Answers a request with N(REKEY_SA).
pub(super) fn answer(
    sa: &mut IkeSa,
    id: u32,
    rekey: &Notify<'_>,
    payloads: Select<'_, '_>,
    cx: &mut Cx<'_>,
) -> Result<Result<(), Refused>, DecodeError> {
    let spi = <[u8; 4]>::try_from(rekey.spi).ok().filter(|_| rekey.protocol == ProtocolId::ESP);
    let Some(spi) = spi else {
        return Ok(Err(Refused::new(NotifyType::CHILD_SA_NOT_FOUND)));
    };
    let Some(old) = sa.child_by_spi_out(u32::from_be_bytes(spi)) else {
        let refused = Refused { spi: Some(spi), ..Refused::new(NotifyType::CHILD_SA_NOT_FOUND) };
        return Ok(Err(refused));
    };
    if !old.is_live() {
        return Ok(Err(Refused::new(NotifyType::TEMPORARY_FAILURE)));
    }
    let (ts_local, ts_remote) = (old.terms.ts_local.clone(), old.terms.ts_remote.clone());
    let policy = Policy { ts_local: &ts_local, ts_remote: &ts_remote };
    create_child::make(sa, id, policy, true, payloads, cx)
}

//! Why a CREATE_CHILD_SA request of ours makes no SA (RFC 7296 §1.3, §2.25).

use std::sync::Arc;

use super::wanted_group;
use crate::codec::iana::NotifyType;
use crate::codec::payload::notify::Notify;
use crate::crypto::dh::DhSecret;
use crate::error::Failure;
use crate::sa::Cx;
use crate::sa::compute::Pending;
use crate::sa::ike_sa::IkeSa;

/// Why there is no SA.
pub(super) enum Refusal<'n, 'p> {
    /// The peer says so; with a secret of the group that it wants instead, where we may try that.
    Notify(&'n Notify<'p>, Option<Arc<DhSecret>>),
    /// Its answer is none to our request.
    Useless(Failure),
}

impl<'n, 'p> Refusal<'n, 'p> {
    /// What the peer says to the request in flight. Nothing changes.
    pub(super) fn of(sa: &IkeSa, notify: &'n Notify<'p>, cx: &mut Cx<'_>) -> Result<Self, Pending> {
        let may_try = |group: &_| {
            notify.kind == NotifyType::INVALID_KE_PAYLOAD
                && sa.asked().is_some_and(|asked| asked.may_try(*group))
        };
        let wanted = wanted_group(notify).filter(may_try);
        let secret = wanted.map_or(Ok(None), |group| cx.generate(group))?;
        Ok(Self::Notify(notify, secret))
    }
}

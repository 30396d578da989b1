//! The exchanges of IKEv2 (RFC 7296 §1.2-1.5): what each message must hold, and what follows from it.
//!
//! Initial exchanges are typestates: a message is checked by reference and advances the state by value, so that a
//! forged one costs nothing. An established SA is driven by [`established`].

pub(crate) mod auth;
mod child;
mod create_child;
mod delete;
pub(crate) mod established;
pub(crate) mod init;
mod liveness;
mod refusal;
mod rekey_child;
mod rekey_ike;

use core::fmt::Display;
use core::time::Duration;

use crate::codec::DecodeError;
use crate::codec::iana::{Group, NotifyType};
use crate::codec::payload::notify::Notify;
use crate::codec::payload::select::Select;
use crate::error::{Failure, Stage};
use crate::sa::compute::Pending;

/// Why a step ends before it has changed anything.
enum Stop {
    /// The message cannot be read.
    Malformed(DecodeError),
    /// What it says takes a while to compute: it is to be taken again.
    Pending,
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<Pending> for Stop {
    fn from(_: Pending) -> Self {
        Self::Pending
    }
}

/// The notify that answers an authentic request which cannot be read, and its data (RFC 7296 §2.5, §2.21).
fn refusal_of(error: DecodeError) -> (NotifyType, Vec<u8>) {
    match error {
        DecodeError::UnsupportedCritical(kind) => (NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, vec![kind.0]),
        DecodeError::MajorVersion(_) => (NotifyType::INVALID_MAJOR_VERSION, Vec::new()),
        DecodeError::Runt(_)
        | DecodeError::Length { .. }
        | DecodeError::TooManyPayloads
        | DecodeError::Trailing(_)
        | DecodeError::NotLast(_)
        | DecodeError::Repeated(_)
        | DecodeError::Malformed { .. } => (NotifyType::INVALID_SYNTAX, Vec::new()),
    }
}

/// A message that is not what it must be, in an operator's words.
fn invalid(exchange: Stage, detail: impl Display) -> Failure {
    Failure::InvalidSyntax { exchange, detail: detail.to_string() }
}

/// The group that an INVALID_KE_PAYLOAD asks for (RFC 7296 §1.2, §1.3).
fn wanted_group(notify: &Notify<'_>) -> Option<Group> {
    <[u8; 2]>::try_from(notify.data).ok().map(|octets| Group(u16::from_be_bytes(octets)))
}

/// The time in which the peer wants to see an authentication again (RFC 4478 §3). Its responder says so in IKE_AUTH, or
/// later.
fn authentication_lifetime(payloads: Select<'_, '_>) -> Option<Duration> {
    let notify = payloads.notifies().find(|notify| notify.kind == NotifyType::AUTH_LIFETIME)?;
    <[u8; 4]>::try_from(notify.data).ok().map(|octets| Duration::from_secs(u32::from_be_bytes(octets).into()))
}

/// Errors that end an IKE SA without a Delete (RFC 7296 §2.21.3).
const fn ends_sa(kind: NotifyType) -> bool {
    matches!(kind, NotifyType::INVALID_SYNTAX | NotifyType::AUTHENTICATION_FAILED)
}

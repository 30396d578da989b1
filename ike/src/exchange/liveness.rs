//! Liveness (RFC 7296 §2.4): an INFORMATIONAL request without payloads. Any authentic answer says that the peer lives.

use crate::codec::payload::Payload;

/// The payloads of the request.
pub(super) const fn request() -> Vec<Payload<'static>> {
    Vec::new()
}

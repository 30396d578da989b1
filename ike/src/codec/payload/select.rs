//! Finds payloads of a chain by what they are, whatever their order, and refuses a second of what may be there once.

use super::Payload;
use super::auth::Authentication;
use super::cert::Certificate;
use super::delete::Delete;
use super::id::Identification;
use super::ke::KeyExchange;
use super::nonce::Nonce;
use super::notify::Notify;
use super::sa::SecurityAssociation;
use super::ts::TrafficSelectors;
use crate::codec::DecodeError;
use crate::codec::iana::NotifyType;

/// A chain to find payloads in.
#[derive(Clone, Copy, Debug)]
pub struct Select<'p, 'a>(pub &'p [Payload<'a>]);

/// Defines a method that finds the only payload of one kind.
macro_rules! single {
    ($($(#[$doc:meta])* $name:ident -> $variant:ident($payload:ty);)*) => {$(
        $(#[$doc])*
        pub fn $name(self) -> Result<Option<&'p $payload>, DecodeError> {
            self.single(|payload| if let Payload::$variant(body) = payload { Some(body) } else { None })
        }
    )*};
}

impl<'p, 'a> Select<'p, 'a> {
    single! {
        /// The SA payload.
        single_sa -> Sa(SecurityAssociation);
        /// The KE payload.
        single_ke -> Ke(KeyExchange<'a>);
        /// The nonce.
        single_nonce -> Nonce(Nonce<'a>);
        /// The IDi payload.
        single_id_i -> IdI(Identification<'a>);
        /// The IDr payload.
        single_id_r -> IdR(Identification<'a>);
        /// The AUTH payload.
        single_auth -> Auth(Authentication<'a>);
        /// The TSi payload.
        single_ts_i -> TsI(TrafficSelectors<'a>);
        /// The TSr payload.
        single_ts_r -> TsR(TrafficSelectors<'a>);
    }

    /// The only notify of a type. Types that may repeat (NAT_DETECTION_SOURCE_IP) are found with [`Self::notifies`].
    pub fn single_notify(self, kind: NotifyType) -> Result<Option<&'p Notify<'a>>, DecodeError> {
        self.single(|payload| {
            if let Payload::Notify(notify) = payload { Some(notify) } else { None }.filter(|n| n.kind == kind)
        })
    }

    /// All notifies, in the order of arrival.
    pub fn notifies(self) -> impl Iterator<Item = &'p Notify<'a>> {
        self.0
            .iter()
            .filter_map(|payload| if let Payload::Notify(notify) = payload { Some(notify) } else { None })
    }

    /// All Delete payloads, in the order of arrival.
    pub fn deletes(self) -> impl Iterator<Item = &'p Delete> {
        self.0
            .iter()
            .filter_map(|payload| if let Payload::Delete(delete) = payload { Some(delete) } else { None })
    }

    /// All CERT payloads, in the order of arrival.
    pub fn certificates(self) -> impl Iterator<Item = &'p Certificate<'a>> {
        self.0.iter().filter_map(|payload| {
            if let Payload::Cert(certificate) = payload { Some(certificate) } else { None }
        })
    }

    /// The first notify that is an error.
    pub fn error(self) -> Option<&'p Notify<'a>> {
        self.notifies().find(|notify| notify.kind.is_error())
    }

    /// Whether there is a notify of a type.
    pub fn has_notify(self, kind: NotifyType) -> bool {
        self.notifies().any(|notify| notify.kind == kind)
    }

    fn single<T>(
        self,
        pick: impl Fn(&'p Payload<'a>) -> Option<&'p T>,
    ) -> Result<Option<&'p T>, DecodeError> {
        let mut found = None;
        for payload in self.0 {
            let Some(body) = pick(payload) else { continue };
            if found.replace(body).is_some() {
                return Err(DecodeError::Repeated(payload.kind()));
            }
        }
        Ok(found)
    }
}

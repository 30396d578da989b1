//! What an IKE SA wants to ask of its peer, and what it remembers of a request until the answer is there.

use std::sync::Arc;

use crate::Time;
use crate::codec::iana::{ExchangeType, Group, NotifyType};
use crate::crypto::dh::DhSecret;
use crate::error::Stage;
use crate::limits;
use crate::sa::negotiate::Offer;
use crate::suite::{EspSuite, IkeSuite};

/// A request that we want to send when the window is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Ask whether the peer lives (RFC 7296 §2.4).
    Liveness,
    /// Make the successor of the child SA that we receive with this SPI (RFC 7296 §1.3.3).
    RekeyChild(u32),
    /// Make a child SA: there is none (RFC 7296 §1.3.1).
    MakeChild,
    /// Make the successor of the IKE SA (RFC 7296 §1.3.2).
    RekeyIke,
    /// Delete the child SA that we receive with this SPI.
    DeleteChild(u32),
    /// Delete the IKE SA, and say why where it is because the peer failed to authenticate (RFC 7296 §2.21.2).
    DeleteIke(Option<NotifyType>),
}

/// A request that is in flight.
pub(crate) enum Asked {
    /// Whether the peer lives.
    Liveness,
    /// For a child SA.
    Child(Box<ChildRequest>),
    /// For the IKE SA that takes this one's place.
    Ike(Box<IkeRequest>),
    /// To delete the child SA that we receive with this SPI.
    DeleteChild(u32),
    /// To delete the IKE SA.
    DeleteIke,
}

/// HDR, SK {[N(REKEY_SA)], SA, Ni, [KEi], TSi, TSr} sent.
pub(crate) struct ChildRequest {
    /// Our SPI of the child that is to be replaced.
    pub(crate) old: Option<u32>,
    /// Our SPI of the new one; reserved, not installed.
    pub(crate) spi_in: u32,
    pub(crate) offer: Offer<EspSuite>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) dh: Option<Arc<DhSecret>>,
    /// When the first of the rounds was asked.
    pub(crate) begun: Time,
    /// INVALID_KE_PAYLOAD answers that were followed.
    pub(crate) rounds: u32,
    /// The child that the peer made meanwhile for the same purpose.
    pub(crate) rival: Option<Rival<u32>>,
}

/// HDR, SK {SA, Ni, KEi} sent.
pub(crate) struct IkeRequest {
    /// Our SPI of the new IKE SA.
    pub(crate) spi_i: u64,
    pub(crate) offer: Offer<IkeSuite>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) dh: Arc<DhSecret>,
    /// When the first of the rounds was asked.
    pub(crate) begun: Time,
    /// INVALID_KE_PAYLOAD answers that were followed.
    pub(crate) rounds: u32,
    /// The IKE SA that the peer made meanwhile for the same purpose.
    pub(crate) rival: Option<Rival<u64>>,
}

/// An SA that the peer made while we asked for one (RFC 7296 §2.8.1).
#[derive(Clone, Debug)]
pub(crate) struct Rival<Spi> {
    /// Our SPI of it.
    pub(crate) spi: Spi,
    /// The lower of its two nonces.
    pub(crate) lowest_nonce: Vec<u8>,
}

impl<Spi> Rival<Spi> {
    /// Whether the SA that was made with these nonces is the one to close: it has the lowest of the four.
    pub(crate) fn wins_against(&self, nonce_i: &[u8], nonce_r: &[u8]) -> bool {
        nonce_i.min(nonce_r) < self.lowest_nonce.as_slice()
    }
}

/// The secret of our next key exchange with the peer.
#[derive(Default)]
pub(super) enum Secret {
    /// Nobody asks for it.
    #[default]
    Idle,
    /// It is to be computed.
    Wanted(Group),
    /// It is being computed.
    UnderWay,
    /// It is there.
    Ready(Arc<DhSecret>),
}

impl Task {
    /// Whether it may need a secret.
    pub(super) const fn exchanges_keys(self) -> bool {
        match self {
            Self::RekeyChild(_) | Self::MakeChild | Self::RekeyIke => true,
            Self::Liveness | Self::DeleteChild(_) | Self::DeleteIke(_) => false,
        }
    }
}

impl Asked {
    /// The exchange whose response answers it.
    pub(crate) const fn exchange(&self) -> ExchangeType {
        match self {
            Self::Child(_) | Self::Ike(_) => ExchangeType::CREATE_CHILD_SA,
            Self::Liveness | Self::DeleteChild(_) | Self::DeleteIke => ExchangeType::INFORMATIONAL,
        }
    }

    /// Whether the same may be asked with this group, as an INVALID_KE_PAYLOAD wants it (RFC 7296 §1.3): we have offered
    /// it, and were not sent round too often.
    pub(crate) fn may_try(&self, group: Group) -> bool {
        let (rounds, offered) = match self {
            Self::Child(request) => (request.rounds, request.offer.has_group(group)),
            Self::Ike(request) => (request.rounds, request.offer.has_group(group)),
            Self::Liveness | Self::DeleteChild(_) | Self::DeleteIke => return false,
        };
        offered && rounds < limits::INIT_ROUNDS
    }

    /// The same in an operator's words.
    pub(crate) const fn stage(&self) -> Stage {
        match self {
            Self::Child(_) | Self::Ike(_) => Stage::CreateChild,
            Self::Liveness | Self::DeleteChild(_) | Self::DeleteIke => Stage::Informational,
        }
    }
}

//! Key exchange (RFC 7296 §1.2, §3.4): MODP groups, elliptic curves modulo a prime, Curve25519.
//!
//! A secret is used for one exchange. Every public value of a peer is checked as RFC 6989 asks before it meets ours.

mod comb;
mod ecp;
mod modp;

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use self::ecp::{EcpSecret, Nist256, Nist384};
use self::modp::ModpSecret;
use super::Random;
use crate::codec::iana::Group;

/// A private value of ours, drawn; what it costs to use it is still to be paid.
pub struct Drawn {
    group: Group,
    private: Private,
}

impl Drawn {
    /// Draws a private value. `None`: a group that we do not have, or a source of randomness that gives no usable key.
    pub fn new(group: Group, random: &mut dyn Random) -> Option<Self> {
        Private::draw(group, random).map(|private| Self { group, private })
    }

    /// Computes the public value.
    pub fn into_secret(self) -> DhSecret {
        let Self { group, private } = self;
        DhSecret { public: private.public(), group, private }
    }
}

/// Our private value, with the public one that goes into the KE payload.
pub struct DhSecret {
    group: Group,
    private: Private,
    public: Vec<u8>,
}

impl DhSecret {
    /// A fresh secret. `None`: as [`Drawn::new`].
    pub fn generate(group: Group, random: &mut dyn Random) -> Option<Self> {
        Drawn::new(group, random).map(Drawn::into_secret)
    }

    /// Whether [`DhSecret::generate`] has this group.
    pub const fn supports(group: Group) -> bool {
        matches!(
            group,
            Group::MODP_2048
                | Group::MODP_3072
                | Group::MODP_4096
                | Group::ECP_256
                | Group::ECP_384
                | Group::CURVE25519
        )
    }

    /// Its group.
    pub const fn group(&self) -> Group {
        self.group
    }

    /// Key Exchange Data of ours: a MODP value padded to the prime (RFC 7296 §3.4), x | y (RFC 5903 §7), or the
    /// 32 octets of RFC 8031 §3.1.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// g^ir, from Key Exchange Data of the peer.
    pub fn agree(&self, peer: &[u8]) -> Result<SharedSecret, DhError> {
        let mut octets = self.private.agree(peer)?;
        Ok(SharedSecret(core::mem::take(&mut *octets)))
    }
}

enum Private {
    Modp(ModpSecret),
    Ecp256(EcpSecret<Nist256>),
    Ecp384(EcpSecret<Nist384>),
    Curve25519(StaticSecret),
}

impl Private {
    fn draw(group: Group, random: &mut dyn Random) -> Option<Self> {
        Some(match group {
            Group::ECP_256 => Self::Ecp256(EcpSecret::generate(random)?),
            Group::ECP_384 => Self::Ecp384(EcpSecret::generate(random)?),
            Group::CURVE25519 => {
                let mut octets = Zeroizing::new([0; CURVE25519_LEN]);
                random.fill(&mut *octets);
                Self::Curve25519(StaticSecret::from(*octets))
            }
            _ => Self::Modp(ModpSecret::generate(group, random)?),
        })
    }

    fn public(&self) -> Vec<u8> {
        match self {
            Self::Modp(secret) => secret.public(),
            Self::Ecp256(secret) => secret.public(),
            Self::Ecp384(secret) => secret.public(),
            Self::Curve25519(secret) => PublicKey::from(secret).as_bytes().to_vec(),
        }
    }

    fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, DhError> {
        match self {
            Self::Modp(secret) => secret.agree(peer),
            Self::Ecp256(secret) => secret.agree(peer),
            Self::Ecp384(secret) => secret.agree(peer),
            Self::Curve25519(secret) => agree_curve25519(secret, peer),
        }
    }
}

/// RFC 8031 §3.2: the all-zero output of a point of small order is refused.
fn agree_curve25519(secret: &StaticSecret, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, DhError> {
    let public: [u8; CURVE25519_LEN] = peer.try_into().map_err(|_| DhError::Length(peer.len()))?;
    let shared = secret.diffie_hellman(&PublicKey::from(public));
    if shared.was_contributory() {
        Ok(Zeroizing::new(shared.as_bytes().to_vec()))
    } else {
        Err(DhError::Value)
    }
}

/// g^ir, as it enters the PRF: padded to the prime, of a point the x alone (RFC 5903 §7).
#[derive(ZeroizeOnDrop)]
pub struct SharedSecret(Vec<u8>);

impl SharedSecret {
    /// The secret's octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SharedSecret {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

/// A public value of the peer that must not be used (RFC 6989). The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhError {
    /// Not the length that the group has.
    #[error("a public value of {0} octets, which is not what its group has")]
    Length(usize),
    /// Out of range, not on the curve, or of small order.
    #[error("a public value that its group excludes")]
    Value,
}

const CURVE25519_LEN: usize = 32;

#[cfg(test)]
mod tests;

//! Groups 19 and 20 (RFC 5903): P-256 and P-384.

use p256::NistP256;
use p256::elliptic_curve::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{
    AffinePoint, Curve, CurveArithmetic, FieldBytes, FieldBytesSize, PublicKey, SecretKey,
};
use p384::NistP384;
use zeroize::Zeroizing;

use super::DhError;
use crate::crypto::Random;

pub(super) type Nist256 = NistP256;
pub(super) type Nist384 = NistP384;

/// A private scalar of a curve.
pub(super) struct EcpSecret<C: CurveArithmetic>(SecretKey<C>);

impl<C> EcpSecret<C>
where
    C: CurveArithmetic + Curve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    /// Draws until a scalar is in the range of the group's order; one draw fails with probability 2^-32 at most.
    pub(super) fn generate(random: &mut dyn Random) -> Option<Self> {
        (0..DRAWS).find_map(|_| {
            let mut octets = Zeroizing::new(FieldBytes::<C>::default());
            random.fill(&mut octets);
            SecretKey::from_bytes(&octets).ok().map(Self)
        })
    }

    /// x | y, without the leading octet of SEC 1.
    pub(super) fn public(&self) -> Vec<u8> {
        let point = self.0.public_key().to_sec1_point(false);
        point.as_bytes().strip_prefix(&[UNCOMPRESSED]).unwrap_or_default().to_vec()
    }

    /// The point must be on the curve; its coordinates cannot say infinity (RFC 6989 §2.3).
    pub(super) fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, DhError> {
        if peer.len() != FieldBytes::<C>::default().len().saturating_mul(2) {
            return Err(DhError::Length(peer.len()));
        }
        let sec1 = [&[UNCOMPRESSED], peer].concat();
        let public = PublicKey::<C>::from_sec1_bytes(&sec1).map_err(|_| DhError::Value)?;
        let shared = diffie_hellman(self.0.to_nonzero_scalar(), public.as_affine());
        Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
    }
}

/// Lead of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Draws after which a source of randomness is taken for broken.
const DRAWS: usize = 16;

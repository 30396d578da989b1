//! Groups 14, 15 and 16 (RFC 3526): exponentiation modulo a safe prime, generator 2.
//!
//! Exponents have at least twice the bits of the group's strength (RFC 3526 §8, SP 800-56A r3 §5.6.1.1), and time
//! depends on their length alone: Montgomery multiplication and tables that are always read whole.

use std::sync::LazyLock;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U512, U2048, U3072, U4096, Uint};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::DhError;
use super::comb::Comb;
use crate::codec::iana::Group;
use crate::crypto::Random;

/// A private exponent, and the group that it is for.
pub(super) struct ModpSecret {
    field: Field,
    exponent: Exponent,
}

impl ModpSecret {
    /// `None`: another group, or a source of randomness that gives zeros.
    pub(super) fn generate(group: Group, random: &mut dyn Random) -> Option<Self> {
        let field = Field::of(group)?;
        let mut octets = Zeroizing::new([0; MAX_EXPONENT_LEN]);
        let octets = octets.get_mut(..field.exponent_bits() as usize / 8)?;
        random.fill(octets);
        let exponent = Exponent::new(octets)?;
        Some(Self { field, exponent })
    }

    /// A secret that is given, of up to 64 octets; [`Self::public`] is not for those that are too long to be drawn.
    #[cfg(test)]
    pub(super) fn from_octets(group: Group, octets: &[u8]) -> Option<Self> {
        Some(Self { field: Field::of(group)?, exponent: Exponent::new(octets)? })
    }

    /// 2^exponent, padded to the prime.
    pub(super) fn public(&self) -> Vec<u8> {
        let Exponent { value, .. } = &self.exponent;
        match self.field {
            Field::Modp2048 => padded(&MODP_2048.comb.power(value)).to_vec(),
            Field::Modp3072 => padded(&MODP_3072.comb.power(value)).to_vec(),
            Field::Modp4096 => padded(&MODP_4096.comb.power(value)).to_vec(),
        }
    }

    /// peer^exponent, padded to the prime.
    pub(super) fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, DhError> {
        match self.field {
            Field::Modp2048 => agree(&MODP_2048.params, peer, &self.exponent),
            Field::Modp3072 => agree(&MODP_3072.params, peer, &self.exponent),
            Field::Modp4096 => agree(&MODP_4096.params, peer, &self.exponent),
        }
    }
}

#[derive(Clone, Copy)]
enum Field {
    Modp2048,
    Modp3072,
    Modp4096,
}

impl Field {
    const fn of(group: Group) -> Option<Self> {
        match group {
            Group::MODP_2048 => Some(Self::Modp2048),
            Group::MODP_3072 => Some(Self::Modp3072),
            Group::MODP_4096 => Some(Self::Modp4096),
            _ => None,
        }
    }

    /// Bits of a private exponent: above twice the strengths of 112, 128 and 152 bits.
    const fn exponent_bits(self) -> u32 {
        match self {
            Self::Modp2048 => 256,
            Self::Modp3072 => 320,
            Self::Modp4096 => 384,
        }
    }
}

#[derive(ZeroizeOnDrop)]
struct Exponent {
    value: U512,
    /// Public: the length of what was drawn, not of the number.
    #[zeroize(skip)]
    bits: u32,
}

impl Exponent {
    fn new(octets: &[u8]) -> Option<Self> {
        let mut padded = Zeroizing::new([0; MAX_EXPONENT_LEN]);
        let start = padded.len().checked_sub(octets.len())?;
        padded.get_mut(start..)?.copy_from_slice(octets);
        let value = U512::from_be_slice(&*padded);
        let bits = u32::try_from(octets.len()).ok()?.checked_mul(8)?;
        (!bool::from(value.is_zero())).then_some(Self { value, bits })
    }
}

/// RFC 6989 §2.1: a public value is in 2..=p-2. The prime is safe, so that no other has a small order.
fn agree<const LIMBS: usize>(
    params: &FixedMontyParams<LIMBS>,
    peer: &[u8],
    exponent: &Exponent,
) -> Result<Zeroizing<Vec<u8>>, DhError> {
    if peer.len() != Uint::<LIMBS>::BYTES {
        return Err(DhError::Length(peer.len()));
    }
    let value = Uint::from_be_slice(peer);
    let last = params.modulus().as_ref().wrapping_sub(&Uint::ONE);
    if value <= Uint::ONE || value >= last {
        return Err(DhError::Value);
    }
    Ok(power(params, &value, exponent))
}

fn power<const LIMBS: usize>(
    params: &FixedMontyParams<LIMBS>,
    base: &Uint<LIMBS>,
    exponent: &Exponent,
) -> Zeroizing<Vec<u8>> {
    let wide = Zeroizing::new(exponent.value.resize::<LIMBS>());
    padded(&FixedMontyForm::new(base, params).pow_amm_bounded_exp(&wide, exponent.bits))
}

/// Big endian, with the zeros that lead it.
fn padded<const LIMBS: usize>(number: &FixedMontyForm<LIMBS>) -> Zeroizing<Vec<u8>> {
    let words = Zeroizing::new(number.retrieve().to_words());
    Zeroizing::new(words.iter().rev().flat_map(|word| word.to_be_bytes()).collect())
}

/// What is known of a group before there is an exponent.
struct Known<const LIMBS: usize> {
    params: FixedMontyParams<LIMBS>,
    comb: Comb<LIMBS>,
}

impl<const LIMBS: usize> Known<LIMBS> {
    fn new(prime: &str, field: Field) -> Self {
        let params = FixedMontyParams::new_vartime(Odd::from_be_hex(prime));
        Self { params, comb: Comb::new(params, field.exponent_bits()) }
    }
}

/// Octets of the longest exponent.
const MAX_EXPONENT_LEN: usize = U512::BYTES;

static MODP_2048: LazyLock<Known<{ U2048::LIMBS }>> = LazyLock::new(|| Known::new(P_2048, Field::Modp2048));
static MODP_3072: LazyLock<Known<{ U3072::LIMBS }>> = LazyLock::new(|| Known::new(P_3072, Field::Modp3072));
static MODP_4096: LazyLock<Known<{ U4096::LIMBS }>> = LazyLock::new(|| Known::new(P_4096, Field::Modp4096));

/// The prime of a group that we have.
#[cfg(test)]
pub(super) fn prime(group: Group) -> Vec<u8> {
    let hex = match Field::of(group) {
        Some(Field::Modp2048) => P_2048,
        Some(Field::Modp3072) => P_3072,
        Some(Field::Modp4096) => P_4096,
        None => "",
    };
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// 2^2048 - 2^1984 - 1 + 2^64 * ([2^1918 pi] + 124476), a safe prime.
const P_2048: &str = "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
    020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
    98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
    9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
    3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF";

/// 2^3072 - 2^3008 - 1 + 2^64 * ([2^2942 pi] + 1690314), a safe prime.
const P_3072: &str = "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
    020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
    98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
    9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
    3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33\
    A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
    ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864\
    D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2\
    08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF";

/// 2^4096 - 2^4032 - 1 + 2^64 * ([2^3966 pi] + 240904), a safe prime.
const P_4096: &str = "\
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
    020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
    98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
    9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
    3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33\
    A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
    ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864\
    D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2\
    08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7\
    88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8\
    DBBBC2DB04DE8EF92E8EFC141FBECAA6287C59474E6BC05D99B2964FA090C3A2\
    233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9\
    93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF";

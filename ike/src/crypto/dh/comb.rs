//! Powers of 2 modulo the prime of a MODP group: a comb over a table that is made once (Lim and Lee, "More Flexible
//! Exponentiation with Precomputation", CRYPTO '94).
//!
//! The generator is the same for ever, so that most squarings are done before the first exponent is known. What remains
//! is a fourth of the multiplications of [`FixedMontyForm::pow`]. Each of them reads all of its table: which entry it
//! takes, and so the exponent, shows neither in time nor in the cache.

use core::iter;

use crypto_bigint::ctutils::{CtAssign as _, CtEq as _};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{U512, Uint, Word};
use zeroize::Zeroizing;

/// Powers of 2 for exponents of a fixed length.
///
/// The exponent is laid out in [`TEETH`] rows of equal length, one below the other, and the rows are cut into
/// [`BLOCKS`]. One bit of each row, that is a column, chooses an entry of its block's table; blocks advance together,
/// by one column a squaring.
pub(super) struct Comb<const LIMBS: usize> {
    params: FixedMontyParams<LIMBS>,
    /// Columns of a block.
    columns: u32,
    /// Of each block the powers that a column can choose, in Montgomery form.
    tables: Vec<Table<LIMBS>>,
}

type Table<const LIMBS: usize> = [Uint<LIMBS>; 1 << TEETH];

impl<const LIMBS: usize> Comb<LIMBS> {
    /// For exponents of up to `bits`, a multiple of [`TEETH`] times [`BLOCKS`].
    pub(super) fn new(params: FixedMontyParams<LIMBS>, bits: u32) -> Self {
        let columns = bits / (TEETH * BLOCKS);
        // 2 to the power of the lowest bit of each row of each block.
        let lowest: Vec<_> =
            iter::successors(Some(FixedMontyForm::new(&Uint::from_u8(2), &params)), |power| {
                Some(power.square_repeat_vartime(columns))
            })
            .take((TEETH * BLOCKS) as usize)
            .collect();
        let table = |block: u32| {
            core::array::from_fn(|entry| {
                let teeth = lowest.iter().skip(block as usize).step_by(BLOCKS as usize).enumerate();
                let chosen = teeth.filter(|(tooth, _)| entry >> tooth & 1 == 1);
                chosen
                    .fold(FixedMontyForm::one(&params), |product, (_, power)| product * power)
                    .to_montgomery()
            })
        };
        let tables = (0..BLOCKS).map(table).collect();
        Self { params, columns, tables }
    }

    /// 2^exponent. Bits of the exponent beyond the comb's length are not read.
    pub(super) fn power(&self, exponent: &U512) -> Zeroizing<FixedMontyForm<LIMBS>> {
        let mut power = Zeroizing::new(FixedMontyForm::one(&self.params));
        for column in (0..self.columns).rev() {
            *power = power.square();
            for (block, table) in (0..).zip(&self.tables) {
                let chosen = Zeroizing::new(select(table, self.column(exponent, block, column)));
                *power *= &FixedMontyForm::from_montgomery(*chosen, &self.params);
            }
        }
        power
    }

    /// One bit of each row of the exponent. Where the bits are is public; what they are is not looked at.
    fn column(&self, exponent: &U512, block: u32, column: u32) -> Word {
        (0..TEETH).fold(0, |entry, tooth| {
            let position = (tooth * BLOCKS + block) * self.columns + column;
            let word = exponent.as_words().get((position / Word::BITS) as usize).copied().unwrap_or_default();
            entry | (word >> (position % Word::BITS) & 1) << tooth
        })
    }
}

/// The entry with this index, by reading all of them.
fn select<const LIMBS: usize>(table: &Table<LIMBS>, index: Word) -> Uint<LIMBS> {
    let mut chosen = Uint::ZERO;
    for (entry, power) in (0..).zip(table) {
        chosen.ct_assign(power, entry.ct_eq(&index));
    }
    chosen
}

/// Rows of an exponent. With four of them a table has 16 entries, and all tables of group 14 are 32 KiB.
const TEETH: u32 = 4;

/// Blocks of a row: more of them spare squarings, and cost tables.
const BLOCKS: u32 = 8;

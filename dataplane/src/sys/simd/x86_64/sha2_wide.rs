//! What SHA-256 and SHA-512 (FIPS 180-4 §6.2.2, §6.4.2) over AVX-512 registers that hold one word of each lane share: they
//! differ in the width of a word, the distances of the rotations and the number of rounds.

use core::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512,
};

/// Defines `compress(state, message) -> state`, which leaves the old state to be added and uses the message up.
macro_rules! sha2_rounds {
    (
        $word:ty, constants: $constants:ident, add: $add:ident, set1: $set1:ident, ror: $ror:ident, shr: $shr:ident,
        big_sigma: [$a0:literal, $a1:literal, $a2:literal], [$e0:literal, $e1:literal, $e2:literal],
        small_sigma: [$s0:literal, $s1:literal, $s2:literal], [$t0:literal, $t1:literal, $t2:literal],
    ) => {
        // Alone it keeps state and message in registers; in the loop of its caller it spills them, and takes up to 15 % longer.
        #[inline(never)]
        #[target_feature(enable = "avx512f")]
        fn compress(state: [__m512i; 8], w: &mut [__m512i; 16]) -> [__m512i; 8] {
            let mut state = state;
            let (sixteens, _) = $constants.as_chunks::<16>();
            for constants in &sixteens[..sixteens.len() - 1] {
                state = sixteen::<true>(state, w, constants);
            }
            sixteen::<false>(state, w, &sixteens[sixteens.len() - 1])
        }

        /// Sixteen rounds, which `EXTEND` the message by sixteen words. Spelled out, so that each word has its register.
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn sixteen<const EXTEND: bool>(
            state: [__m512i; 8],
            w: &mut [__m512i; 16],
            constants: &[$word; 16],
        ) -> [__m512i; 8] {
            let state = round::<0, EXTEND>(state, w, constants);
            let state = round::<1, EXTEND>(state, w, constants);
            let state = round::<2, EXTEND>(state, w, constants);
            let state = round::<3, EXTEND>(state, w, constants);
            let state = round::<4, EXTEND>(state, w, constants);
            let state = round::<5, EXTEND>(state, w, constants);
            let state = round::<6, EXTEND>(state, w, constants);
            let state = round::<7, EXTEND>(state, w, constants);
            let state = round::<8, EXTEND>(state, w, constants);
            let state = round::<9, EXTEND>(state, w, constants);
            let state = round::<10, EXTEND>(state, w, constants);
            let state = round::<11, EXTEND>(state, w, constants);
            let state = round::<12, EXTEND>(state, w, constants);
            let state = round::<13, EXTEND>(state, w, constants);
            let state = round::<14, EXTEND>(state, w, constants);
            round::<15, EXTEND>(state, w, constants)
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        fn round<const T: usize, const EXTEND: bool>(
            state: [__m512i; 8],
            w: &mut [__m512i; 16],
            constants: &[$word; 16],
        ) -> [__m512i; 8] {
            let [a, b, c, d, e, f, g, h] = state;
            let keyed = $add($add(h, w[T]), $set1(constants[T].cast_signed()));
            let big_1 = xor3($ror::<$e0>(e), $ror::<$e1>(e), $ror::<$e2>(e));
            let choice = _mm512_ternarylogic_epi64::<0xca>(e, f, g);
            let first = $add($add(keyed, choice), big_1);
            let big_0 = xor3($ror::<$a0>(a), $ror::<$a1>(a), $ror::<$a2>(a));
            let majority = _mm512_ternarylogic_epi64::<0xe8>(a, b, c);
            let second = $add(big_0, majority);
            if EXTEND {
                let (w_1, w_14) = (w[(T + 1) % 16], w[(T + 14) % 16]);
                let small_0 = xor3($ror::<$s0>(w_1), $ror::<$s1>(w_1), $shr::<$s2>(w_1));
                let small_1 = xor3($ror::<$t0>(w_14), $ror::<$t1>(w_14), $shr::<$t2>(w_14));
                w[T] = $add($add(w[T], w[(T + 9) % 16]), $add(small_0, small_1));
            }
            [$add(first, second), a, b, c, $add(d, first), e, f, g]
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        fn xor3(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
            _mm512_ternarylogic_epi64::<0x96>(x, y, z)
        }
    };
}

pub(super) use sha2_rounds;

/// The quarters of four registers, as a matrix, transposed.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose_quarters([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (low_ab, low_cd) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
    let (high_ab, high_cd) = (_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(low_ab, low_cd),
        _mm512_shuffle_i32x4::<0xdd>(low_ab, low_cd),
        _mm512_shuffle_i32x4::<0x88>(high_ab, high_cd),
        _mm512_shuffle_i32x4::<0xdd>(high_ab, high_cd),
    ]
}

/// The rows of a matrix, one a register.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_rows<W: Plain, const LANES: usize, const ROWS: usize>(
    rows: &[[W; LANES]; ROWS],
) -> [__m512i; ROWS] {
    let mut registers = [_mm512_setzero_si512(); ROWS];
    for (register, row) in registers.iter_mut().zip(rows) {
        *register = load(row);
    }
    registers
}

/// A whole register.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load<T: Plain, const N: usize>(octets: &[T; N]) -> __m512i {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: 64 octets of plain integers are readable behind the reference, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
}

/// A whole register.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store<T: Plain, const N: usize>(into: &mut [T; N], register: __m512i) {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: 64 octets of plain integers are writable behind the reference, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(into.as_mut_ptr().cast(), register) };
}

/// Integers, of which every pattern of bits is one.
pub(super) trait Plain {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for u64 {}

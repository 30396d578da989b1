//! IKE messages inside SK, see [`gotthard_fuzz::ike_sk`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gotthard_fuzz::ike_sk(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    gotthard_fuzz::replay(gotthard_fuzz::ike_sk)
}

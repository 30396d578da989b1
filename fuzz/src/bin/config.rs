//! Configuration files, see [`gotthard_fuzz::config`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gotthard_fuzz::config(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    gotthard_fuzz::replay(gotthard_fuzz::config)
}

//! Inner packets, see [`gotthard_fuzz::inner_packet`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gotthard_fuzz::inner_packet(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    gotthard_fuzz::replay(gotthard_fuzz::inner_packet)
}

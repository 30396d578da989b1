//! ESP packets, see [`gotthard_fuzz::esp_decapsulate`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gotthard_fuzz::esp_decapsulate(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    gotthard_fuzz::replay(gotthard_fuzz::esp_decapsulate)
}

//! IKE messages in the clear, see [`gotthard_fuzz::ike_message`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gotthard_fuzz::ike_message(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    gotthard_fuzz::replay(gotthard_fuzz::ike_message)
}

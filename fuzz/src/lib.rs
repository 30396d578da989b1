//! What the fuzz targets do with their bytes. A target fails by a panic.
//!
//! `cargo xtask fuzz` builds the programs in `src/bin` with libFuzzer. Built as anything else, each runs the files that
//! its command line names: so a finding is replayed, and debugged, without a fuzzer.

#![allow(clippy::missing_panics_doc, reason = "a panic is how every target says that it found something")]

mod bgp;
pub mod certificate;
mod config;
mod esp;
mod ike;
mod import;
mod inner;
mod payload;
mod script;
mod stateful;

/// The targets: each is a function of this crate, a program in `src/bin` and a folder in `seeds`, all of one name.
macro_rules! targets {
    ($($module:ident: $($name:ident)*;)*) => {
        $($(pub use $module::$name;)*)*

        /// All targets, by their names.
        pub const TARGETS: &[Target] = &[$($((stringify!($name), $name),)*)*];
    };
}

targets! {
    ike: ike_message ike_sk;
    stateful: ike_responder ike_initiator ike_fragments;
    payload: payload_sa payload_ke payload_id payload_cert payload_certreq payload_auth payload_nonce payload_notify
        payload_delete payload_vendor_id payload_ts payload_sk payload_skf payload_cp payload_eap payload_unknown;
    certificate: certificate;
    esp: esp_decapsulate;
    inner: inner_packet;
    config: config;
    import: import;
    bgp: bgp_message bgp_open bgp_update bgp_session bgp_pair prefix_list;
}

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// The program of the target `NAME`: with libFuzzer where it is there, else a replay of files.
#[macro_export]
macro_rules! program {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::replay($crate::$name)
        }
    };
}

/// Runs `target` on each file that the command line names.
pub fn replay(target: fn(&[u8])) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        target(&std::fs::read(path)?);
    }
    Ok(())
}

//! The CERT payload, see [`gotthard_fuzz::payload_cert`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_cert);

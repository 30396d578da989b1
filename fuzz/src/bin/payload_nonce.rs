//! The nonce payload, see [`gotthard_fuzz::payload_nonce`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_nonce);

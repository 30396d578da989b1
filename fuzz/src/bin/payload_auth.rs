//! The AUTH payload, see [`gotthard_fuzz::payload_auth`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_auth);

//! The CP payload, see [`gotthard_fuzz::payload_cp`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_cp);

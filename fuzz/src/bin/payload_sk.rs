//! The SK payload, see [`gotthard_fuzz::payload_sk`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_sk);

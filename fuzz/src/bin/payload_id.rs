//! The IDi and IDr payloads, see [`gotthard_fuzz::payload_id`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_id);

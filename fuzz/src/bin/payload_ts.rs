//! The TSi and TSr payloads, see [`gotthard_fuzz::payload_ts`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_ts);

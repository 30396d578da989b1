//! Payloads of unknown types, see [`gotthard_fuzz::payload_unknown`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_unknown);

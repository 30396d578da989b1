//! The SKF payload, see [`gotthard_fuzz::payload_skf`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_skf);

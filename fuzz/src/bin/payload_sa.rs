//! The SA payload, see [`gotthard_fuzz::payload_sa`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_sa);

//! The Delete payload, see [`gotthard_fuzz::payload_delete`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_delete);

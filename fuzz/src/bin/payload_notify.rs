//! The notify payload, see [`gotthard_fuzz::payload_notify`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_notify);

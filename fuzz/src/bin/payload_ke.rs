//! The KE payload, see [`gotthard_fuzz::payload_ke`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_ke);

//! Inner packets, see [`gotthard_fuzz::inner_packet`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(inner_packet);

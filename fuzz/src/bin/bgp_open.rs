//! OPENs, see [`gotthard_fuzz::bgp_open`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(bgp_open);

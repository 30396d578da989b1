//! UPDATEs, see [`gotthard_fuzz::bgp_update`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(bgp_update);

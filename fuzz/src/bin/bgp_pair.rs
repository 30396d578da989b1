//! Two BGP sessions and a script of the network between them, see [`gotthard_fuzz::bgp_pair`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(bgp_pair);

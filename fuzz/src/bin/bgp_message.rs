//! A stream of BGP messages, see [`gotthard_fuzz::bgp_message`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(bgp_message);

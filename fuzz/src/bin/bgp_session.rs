//! A BGP session and a script of its peer, see [`gotthard_fuzz::bgp_session`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(bgp_session);

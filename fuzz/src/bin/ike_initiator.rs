//! The endpoint as initiator, against a scripted peer, see [`gotthard_fuzz::ike_initiator`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(ike_initiator);

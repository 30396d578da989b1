//! The endpoint as responder, against a scripted peer, see [`gotthard_fuzz::ike_responder`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(ike_responder);

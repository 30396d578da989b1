//! Fragments of IKE messages, in any order and number, see [`gotthard_fuzz::ike_fragments`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(ike_fragments);

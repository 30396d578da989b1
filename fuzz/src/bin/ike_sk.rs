//! IKE messages inside SK, see [`gotthard_fuzz::ike_sk`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(ike_sk);

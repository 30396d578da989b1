//! IKE messages in the clear, see [`gotthard_fuzz::ike_message`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(ike_message);

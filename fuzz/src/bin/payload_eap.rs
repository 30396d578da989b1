//! The EAP payload, see [`gotthard_fuzz::payload_eap`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_eap);

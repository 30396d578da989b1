//! The CERTREQ payload, see [`gotthard_fuzz::payload_certreq`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_certreq);

//! Certificates and signatures of a peer, see [`gotthard_fuzz::certificate`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(certificate);

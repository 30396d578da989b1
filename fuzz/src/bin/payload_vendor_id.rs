//! The vendor id payload, see [`gotthard_fuzz::payload_vendor_id`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(payload_vendor_id);

//! ESP packets, see [`gotthard_fuzz::esp_decapsulate`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(esp_decapsulate);

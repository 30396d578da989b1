//! Configuration files, see [`gotthard_fuzz::config`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(config);

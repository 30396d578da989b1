//! Files that clouds hand out, see [`gotthard_fuzz::import`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(import);

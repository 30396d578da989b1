//! Rules for prefixes and communities, see [`gotthard_fuzz::prefix_list`].

#![cfg_attr(fuzzing, no_main)]

gotthard_fuzz::program!(prefix_list);

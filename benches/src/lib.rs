//! What is measured: the kernels, which criterion times and the perf guard counts.

#![forbid(unsafe_code)]

pub mod kernels;

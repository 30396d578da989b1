//! What is measured: the kernels, which criterion times and the perf guard counts, and what the other benches share with
//! them.

#![forbid(unsafe_code)]

pub mod kernels;
pub mod seeded;
pub mod tunnel;

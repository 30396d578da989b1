//! The packet path: ESP (RFC 4303, RFC 4301) between TUN devices and the outer network, in UDP (RFC 3948) or as IP
//! protocol 50.
//!
//! The control plane speaks to it through [`handle`] in plain messages; everything else runs on the workers' threads.

pub mod batch;
pub mod demand;
pub mod drop_reason;
pub mod esp;
pub mod handle;
pub mod icmp;
pub mod io;
mod message;
pub mod mss;
pub mod mtu;
pub mod natt;
pub mod offload;
pub mod packet;
pub mod pool;
mod rate;
mod registry;
pub mod replay;
pub mod sa;
pub mod stats;
pub mod sys;
pub mod worker;

pub use sys::netns;
use sys::simd;

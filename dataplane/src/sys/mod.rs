//! What the kernel and the CPU offer and no safe crate wraps. The only unsafe code of the data plane lives here.
//!
//! Each file wraps one system call, one kernel structure or one vector unit behind a safe function; nothing here knows of
//! ESP.

pub mod affinity;
mod buf_ring;
pub mod clock;
pub mod cmsg;
pub mod mmsg;
pub mod netns;
pub mod simd;
pub mod sockopt;
pub mod tun;
pub mod uring;
pub mod wake;

//! The packet path.

pub mod drop_reason;
pub mod esp;
pub mod icmp;
pub mod mss;
pub mod mtu;
pub mod natt;
pub mod packet;
pub mod replay;
pub mod sa;
pub mod stats;

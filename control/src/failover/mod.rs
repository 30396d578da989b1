//! Which tunnels of a connection carry the traffic. Pure: [`facts`] in, [`decision`] out, with the memory of [`damping`].

pub mod carrier;
pub mod damping;
pub mod decision;
pub mod facts;
pub mod gap;

//! A failover test on a live connection: its traffic leaves a tunnel and comes back, and a flow of echoes tells what that
//! cost.
//!
//! [`course`] says what to ask of the tunnels and when, [`measure`] what the echoes tell, both without I/O; [`flow`] sends
//! them, on a thread of its own so that what the daemon's loop does meanwhile does not show in the figures.

pub mod course;
pub mod flow;
pub mod measure;

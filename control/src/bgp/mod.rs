//! The embedded BGP-4 speaker (RFC 4271), as far as a site's edge needs it: IPv4 and IPv6 unicast over one session.
//!
//! [`route`] is what the rest of the daemon sees. Nothing here has a socket or a clock: octets and time come in, octets
//! and routes go out. [`codec`] is the wire format and [`fsm`] a session. [`guard`], [`policy`] and [`quota`] say what is
//! taken from a peer, [`best_path`] which path is used; [`speaker`] holds all sessions and their routes together.

pub mod best_path;
pub mod codec;
pub mod failure;
pub mod fsm;
pub mod guard;
pub mod overlap;
pub mod policy;
pub mod quota;
pub mod refusal;
pub mod rib;
pub mod route;
pub mod speaker;

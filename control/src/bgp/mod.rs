//! The embedded BGP-4 speaker (RFC 4271), as far as a site's edge needs it: IPv4 and IPv6 unicast over one session.
//!
//! [`route`] is what the rest of the daemon sees. Nothing here has a socket or a clock: octets and time come in, octets
//! and routes go out. Which path is best and what policy lets through is decided elsewhere.

pub mod codec;
pub mod route;

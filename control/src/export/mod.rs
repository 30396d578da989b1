//! Our tunnels as BGP neighbours in the language of another routing daemon, for `routing = "external"`.
//!
//! [`plan`] says, from the configuration alone, what the daemon needs to know; [`frr`] and [`bird`] write it down. What the
//! embedded speaker would keep out ([`crate::bgp::guard`], [`crate::bgp::policy`]) is kept out here by prefix lists and filters.
//! Nothing secret is written.

mod bird;
mod frr;
mod plan;

pub use bird::bird;
pub use frr::frr;
pub use plan::{Peer, Plan, Refused, plan};

/// A name as one word: nothing of it can end the string or the line, or begin another.
fn word(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

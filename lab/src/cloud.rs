//! Clouds that speak BGP: each endpoint is strongSwan with a routing daemon beside it, and a VPC is behind them.

use anyhow::Result;

use crate::site::inside_of;
use crate::strongswan::{Charon, Settings};
use crate::{Netns, Run};

pub mod aws;
pub mod azure;
pub mod described;
pub mod one_tunnel;

pub use aws::Aws;
pub use azure::Azure;
pub use described::Described;
pub use one_tunnel::OneTunnel;

/// strongSwan at an endpoint of the site, whose routes are for a routing daemon to make.
///
/// The site has the inside address on the loopback, for scenarios without BGP; it goes, for it belongs to the device.
pub fn endpoint(run: &Run, host: &Netns, index: usize, name: &str, conf: &str) -> Result<Charon> {
    let charon = Charon::start_with_settings(run, host, name, conf, Settings::ROUTED)?;
    host.ip(&format!("addr del {}/32 dev lo", inside_of(index)))?;
    Ok(charon)
}

/// The device of an endpoint's strongSwan.
pub const DEVICE: &str = "ipsec0";

//! A NAT gateway: nftables masquerade in a host between the inside and the outside.

use anyhow::Result;

use crate::Netns;

/// Makes the host forward and translate everything that leaves by `outside` to its address there.
pub fn masquerade(host: &Netns, outside: &str) -> Result<()> {
    host.forward()?;
    host.output("nft", &["add", "table", "ip", "nat"])?;
    let hook = "{ type nat hook postrouting priority srcnat; }";
    host.output("nft", &["add", "chain", "ip", "nat", "out", hook])?;
    host.output("nft", &["add", "rule", "ip", "nat", "out", "oifname", outside, "masquerade"])?;
    Ok(())
}

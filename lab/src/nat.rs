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

/// Drops all packets from and to an address that the host forwards: a path that is cut without a word.
pub fn cut(host: &Netns, address: &str) -> Result<()> {
    host.output("nft", &["add", "table", "ip", "cut"])?;
    host.output("nft", &["add", "chain", "ip", "cut", "path", "{ type filter hook forward priority 0; }"])?;
    for direction in ["saddr", "daddr"] {
        host.output("nft", &["add", "rule", "ip", "cut", "path", "ip", direction, address, "drop"])?;
    }
    Ok(())
}

/// Undoes [`cut`].
pub fn mend(host: &Netns) -> Result<()> {
    host.output("nft", &["delete", "table", "ip", "cut"]).map(drop)
}

//! The texts that the console hands out for devices, read line by line: what is not known is passed over.

mod generic;
mod ipsec_conf;
mod vyos;

use std::net::IpAddr;

use super::super::Refused;
use super::super::found::{Found, FoundConnection};
use crate::config::presets::Cloud;

/// Reads a text of one connection.
pub(super) fn read(text: &str) -> Result<Found, Refused> {
    let mut found = FoundConnection::new(id(text).unwrap_or(UNNAMED).to_owned(), Cloud::Aws);
    if text.contains("set vpn ipsec site-to-site peer") {
        vyos::read(text, &mut found)?;
    } else if text.lines().any(|line| line.trim_start().starts_with("conn ")) {
        ipsec_conf::read(text, &mut found)?;
    } else if text.contains("Outside IP Addresses") {
        generic::read(text, &mut found)?;
    } else {
        return Err(Refused::Unknown(KNOWN));
    }
    if found.tunnels.is_empty() {
        return Err(Refused::Missing {
            connection: found.name,
            what: "the address of any endpoint of AWS's",
            remedy: "download the configuration again, whole",
        });
    }
    found.remark(ALGORITHMS);
    Ok(Found::of(vec![found]))
}

/// The connection's ID, which every text has in its head.
fn id(text: &str) -> Option<&str> {
    let mut heads = text.lines().filter(|line| line.contains("VPN Connection ID")).filter_map(value);
    heads.find(|id| id.starts_with("vpn-"))
}

/// What stands behind the last colon of `- Name : value`, in the punctuation of prose.
fn value(line: &str) -> Option<&str> {
    let (_, value) = line.rsplit_once(':')?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then_some(value)
}

/// Our outer address, unless a placeholder stands for it.
fn our_address(found: &mut FoundConnection, text: &str) -> Result<(), Refused> {
    if is_placeholder(text) {
        found.remark("the file leaves our outer address open: give it with --local, else the route to the peer decides");
        return Ok(());
    }
    found.local = Some(address(&found.name, text)?);
    Ok(())
}

fn address(owner: &str, text: &str) -> Result<IpAddr, Refused> {
    super::super::json::address(owner, text)
}

/// Words of a sample that a reader is to replace: `YOUR_UPLINK_ADDRESS`, `<LOCAL NETWORK>`, `%defaultroute`.
fn is_placeholder(text: &str) -> bool {
    text.starts_with(['<', '%']) || text.replace('\\', "").starts_with("YOUR_")
}

/// A connection whose text has lost its head.
const UNNAMED: &str = "aws";
const ALGORITHMS: &str = "the text names AWS's weakest algorithms and perhaps IKEv1, whatever the tunnels are set to: ours are \
     offered; leave IKEv2, AES256-GCM-16, SHA2-256 and DH group 19 allowed in the tunnel options";
const KNOWN: &str = "download it for the vendor Generic, strongSwan, Libreswan or VyOS, or give the output of `aws ec2 \
     describe-vpn-connections`, which says most";

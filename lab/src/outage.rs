//! A path that swallows packets: no ICMP, no link that goes down, nothing that either end could notice but silence.

use std::io::Write as _;
use std::net::IpAddr;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::Netns;

/// What of an address vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vanishes {
    /// What it sends and what is sent to it.
    All,
    /// What is sent to it.
    Sent,
    /// What it sends.
    Received,
}

impl Vanishes {
    const fn matches(self) -> &'static [&'static str] {
        match self {
            Self::All => &["saddr", "daddr"],
            Self::Sent => &["daddr"],
            Self::Received => &["saddr"],
        }
    }
}

/// Which packets vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whatever they are.
    Any,
    /// ESP, as IP protocol 50 or in UDP, where no non-ESP marker follows the header (RFC 3948 §2.2).
    Esp,
    /// All on UDP 4500.
    Port4500,
}

impl Kind {
    const fn matches(self) -> &'static [&'static str] {
        match self {
            Self::Any => &[""],
            Self::Esp => {
                &["ip protocol esp", "udp dport 4500 @th,64,32 != 0", "udp sport 4500 @th,64,32 != 0"]
            }
            Self::Port4500 => &["udp dport 4500"],
        }
    }
}

/// Lets packets of an address vanish in a host that forwards them, from one moment on.
pub fn silence(host: &Netns, address: &str, vanishes: Vanishes) -> Result<()> {
    block(host, address, vanishes, Kind::Any)
}

/// The same for one kind of packets.
pub fn block(host: &Netns, address: &str, vanishes: Vanishes, kind: Kind) -> Result<()> {
    // One transaction: both directions end at once.
    let mut script = format!(
        "table ip {TABLE} {{}}\ndelete table ip {TABLE}\ntable ip {TABLE} {{ chain path {{ \
         type filter hook forward priority 0;\n"
    );
    for direction in vanishes.matches() {
        for kind in kind.matches() {
            script.extend(["ip ", direction, " ", address, " ", kind, " drop\n"]);
        }
    }
    script.push_str("}\n}\n");
    nft(host, &script)
}

/// Leaves echoes to an address of the host's own without an answer, for good.
pub fn answer_no_echo(host: &Netns, address: IpAddr) -> Result<()> {
    nft(
        host,
        &format!(
            "table ip echoes {{ chain input {{ type filter hook input priority 0;\n\
             ip daddr {address} icmp type echo-request drop\n}}\n}}\n"
        ),
    )
}

/// Undoes [`silence`] and [`block`].
pub fn mend(host: &Netns) -> Result<()> {
    nft(host, &format!("table ip {TABLE} {{}}\ndelete table ip {TABLE}\n"))
}

fn nft(host: &Netns, script: &str) -> Result<()> {
    let mut command = host.command("nft");
    let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("standard input")?.write_all(script.as_bytes())?;
    let status = child.wait()?;
    ensure!(status.success(), "nft: {status}\n{script}");
    Ok(())
}

const TABLE: &str = "outage";

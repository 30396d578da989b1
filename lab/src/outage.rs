//! A path that swallows packets: no ICMP, no link that goes down, nothing that either end could notice but silence.

use std::io::Write as _;
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

/// Lets packets of an address vanish in a host that forwards them, from one moment on.
pub fn silence(host: &Netns, address: &str, vanishes: Vanishes) -> Result<()> {
    // One transaction: both directions end at once.
    let mut script = format!(
        "table ip {TABLE} {{}}\ndelete table ip {TABLE}\ntable ip {TABLE} {{ chain path {{ \
         type filter hook forward priority 0;\n"
    );
    for direction in vanishes.matches() {
        script.extend(["ip ", direction, " ", address, " drop\n"]);
    }
    script.push_str("}\n}\n");
    nft(host, &script)
}

/// Undoes [`silence`].
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

//! What was counted on the way between the two ends of a pair: it says where a packet was lost.

use core::fmt::Write as _;

use anyhow::Result;

use super::{Daemon, Pair};
use crate::Netns;

impl Pair {
    /// Every counter that has counted something other than packets that went through, host by host.
    pub fn ledger(&self) -> Result<String> {
        let mut text = String::new();
        for (host, daemon) in self.hosts.iter().zip(&self.daemons) {
            writeln!(text, "{}:", host.name())?;
            devices(host, &mut text)?;
            sockets(host, &mut text)?;
            match daemon {
                Daemon::Gotthard(gateway) => {
                    for tunnel in gateway.status()?.tunnels() {
                        writeln!(text, "  gotthard: {:?}", tunnel.esp)?;
                    }
                }
                Daemon::Strongswan(charon) => {
                    let sas = charon.sas()?;
                    let counted = |key| sas.values(key).collect::<Vec<_>>().join(" + ");
                    let (inward, outward) = (counted("packets-in"), counted("packets-out"));
                    writeln!(text, "  charon, SAs that it has: in {inward}, out {outward}")?;
                }
            }
        }
        Ok(text)
    }
}

/// Packets that a device received and sent, and those that it dropped or failed on.
fn devices(host: &Netns, text: &mut String) -> Result<()> {
    for line in host.output("cat", &["/proc/net/dev"])?.lines().skip(2) {
        let Some((device, counters)) = line.split_once(':') else { continue };
        let counters: Vec<_> = counters.split_whitespace().collect();
        let column = |at: usize| counters.get(at).copied().unwrap_or("?");
        let device = device.trim();
        writeln!(
            text,
            "  {device}: received {} (errors {}, dropped {}), sent {} (errors {}, dropped {})",
            column(1),
            column(2),
            column(3),
            column(9),
            column(10),
            column(11)
        )?;
    }
    Ok(())
}

/// UDP datagrams that sockets had no room for, or that had no socket.
fn sockets(host: &Netns, text: &mut String) -> Result<()> {
    let snmp = host.output("cat", &["/proc/net/snmp"])?;
    let mut rows = snmp.lines().filter_map(|line| line.strip_prefix("Udp:"));
    if let (Some(names), Some(values)) = (rows.next(), rows.next()) {
        let shown: Vec<_> = names.split_whitespace().zip(values.split_whitespace()).collect();
        writeln!(text, "  UDP: {shown:?}")?;
    }
    Ok(())
}

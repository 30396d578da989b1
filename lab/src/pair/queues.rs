//! Room for packets to wait in. A machine that all programs of a pair share lets packets wait longer than the kernel's
//! usual queues hold, rekey or not; what is lost there says nothing of a gateway.

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{Daemon, Pair};
use crate::Netns;
use crate::strongswan::Charon;

impl Pair {
    /// Lengthens the queues between the kernel and both gateways.
    pub(super) fn widen_queues(&self) -> Result<()> {
        for (host, daemon) in self.hosts.iter().zip(&self.daemons) {
            widen_tuns(host)?;
            // Ours asks for what it needs itself.
            if let Daemon::Strongswan(charon) = daemon {
                widen_sockets(charon).context("charon's sockets")?;
            }
        }
        Ok(())
    }
}

fn widen_tuns(host: &Netns) -> Result<()> {
    let devices = host.output("ls", &["/sys/class/net"])?;
    let is_tun = |name: &&str| ["gth", "ipsec"].iter().any(|kind| name.starts_with(kind));
    for device in devices.split_whitespace().filter(is_tun) {
        host.ip(&format!("link set {device} txqueuelen {PACKETS}"))?;
    }
    Ok(())
}

/// charon has no option for it.
fn widen_sockets(charon: &Charon) -> Result<()> {
    let pid = i32::try_from(charon.pid()).ok().and_then(Pid::from_raw).context("process id")?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    for entry in std::fs::read_dir(format!("/proc/{}/fd", charon.pid()))? {
        let number = entry?.file_name().to_string_lossy().parse()?;
        // One that was closed meanwhile is none of those that last.
        let Ok(descriptor) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else { continue };
        let domain = sockopt::socket_domain(&descriptor);
        let is_inet =
            domain.is_ok_and(|family| [AddressFamily::INET, AddressFamily::INET6].contains(&family));
        if is_inet && sockopt::socket_type(&descriptor)? == SocketType::DGRAM {
            sockopt::set_socket_recv_buffer_size_force(&descriptor, OCTETS)?;
        }
    }
    Ok(())
}

const PACKETS: u32 = 10_000;
const OCTETS: usize = 16 << 20;

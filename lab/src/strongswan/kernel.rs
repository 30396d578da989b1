//! strongSwan in a kernel of its own, whose ESP it uses: in raw IP packets, with extended sequence numbers.

use core::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use super::{Connection, Sas};
use crate::uml::{Nic, Uml};
use crate::{Netns, Run};

/// A running charon in user-mode Linux. Both end when dropped.
#[derive(Debug)]
pub struct KernelCharon {
    uml: Uml,
}

impl KernelCharon {
    /// Boots a kernel in a host, with these further addresses, and starts charon with one connection in it.
    pub fn start(
        run: &Run,
        host: &Netns,
        nic: Nic<'_>,
        inner: &[&str],
        connection: &Connection,
    ) -> Result<Self> {
        let uml = Uml::boot(run, host, "kernel", nic)?;
        for address in inner {
            uml.shell(&format!("ip addr add {address} dev lo"))?;
        }
        // What has a policy needs a route all the same.
        uml.shell(&format!("ip route add default via {}", connection.remote))?;
        let conf = Connection::render(std::slice::from_ref(connection))?;
        let raw = conf.replace("encap = yes", "encap = no");
        ensure!(raw != conf, "no encapsulation to turn off in:\n{conf}");
        let dir = uml.dir().display();
        std::fs::write(uml.dir().join("swanctl.conf"), raw)?;
        let log = run.dir().join("kernel-charon.log");
        std::fs::write(uml.dir().join("strongswan.conf"), strongswan_conf(&log.display().to_string()))?;
        uml.shell(&format!("export STRONGSWAN_CONF={dir}/strongswan.conf SWANCTL_DIR={dir}"))?;
        uml.shell("charon-systemd >/dev/null 2>&1 &")?;
        uml.shell(&format!("until [ -S {VICI} ]; do sleep 0.1; done"))?;
        uml.shell(&format!("swanctl --load-all --file {dir}/swanctl.conf"))?;
        Ok(Self { uml })
    }

    /// Its SAs.
    pub fn sas(&self) -> Result<Sas> {
        Ok(Sas::new(self.uml.shell("swanctl --list-sas --raw")?))
    }

    /// Starts a rekey of the one child SA that is installed.
    pub fn rekey_installed_child(&self) -> Result<()> {
        let children = self.sas()?.children();
        let installed = children.iter().find(|child| child.state == "INSTALLED");
        let id = &installed.with_context(|| format!("none is installed: {children:?}"))?.id;
        self.uml.shell(&format!("swanctl --rekey --child-id {id}")).map(drop)
    }

    /// Starts a rekey of an IKE SA.
    pub fn rekey_ike(&self, connection: &str) -> Result<()> {
        self.uml.shell(&format!("swanctl --rekey --ike {connection}")).map(drop)
    }

    /// Runs a line of shell beside it.
    pub fn shell(&self, line: &str) -> Result<String> {
        self.uml.shell(line)
    }

    /// The kernel's SAs as `ip -s xfrm state` lists them.
    pub fn states(&self) -> Result<String> {
        self.uml.shell("ip -s xfrm state")
    }

    /// Fails if the kernel has refused a packet of an SA: replayed, outside its window, not authentic, or for any other
    /// reason that it counts.
    pub fn expect_no_drop(&self) -> Result<()> {
        let states = self.states()?;
        let counted: Vec<_> = states.lines().filter(|line| line.contains(" failed ")).collect();
        ensure!(!counted.is_empty(), "no counters among\n{states}");
        ensure!(counted.iter().all(|line| line.trim() == CLEAN), "the kernel has refused packets:\n{states}");
        let mut errors = String::new();
        for line in self.uml.shell("cat /proc/net/xfrm_stat")?.lines() {
            let (name, count) = line.split_once(char::is_whitespace).context("a row of xfrm_stat")?;
            if count.trim() != "0" {
                write!(errors, "{name} {} ", count.trim())?;
            }
        }
        ensure!(errors.is_empty(), "the kernel has dropped packets: {errors}");
        Ok(())
    }
}

fn strongswan_conf(log: &str) -> String {
    format!(
        "charon-systemd {{
  load = aes aesni sha1 sha2 hmac gcm gmp kdf random nonce openssl kernel-netlink socket-default vici updown
  install_routes = no
  plugins {{
    vici {{
      socket = unix://{VICI}
    }}
  }}
  filelog {{
    file {{
      path = {log}
      default = 1
      flush_line = yes
    }}
  }}
}}
swanctl {{
  load = random
  socket = unix://{VICI}
}}
"
    )
}

/// In the kernel's own memory: a socket is of one kernel.
const VICI: &str = "/run/vici";
/// A row of counters where nothing was refused.
const CLEAN: &str = "replay-window 0 replay 0 failed 0";

//! charon's own settings, as strongswan.conf has them.

use std::path::Path;

/// What a charon is told beside its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Who says what goes into its device.
    pub routes: Routes,
    /// Which ports it sends from.
    pub ports: Ports,
    /// How long it asks a peer that does not answer.
    pub patience: Patience,
    /// What it logs.
    pub log: LogLevel,
}

/// Who routes into `ipsec0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routes {
    /// charon: the other side's selectors, in a table that comes before all others.
    #[default]
    Selectors,
    /// A routing daemon, in the main table, as it would route into a device of the kernel's.
    ///
    /// kernel-libipsec pays no heed to `install_routes = no`, and with selectors of 0.0.0.0/0 its route would swallow
    /// everything, charon's own packets too. So its table is one that a mark leads to which no packet carries.
    Daemon,
}

/// The ports of its socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// 500 and 4500.
    #[default]
    WellKnown,
    /// Any: a second charon in the same host.
    Any,
}

/// How long a request is repeated before its peer is held to be dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// 11.8 s, in growing steps: a scenario is not to wait for minutes.
    #[default]
    Short,
    /// Three times 10 s: AWS's timeout of dead peer detection.
    Aws,
}

/// What charon's log holds, by its own numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    Silent = -1,
    /// The course of each exchange.
    #[default]
    Control = 1,
}

impl Settings {
    /// Of a charon whose tunnels a routing daemon routes into.
    pub const ROUTED: Self = Self {
        routes: Routes::Daemon,
        ports: Ports::WellKnown,
        patience: Patience::Short,
        log: LogLevel::Control,
    };

    /// The file. Its IKE fragments fit the narrowest path of the scenarios.
    pub(super) fn render(self, dir: &Path, log: &Path) -> String {
        let (dir, log, level) = (dir.display(), log.display(), self.log as i8);
        let (routing, outer) = match self.routes {
            // The mark keeps charon's own packets out of its tunnel route: with selectors of 0.0.0.0/0 they would match.
            Routes::Selectors => ("fwmark = !0x42", "fwmark = 0x42"),
            Routes::Daemon => ("fwmark = 0x77", ""),
        };
        // Two of them in one host have a table each.
        let ports = match self.ports {
            Ports::WellKnown => "",
            Ports::Any => "port = 0\n  port_nat_t = 0\n  routing_table = 221",
        };
        let (timeout, base, tries) = match self.patience {
            Patience::Short => ("1.0", "1.8", 3),
            Patience::Aws => ("10.0", "1.0", 2),
        };
        format!(
            "charon-systemd {{
  load = {PLUGINS}
  fragment_size = 576
  retransmit_timeout = {timeout}
  retransmit_base = {base}
  retransmit_tries = {tries}
  {ports}
  plugins {{
    vici {{
      socket = unix://{dir}/vici
    }}
    kernel-libipsec {{
      allow_peer_ts = yes
    }}
    kernel-netlink {{
      {routing}
    }}
    socket-default {{
      {outer}
    }}
  }}
  filelog {{
    file {{
      path = {log}
      default = {level}
      append = yes
      flush_line = yes
      time_format = %T
      time_add_ms = yes
    }}
  }}
}}
swanctl {{
  load = random
  socket = unix://{dir}/vici
}}
"
        )
    }
}

const PLUGINS: &str = "aes aesni sha1 sha2 hmac gcm gmp kdf random nonce openssl pem x509 revocation constraints pubkey pkcs1 \
                       kernel-libipsec kernel-netlink socket-default vici updown";

//! Two hosts in network namespaces of their own, joined by a veth pair, each with a data plane.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr,
    reason = "a failed test is what a panic is for, and a skipped one says so"
)]

pub mod numbered;

use std::net::IpAddr;
use std::process::Command as Program;
use std::sync::atomic::{AtomicU32, Ordering};

use gotthard_dataplane::esp::transform::Transform;
use gotthard_dataplane::handle::{BackendChoice, Command, GatewayStats, Handle, Options, Reply};
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, Lifetime, OutboundSpec, OuterPath, Selectors, TunnelId,
    TunnelSpec,
};
use gotthard_dataplane::stats::TunnelStats;
use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub const TUNNEL: TunnelId = TunnelId(1);
pub const TUN: &str = "gth0";

/// A network namespace, removed when dropped, also after a failure.
pub struct Namespace(String);

/// Two namespaces and the link between them.
pub struct Hosts {
    pub left: Namespace,
    pub right: Namespace,
}

impl Namespace {
    fn new(end: &str) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gth-dp-{}-{number}{end}", std::process::id());
        ip(&["netns", "add", &name])?;
        let namespace = Self(name);
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Runs ip(8) on this namespace.
    pub fn ip(&self, arguments: &[&str]) -> Result<(), String> {
        ip(&[&["-n", &self.0], arguments].concat())
    }

    /// Runs a program in this namespace.
    pub fn exec(&self, arguments: &[&str]) -> Result<(), String> {
        ip(&[&["netns", "exec", &self.0], arguments].concat())
    }

    /// Runs `f` on a thread in this namespace; what it opens and starts belongs there.
    pub fn inside<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(f).join().unwrap()
    }

    /// As [`Self::inside`], beside the caller.
    pub fn spawn<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let path = format!("/run/netns/{}", self.0);
        std::thread::spawn(move || {
            let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&fd), Some(LinkNameSpaceType::Network))
                .unwrap();
            f()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.0]);
    }
}

impl Hosts {
    /// Joined namespaces; `None`, with the reason on standard error, where this process may not make them.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces and TUN devices need root");
            return None;
        }
        match Self::try_new() {
            Ok(hosts) => Some(hosts),
            Err(why) => {
                eprintln!("skipped: no network namespaces here: {why}");
                None
            }
        }
    }

    fn try_new() -> Result<Self, String> {
        let (left, right) = (Namespace::new("l")?, Namespace::new("r")?);
        ip(&[
            "link", "add", "outer", "netns", &left.0, "type", "veth", "peer", "name", "outer", "netns",
            &right.0,
        ])?;
        for (host, number) in [(&left, "1"), (&right, "2")] {
            host.ip(&["address", "add", &format!("192.0.2.{number}/24"), "dev", "outer"])?;
            host.ip(&["address", "add", &format!("2001:db8::{number}/64"), "dev", "outer", "nodad"])?;
            host.ip(&["link", "set", "outer", "up"])?;
        }
        Ok(Self { left, right })
    }
}

/// Starts a data plane in `host` with a tunnel of fixed keys.
pub fn start(host: &Namespace, options: Options, tunnel: Static) -> Handle {
    host.inside(move || {
        let handle = Handle::start(&options, |notice| panic!("{notice:?}")).unwrap();
        tunnel.install(&handle);
        handle
    })
}

/// Whether this host has the back end; says so where it has not.
pub fn offered(backend: BackendChoice) -> bool {
    let options = Options { udp: Vec::new(), backend, ..Options::default() };
    match Handle::start(&options, drop) {
        Ok(_) => true,
        Err(why) => {
            eprintln!("skipped: no {backend:?} here: {why}");
            false
        }
    }
}

/// Has a command carried out.
pub fn done(plane: &Handle, command: Command) {
    match plane.call(command) {
        Reply::Done => {}
        other => panic!("{other:?}"),
    }
}

/// The counters of the tunnel.
pub fn stats(plane: &Handle) -> TunnelStats {
    match plane.call(Command::Stats) {
        Reply::Stats(stats) => stats.into_iter().find(|(id, _)| *id == TUNNEL).unwrap().1,
        other => panic!("{other:?}"),
    }
}

/// The counters of what concerns no tunnel.
pub fn gateway_stats(plane: &Handle) -> GatewayStats {
    match plane.call(Command::GatewayStats) {
        Reply::GatewayStats(stats) => *stats,
        other => panic!("{other:?}"),
    }
}

/// Addresses the tunnel's device and sets it up.
pub fn set_up(host: &Namespace, number: &str) {
    host.ip(&["address", "add", &format!("10.9.0.{number}/30"), "dev", TUN]).unwrap();
    host.ip(&["address", "add", &format!("fd09::{number}/126"), "dev", TUN, "nodad"]).unwrap();
    host.ip(&["link", "set", TUN, "mtu", "1400", "up"]).unwrap();
}

/// A tunnel with fixed keys.
#[derive(Clone, Copy)]
pub struct Static {
    pub local: IpAddr,
    pub remote: IpAddr,
    pub ours: u32,
    pub theirs: u32,
    pub transform: Transform,
    pub encapsulation: Encapsulation,
    /// The replay window of both ends.
    pub window: u32,
}

impl Static {
    /// The two ends.
    pub fn pair(transform: Transform, encapsulation: Encapsulation, v6: bool) -> [Self; 2] {
        let [left, right] = if v6 { ["2001:db8::1", "2001:db8::2"] } else { ["192.0.2.1", "192.0.2.2"] };
        let (local, remote) = (left.parse().unwrap(), right.parse().unwrap());
        let left =
            Self { local, remote, ours: 0x1001, theirs: 0x1002, transform, encapsulation, window: 1024 };
        [left, Self { local: remote, remote: local, ours: 0x1002, theirs: 0x1001, ..left }]
    }

    /// The same tunnel with SPIs and keys of its own.
    pub fn rekeyed(self) -> Self {
        Self { ours: self.ours + 0x10, theirs: self.theirs + 0x10, ..self }
    }

    pub fn install(&self, handle: &Handle) {
        let tunnel = TunnelSpec { id: TUNNEL, interface: TUN.into(), mtu_cap: 1446, outer_mtu: 1500 };
        for command in [
            Command::AddTunnel(tunnel),
            Command::InstallInbound(self.inbound()),
            Command::InstallOutbound(self.outbound()),
        ] {
            done(handle, command);
        }
    }

    pub fn inbound(&self) -> InboundSpec {
        InboundSpec {
            tunnel: TUNNEL,
            spi: self.ours,
            transform: self.transform,
            keys: self.keys(self.ours),
            esn: true,
            replay_window: self.window,
            selectors: everything(),
        }
    }

    pub fn outbound(&self) -> OutboundSpec {
        let (local, remote) = ((self.local, 4500).into(), (self.remote, 4500).into());
        OutboundSpec {
            tunnel: TUNNEL,
            spi: self.theirs,
            transform: self.transform,
            keys: self.keys(self.theirs),
            esn: true,
            peer_window: self.window,
            lifetime: Lifetime::default(),
            selectors: everything(),
            path: OuterPath { local, remote, encapsulation: self.encapsulation },
        }
    }

    fn keys(&self, spi: u32) -> Keys {
        let key = |len| spi.to_be_bytes().into_iter().cycle().take(len).collect();
        Keys {
            encryption: key(self.transform.key_len() + self.transform.salt_len()),
            integrity: key(self.transform.integrity_key_len()),
        }
    }
}

fn everything() -> Selectors {
    let range =
        |start: &str, end: &str| AddressRange { start: start.parse().unwrap(), end: end.parse().unwrap() };
    let all =
        vec![range("0.0.0.0", "255.255.255.255"), range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")];
    Selectors { local: all.clone(), remote: all }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Program::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}

//! Network namespaces as test hosts: made with `ip netns`, removed when dropped.

use core::fmt::Write as _;
use core::sync::atomic::{AtomicU32, Ordering};
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::command;

/// A test host. Its name holds our process id, so that test processes do not collide.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// A host with nothing but its loopback. `role` is the readable part of its name.
    pub fn new(role: &str) -> Result<Self> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{serial}-{role}", std::process::id());
        output(command("ip").args(["netns", "add", &name]))?;
        let host = Self { name };
        // Without duplicate address detection an address is there from the start, and a comparison of before and after
        // does not depend on when it ended.
        host.sysctl("net.ipv6.conf.default.accept_dad=0")?;
        host.ip("link set lo up")?;
        Ok(host)
    }

    /// The namespace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects two hosts with a veth pair, both ends up.
    pub fn link(&self, device: &str, other: &Self, other_device: &str) -> Result<()> {
        self.ip(&format!("link add {device} type veth peer name {other_device} netns {}", other.name))?;
        self.ip(&format!("link set {device} up"))?;
        other.ip(&format!("link set {other_device} up"))
    }

    /// Adds an address, without duplicate address detection.
    pub fn address(&self, address: &str, device: &str) -> Result<()> {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        self.ip(&format!("addr add {address} dev {device}{nodad}"))
    }

    /// `ip route add …`, IPv6 by the look of the words.
    pub fn route(&self, words: &str) -> Result<()> {
        let family = if words.contains(':') { "-6 " } else { "" };
        self.ip(&format!("{family}route add {words}"))
    }

    /// Makes the host forward IPv4 and IPv6.
    pub fn forward(&self) -> Result<()> {
        self.sysctl("net.ipv4.ip_forward=1")?;
        self.sysctl("net.ipv6.conf.all.forwarding=1")
    }

    /// `sysctl -w …`.
    pub fn sysctl(&self, setting: &str) -> Result<()> {
        self.output("sysctl", &["-q", "-w", setting]).map(drop)
    }

    /// `ip …` with words separated by blanks.
    pub fn ip(&self, words: &str) -> Result<()> {
        self.ip_output(words).map(drop)
    }

    /// The standard output of `ip …`.
    pub fn ip_output(&self, words: &str) -> Result<String> {
        output(command("ip").args(["-n", &self.name]).args(words.split(' ').filter(|w| !w.is_empty())))
    }

    /// Runs a program to its end in this host and returns its standard output; fails where it fails.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        output(self.command(program).args(args))
    }

    /// A command that runs in this host and dies with the thread that started it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.name, program]);
        command
    }

    /// Runs a function on a thread inside this host: sockets it makes stay in the host.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let inside = || {
            let namespace = File::open(Path::new("/run/netns").join(&self.name))?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            f()
        };
        thread::scope(|scope| scope.spawn(inside).join().map_err(|_| anyhow!("panicked in {}", self.name))?)
    }

    /// A UDP socket in this host.
    pub fn udp(&self, local: SocketAddr) -> Result<UdpSocket> {
        self.enter(|| UdpSocket::bind(local).with_context(|| format!("{local} in {}", self.name)))
    }

    /// A counter of the host's kernel, by its group and name in /proc/net: `Ip` and `ReasmOKs`, `TcpExt` and
    /// `TCPMD5Failure`.
    pub fn counter(&self, group: &str, name: &str) -> Result<u64> {
        let counters = self.output("cat", &["/proc/net/snmp", "/proc/net/netstat"])?;
        let mut rows = counters.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(": "));
        let (names, values) = rows.next().zip(rows.next()).with_context(|| format!("no group {group}"))?;
        let mut both = names.split(' ').zip(values.split(' '));
        let found = both.find_map(|(one, value)| (one == name).then_some(value));
        Ok(found.with_context(|| format!("no counter {name}"))?.parse()?)
    }

    /// Links, addresses, routes, rules and the sysctls of IP as text, to be compared before and after.
    pub fn configuration(&self) -> Result<String> {
        let mut all = String::new();
        let routes = ["-4 route show table all", "-6 route show table all"];
        for words in [["-br link show", "-br addr show"], routes, ["-4 rule", "-6 rule"]].concat() {
            let listed = self.ip_output(words)?;
            let mut lines: Vec<_> = listed.lines().map(str::trim_end).collect();
            lines.sort_unstable();
            writeln!(all, "{words}:\n{}", lines.join("\n"))?;
        }
        // Some can be written alone; then it fails in the end, with all the others printed.
        let sysctls = self.command("sysctl").args(["-a", "--pattern", r"^net\.ipv[46]\."]).output()?;
        all.push_str(&String::from_utf8_lossy(&sysctls.stdout));
        Ok(all)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes namespaces whose test process is gone: it was killed before it could.
pub fn remove_leftovers() -> Result<()> {
    let listed = output(command("ip").args(["netns", "list"]))?;
    for name in listed.lines().filter_map(|line| line.split(' ').next()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(pid) = owner.and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) else { continue };
        if test_kill_process(pid).is_err() {
            remove(name);
        }
    }
    Ok(())
}

/// Ends the processes that still run in the namespace, which is ours alone, and removes it.
fn remove(name: &str) {
    if let Ok(pids) = output(command("ip").args(["netns", "pids", name])) {
        for pid in pids.lines().filter_map(|pid| pid.trim().parse().ok()).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = output(command("ip").args(["netns", "del", name]));
}

/// Runs a command to its end and returns its standard output; an error holds the command and what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}\n{}{}", output.status, text, said.trim_end());
    }
    Ok(text)
}

static SERIAL: AtomicU32 = AtomicU32::new(0);

const PREFIX: &str = "gtl";

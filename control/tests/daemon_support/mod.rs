//! A gateway and two cloud endpoints in network namespaces, each side the real binary.
#![allow(clippy::unwrap_used, reason = "a test's support may panic")]
#![allow(clippy::print_stderr, reason = "a test that fails shows the log")]

#[path = "../permission/mod.rs"]
mod permission;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) use permission::permitted;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Three namespaces: `gateway` with an uplink to each of `cloud1` and `cloud2`. Removed when dropped.
pub(crate) struct World {
    tag: String,
    folder: TempDir,
    /// Of no daemon's.
    elsewhere: TempDir,
}

impl World {
    /// Lays the cables: 203.0.113.17 - .18 to the first endpoint, .33 - .34 to the second. 10.10.0.1 is a host behind
    /// the gateway, 10.200.0.1 one behind either endpoint.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("gtd{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let world = Self { tag, folder: TempDir::new().unwrap(), elsewhere: TempDir::new().unwrap() };
        let (gateway, clouds) = (world.name("gateway"), [world.name("cloud1"), world.name("cloud2")]);
        for name in [&gateway, &clouds[0], &clouds[1]] {
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link set lo up"));
        }
        ip(&format!("-n {gateway} address add 10.10.0.1/32 dev lo"));
        for (index, cloud) in clouds.iter().enumerate() {
            let (link, base) = (format!("wan{index}"), 16 * (index + 1));
            ip(&format!("-n {gateway} link add {link} type veth peer name wan netns {cloud}"));
            ip(&format!("-n {gateway} address add 203.0.113.{}/28 dev {link}", base + 1));
            ip(&format!("-n {cloud} address add 203.0.113.{}/28 dev wan", base + 2));
            // Link-local addresses that come up in their own time would blur what is left behind.
            ip(&format!("-n {gateway} link set {link} addrgenmode none up"));
            ip(&format!("-n {cloud} link set wan addrgenmode none up"));
            ip(&format!("-n {cloud} address add 10.200.0.1/32 dev lo"));
        }
        world
    }

    /// Both cloud endpoints, and the gateway with both of its tunnels up.
    pub(crate) fn connected() -> (Self, [Daemon; 2], Daemon) {
        let world = Self::new();
        let clouds = world.start_clouds();
        let daemon = world.start_gateway();
        daemon.wait_up(0);
        daemon.wait_up(1);
        (world, clouds, daemon)
    }

    /// Starts a daemon in one of the namespaces.
    pub(crate) fn start(&self, place: &str, config: &str) -> Daemon {
        let file = self.folder.path().join(format!("{place}.toml"));
        write_private(&file, config);
        let socket = self.folder.path().join(format!("{place}.sock"));
        let log = fs::File::create(self.folder.path().join(format!("{place}.log"))).unwrap();
        let child = Command::new("ip")
            .args(["netns", "exec", &self.name(place), BINARY, "run"])
            .args([Path::new("--config"), &file, Path::new("--socket"), &socket])
            .args([Path::new("--state"), self.folder.path()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child, socket, config: file }
    }

    /// Both cloud endpoints, answering.
    pub(crate) fn start_clouds(&self) -> [Daemon; 2] {
        [1, 2].map(|n| self.start(&format!("cloud{n}"), &cloud(n)))
    }

    /// The gateway as it is usually configured, on its way up.
    pub(crate) fn start_gateway(&self) -> Daemon {
        self.start("gateway", &gateway("10.200.0.0/16", PSK2))
    }

    /// Links, addresses, routes and rules of a namespace, without what changes by itself.
    pub(crate) fn network(&self, place: &str) -> String {
        [
            "-brief link",
            "-brief address",
            "route show table all",
            "-6 route show table all",
            "rule",
            "-6 rule",
        ]
        .map(|what| self.ip(place, what))
        .join("\n")
    }

    /// The answer of `ip` in a namespace.
    pub(crate) fn ip(&self, place: &str, arguments: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name(place)]).args(arguments.split(' '));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// The TCP addresses on which somebody listens in a namespace, in order.
    pub(crate) fn listeners(&self, place: &str) -> Vec<String> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(place), "ss", "-Htln"]);
        let listed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let local = listed.lines().filter_map(|line| line.split_whitespace().nth(3));
        let mut local: Vec<String> = local.map(str::to_owned).collect();
        local.sort();
        local
    }

    /// Whether a ping from the gateway's inner host to the one behind the cloud is answered.
    pub(crate) fn ping(&self) -> bool {
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &self.name("gateway"),
            "ping",
            "-c1",
            "-W2",
            "-I",
            "10.10.0.1",
            "10.200.0.1",
        ]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// Puts a hook into the folder beside the daemons' configuration; it appends a line an event to the file `events`,
    /// which is where a daemon reaches nothing.
    pub(crate) fn hook(&self) {
        let folder = self.folder.path().join("hooks.d");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("10-events");
        let events = self.elsewhere("events");
        let names = "$GOTTHARD_CONNECTION/$GOTTHARD_TUNNEL $GOTTHARD_EVENT $GOTTHARD_REASON$GOTTHARD_SA$GOTTHARD_TO $PLUTO_VERB";
        fs::write(&file, format!("#!/bin/sh\necho {names} >> {}\n", events.display())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// A file where a daemon reaches nothing.
    pub(crate) fn elsewhere(&self, file: &str) -> PathBuf {
        self.elsewhere.path().join(file)
    }

    /// What the hook was told, of the gateway's connection.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = fs::read_to_string(self.elsewhere("events")).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("aws/")).map(|line| line.trim_end().to_owned()).collect()
    }

    /// A daemon's log.
    pub(crate) fn log(&self, place: &str) -> String {
        fs::read_to_string(self.folder.path().join(format!("{place}.log"))).unwrap()
    }

    fn name(&self, place: &str) -> String {
        format!("{}-{place}", self.tag)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for place in ["gateway", "cloud1", "cloud2"] {
            if std::thread::panicking() {
                eprintln!(
                    "log of {place}:\n{}",
                    fs::read_to_string(self.folder.path().join(format!("{place}.log"))).unwrap_or_default()
                );
            }
            drop(Command::new("ip").args(["netns", "delete", &self.name(place)]).status());
        }
    }
}

/// A running daemon. Killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    config: PathBuf,
}

impl Daemon {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // `ip netns exec` becomes the program it starts, so the child is the daemon.
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end and returns whether it ended well.
    pub(crate) fn wait(mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(POLL);
        }
        panic!("the daemon does not end");
    }

    /// Replaces its configuration file.
    pub(crate) fn rewrite(&self, config: &str) {
        write_private(&self.config, config);
    }

    /// Runs a command of the command line against it; returns what it printed.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let output = Command::new(BINARY).args(arguments).arg("--socket").arg(&self.socket).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that may fail; returns its exit code and all that it said.
    pub(crate) fn outcome(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(BINARY).args(arguments).arg("--socket").arg(&self.socket).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    }

    /// Starts a command and leaves it running.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--socket").arg(&self.socket).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// A tunnel of its first connection, as in the JSON of `status`; `Null` while it does not answer.
    pub(crate) fn tunnel(&self, index: usize) -> Value {
        let text = self.command(&["status", "--output", "json"]);
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        status["connections"][0]["tunnels"][index].clone()
    }

    /// The tunnel that carries the traffic; both are up.
    pub(crate) fn active(&self) -> usize {
        usize::from(self.tunnel(1)["active"] == true)
    }

    /// Waits until a tunnel is as it should be, and returns it.
    pub(crate) fn wait_for(&self, index: usize, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let tunnel = self.tunnel(index);
            if holds(&tunnel) {
                return tunnel;
            }
            assert!(Instant::now() < deadline, "{what} never came: {tunnel:#}");
            std::thread::sleep(POLL);
        }
    }

    /// Waits until a tunnel is up, and returns it.
    pub(crate) fn wait_up(&self, index: usize) -> Value {
        self.wait_for(index, "up", |tunnel| tunnel["state"] == "up")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The gateway's configuration.
pub(crate) fn gateway(remote: &str, psk2: &str) -> String {
    format!(
        r#"
[gateway]
local = "auto"
[connection.aws]
cloud = "aws"
routing = "static"
remote = ["{remote}"]
dpd_interval = "1s"
[[connection.aws.tunnel]]
name = "1"
peer = "203.0.113.18"
inside = "169.254.10.2/30"
psk = "psk.of.tunnel.1.abc"
[[connection.aws.tunnel]]
name = "2"
peer = "203.0.113.34"
inside = "169.254.11.2/30"
psk = "{psk2}"
"#
    )
}

/// The pre-shared key of the second tunnel.
pub(crate) const PSK2: &str = "psk.of.tunnel.2.abc";

fn cloud(n: usize) -> String {
    let (local, peer) = (16 * n + 2, 16 * n + 1);
    let inside = 9 + n;
    format!(
        r#"
[gateway]
local = "203.0.113.{local}"
[connection.customer]
cloud = "generic"
routing = "static"
mode = "responder"
remote = ["10.10.0.0/16"]
[[connection.customer.tunnel]]
name = "1"
peer = "203.0.113.{peer}"
inside = "169.254.{inside}.1/30"
psk = "psk.of.tunnel.{n}.abc"
"#
    )
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: never");
        std::thread::sleep(POLL);
    }
}

const BINARY: &str = env!("CARGO_BIN_EXE_gotthard");
/// On a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

//! What is valid, but unwise: `gotthard check` warns of it.

mod bgp;

use core::ops::RangeInclusive;
use core::time::Duration;
use std::thread;
use std::time::SystemTime;

use gotthard_ike::config::Encapsulation;

use super::error::ConfigError;
use super::lifetimes::Lifetimes;
use super::load::Loaded;
use super::model::{Connection, PacketPath, Tunnel, TunnelAuth, Workers};
use super::presets::Cloud;
use crate::bgp::overlap::{Overlap, overlaps};
use crate::counted::counted;

/// All warnings, in the order of the file. They have the form of errors: place, key, what, and what to write instead.
pub fn lint(loaded: &Loaded) -> Vec<ConfigError> {
    let mut warnings = Warnings { loaded, found: Vec::new() };
    warnings.debug_keys();
    warnings.packet_path();
    warnings.web();
    for connection in &loaded.config.connections {
        warnings.connection(connection);
        for (index, tunnel) in connection.tunnels.iter().enumerate() {
            warnings.tunnel(connection, index, tunnel);
        }
    }
    warnings.overlaps();
    warnings.found
}

struct Warnings<'l> {
    loaded: &'l Loaded,
    found: Vec<ConfigError>,
}

impl Warnings<'_> {
    fn connection(&mut self, connection: &Connection) {
        let key = |key: &str| format!("connection.{}.{key}", connection.name);
        if connection.tunnels.len() == 1 {
            self.warn(
                key("tunnel"),
                "there is one tunnel: the cloud's maintenance of its endpoint is an outage",
                "write a second [[…tunnel]] to the cloud's other endpoint",
            );
        }
        self.suites(connection);
        self.lifetimes(connection);
        self.peer_window(connection);
        self.certificates(connection);
        self.bgp(connection);
        if connection.mtu < IPV6_MINIMUM {
            self.warn(
                key("mtu"),
                format!("{} is below what IPv6 needs: no IPv6 packet crosses these tunnels", connection.mtu),
                "write 1280 or more",
            );
        }
        if connection.cloud == Cloud::Aws && connection.encapsulation == Encapsulation::Esp {
            self.warn(
                key("encapsulation"),
                "raw ESP has no segmentation offload and crosses no NAT",
                "write encapsulation = \"udp\" (AWS takes it), or remove the key",
            );
        }
    }

    /// What ends soon: a peer refuses our certificate after its end, and we refuse the peer's after the lists'.
    fn certificates(&mut self, connection: &Connection) {
        let Some(TunnelAuth::Certificates(certificates)) = connection.tunnels.first().map(|t| &t.auth) else {
            return;
        };
        let key = |key: &str| format!("connection.{}.{key}", connection.name);
        let Some(now) = unix_now() else { return };
        if let Some(end) = certificates.end().filter(|end| *end < now + SOON) {
            let problem = format!("the certificate {}", ends(end, now));
            self.warn(key("cert"), problem, "let the authority issue a new one, and `gotthard reload`");
        }
        if let Some(end) = certificates.lists_end().iter().min().filter(|end| **end < now) {
            let problem = format!("a revocation list {}", ends(*end, now));
            self.warn(key("crl"), problem, "fetch the new list of the authority, and `gotthard reload`");
        }
    }

    /// A rekey needs its time: the peer's answer may have to be asked for again.
    fn lifetimes(&mut self, connection: &Connection) {
        let Lifetimes { ike, child, bytes, packets, .. } = connection.lifetimes;
        let key = |key: &str| format!("connection.{}.{key}", connection.name);
        for (name, lifetime) in [("ike_lifetime", ike), ("child_lifetime", child)] {
            if lifetime < SHORT_LIFETIME {
                self.warn(
                    key(name),
                    "so short a lifetime is for tests: a peer that is unreachable for a minute loses the tunnel",
                    "write 15m or more: AWS permits no less",
                );
            }
        }
        for (name, limit, least) in
            [("child_bytes", bytes, FEW_BYTES), ("child_packets", packets, FEW_PACKETS)]
        {
            if limit.is_some_and(|limit| limit < least) {
                self.warn(
                    key(name),
                    "at a tunnel's full rate the quarter that is left to a rekey is over within seconds",
                    &format!("write {least} or more, or remove the key"),
                );
            }
        }
    }

    fn debug_keys(&mut self) {
        if let Some(path) = &self.loaded.config.gateway.debug_keys {
            self.warn(
                "gateway.debug_keys".to_owned(),
                format!(
                    "the keys of every SA are written to {}: who reads it reads the traffic",
                    path.display()
                ),
                "remove the key when the capture is decrypted, and then the file and FILE.esp",
            );
        }
    }

    /// The page has no password and no encryption of its own.
    fn web(&mut self) {
        if let Some(address) = self.loaded.config.gateway.web.filter(|address| !address.ip().is_loopback()) {
            self.warn(
                "gateway.web".to_owned(),
                format!("whoever reaches {address} reads the status: addresses of peers, rates, events"),
                "write \"127.0.0.1:8477\" and reach it through ssh -L, or through a proxy that asks who it is",
            );
        }
    }

    fn packet_path(&mut self) {
        let PacketPath { workers, offloads, .. } = self.loaded.config.gateway.packet_path;
        let cores = thread::available_parallelism().map_or(usize::MAX, usize::from);
        if let Workers::Count(workers) = workers
            && workers > cores
        {
            self.warn(
                "gateway.workers".to_owned(),
                format!(
                    "{workers} threads on {cores} cores: they take turns, and move less than fewer would"
                ),
                "write workers = \"auto\", or remove the key",
            );
        }
        if !offloads {
            self.warn(
                "gateway.offloads".to_owned(),
                "the kernel hands over each packet on its own, which costs most of the throughput",
                "remove the key, unless an offload of this host's kernel is at fault",
            );
        }
    }

    /// Several workers share an SA by batches of at most a quarter of the peer's window.
    fn peer_window(&mut self, connection: &Connection) {
        let window = connection.peer_replay_window;
        let key = format!("connection.{}.peer_replay_window", connection.name);
        if connection.cloud == Cloud::Aws && !AWS_WINDOWS.contains(&window) {
            self.warn(
                key.clone(),
                format!("AWS cannot have a window of {window} packets: it takes 64 to 2048"),
                "write what the tunnel's options on AWS say, or remove the key",
            );
        }
        let one = matches!(self.loaded.config.gateway.packet_path.workers, Workers::Count(1));
        if window < WINDOW_FOR_BATCHES && !one {
            self.warn(
                key,
                format!("a window of {window} packets leaves several workers room for small batches only"),
                "widen the peer's window to 128 or more, or write workers = 1 below [gateway]",
            );
        }
    }

    /// What the operator wrote; a preset's suites are our own choice. What is broken is refused, not warned of.
    fn suites(&mut self, connection: &Connection) {
        let esp = format!("connection.{}.esp", connection.name);
        if let Some(suite) = connection.esp.iter().find(|suite| suite.group.is_none()) {
            self.warn_if_written(
                &esp,
                format!(
                    "{suite} has no PFS: who learns the keys of one IKE SA reads all that was sent under it"
                ),
                "add a group where the peer takes one, as in \"aes256gcm16-ecp256\"",
            );
        }
        if connection.cloud != Cloud::Aws {
            return;
        }
        let ike = format!("connection.{}.suites", connection.name);
        for (key, count) in [(ike, connection.suites.len()), (esp, connection.esp.len())] {
            if count > 1 {
                self.warn_if_written(
                    &key,
                    "AWS takes the lowest that both sides share, whatever the order",
                    "write the one suite that you want",
                );
            }
        }
    }

    fn tunnel(&mut self, connection: &Connection, index: usize, tunnel: &Tunnel) {
        let key = |key: &str| format!("connection.{}.tunnel[{}].{key}", connection.name, index + 1);
        if let TunnelAuth::Psk(psk) = &tunnel.auth
            && connection.cloud == Cloud::Aws
            && !aws_psk(&psk.0)
        {
            self.warn(
                key("psk"),
                "AWS cannot have this pre-shared key: it takes 8 to 64 letters, digits, '.' and '_', not starting with 0",
                "copy the key again from the file that AWS hands out",
            );
        }
        if let Some(why) = tunnel.inside.and_then(|inside| connection.cloud.refuses_inside(inside)) {
            self.warn(key("inside"), why, "write the inside address that the cloud's console shows");
        }
        if tunnel.peer_asn.is_some() && tunnel.peer_asn == self.loaded.config.gateway.asn {
            self.warn(
                key("peer_asn"),
                "it is our own: the clouds speak external BGP only",
                "write the cloud's AS number",
            );
        }
    }

    /// Prefixes that two networks claim, in the words of the daemon; and outer addresses of peers behind their own tunnels.
    fn overlaps(&mut self) {
        let config = &self.loaded.config;
        for overlap in overlaps(config.claims()) {
            let claimed = |connection: &&Connection| overlap.is_of(&connection.name);
            let Some(connection) = config.connections.iter().rfind(claimed) else { continue };
            self.warn(
                format!("connection.{}.remote", connection.name),
                format!("{}: {overlap}", overlap.code()),
                Overlap::remedy(),
            );
        }
        for connection in &config.connections {
            for prefix in &connection.remote {
                for (_, tunnel) in config.tunnels().filter(|(_, tunnel)| prefix.contains(&tunnel.peer)) {
                    self.warn(
                        format!("connection.{}.remote", connection.name),
                        format!("{prefix} holds {}, the outer address of a peer", tunnel.peer),
                        "leave the peer's outer address out; a tunnel cannot be reached through itself",
                    );
                }
            }
        }
    }

    fn warn_if_written(&mut self, key: &str, problem: impl Into<String>, remedy: &str) {
        if self.loaded.places.contains_key(key) {
            self.warn(key.to_owned(), problem, remedy);
        }
    }

    fn warn(&mut self, key: String, problem: impl Into<String>, remedy: &str) {
        let (file, line) = self.loaded.place(&key);
        let (problem, remedy) = (problem.into(), remedy.to_owned());
        self.found.push(ConfigError { file, line, column: 0, key, problem, remedy });
    }
}

/// The wall clock, since 1970; `None` where it is before.
fn unix_now() -> Option<Duration> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()
}

fn ends(end: Duration, now: Duration) -> String {
    let days = end.abs_diff(now).as_secs() / SECONDS_OF_DAY;
    let days = counted(days, "day", "days");
    if end < now { format!("expired {days} ago") } else { format!("ends in {days}") }
}

/// Pre-shared keys that AWS allows.
fn aws_psk(psk: &[u8]) -> bool {
    (8..=64).contains(&psk.len())
        && !psk.starts_with(b"0")
        && psk.iter().all(|octet| octet.is_ascii_alphanumeric() || b"._".contains(octet))
}

/// A peer of ours is given up after 11.5 s of silence; what is shorter than a few such times leaves a rekey no second try.
const SHORT_LIFETIME: Duration = Duration::from_mins(5);
/// A quarter of them takes 5 s at 1.25 Gbps, the ceiling of an AWS tunnel.
const FEW_BYTES: u64 = 3_200_000_000;
/// A quarter of them takes 5 s at 140,000 packets/s, the ceiling of an AWS tunnel.
const FEW_PACKETS: u64 = 2_800_000;
/// What AWS takes as the replay window of a tunnel.
const AWS_WINDOWS: RangeInclusive<u32> = 64..=2048;
/// The narrowest that a peer of the clouds or strongSwan's user-space ESP has; a quarter of it still is half a batch.
const WINDOW_FOR_BATCHES: u32 = 128;
/// Before its end a certificate is to be renewed.
const SOON: Duration = Duration::from_hours(30 * 24);
const SECONDS_OF_DAY: u64 = 86_400;
/// Smallest link MTU of IPv6 (RFC 8200 §5).
const IPV6_MINIMUM: u16 = 1280;

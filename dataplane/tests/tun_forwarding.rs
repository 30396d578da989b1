//! Two data planes in network namespaces, over TUN devices and a veth pair: ping and TCP cross them. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a failed test is what a panic is for"
)]

mod tun_support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::{BackendChoice, Options};
use gotthard_dataplane::sa::spec::Encapsulation;
use tun_support::{Hosts, Static, offered, set_up, start, stats};

const GCM: Transform = Transform::Aes256Gcm16;
const CBC: Transform = Transform::Aes256Cbc(Hmac::Sha256);

#[test]
fn ping_and_tcp_cross_in_udp_over_ipv4() {
    crosses(GCM, Encapsulation::Udp, false, 1);
}

#[test]
fn ping_and_tcp_cross_in_udp_over_ipv6() {
    crosses(CBC, Encapsulation::Udp, true, 1);
}

#[test]
fn ping_and_tcp_cross_as_esp_over_ipv4() {
    crosses(CBC, Encapsulation::Esp, false, 1);
}

#[test]
fn ping_and_tcp_cross_as_esp_over_ipv6() {
    crosses(GCM, Encapsulation::Esp, true, 1);
}

#[test]
fn ping_and_tcp_cross_with_three_workers() {
    crosses(GCM, Encapsulation::Udp, false, 3);
}

/// Every way that the host offers to move packets.
fn crosses(transform: Transform, encapsulation: Encapsulation, outer_v6: bool, workers: usize) {
    for backend in [BackendChoice::IoUring, BackendChoice::Syscalls] {
        for offloads in [true, false] {
            if offered(backend) {
                let options = Options { workers, backend, offloads, ..Options::default() };
                ping_and_tcp_cross(&options, Static::pair(transform, encapsulation, outer_v6));
            }
        }
    }
}

/// Inner IPv4 and IPv6, ping and TCP, both ways.
fn ping_and_tcp_cross(options: &Options, [left, right]: [Static; 2]) {
    let Some(hosts) = Hosts::new() else { return };
    let planes = [start(&hosts.left, options.clone(), left), start(&hosts.right, options.clone(), right)];
    set_up(&hosts.left, "1");
    set_up(&hosts.right, "2");

    for target in ["10.9.0.2", "fd09::2"] {
        hosts.left.exec(&["ping", "-c", "3", "-i", "0.05", "-W", "5", target]).unwrap();
        hosts.left.exec(&["ping", "-c", "3", "-i", "0.05", "-W", "5", "-s", "1300", target]).unwrap();
        move_octets(&hosts, target.parse().unwrap());
    }
    for plane in &planes {
        let stats = stats(plane);
        assert!(stats.rx_bytes > OCTETS as u64 && stats.tx_bytes > OCTETS as u64, "{stats:?}");
        // One end's device is up before the other's, and then the host's first multicast has nowhere to go.
        let harmless = ["tun_failed", "send_full", "tun_full"];
        let faults: Vec<_> =
            stats.drops.iter().filter(|(r, n)| *n > 0 && !harmless.contains(&r.name())).collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
    // A ring hands what would block to a thread of its own; nothing here should.
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
    let names: Vec<_> = tasks.filter_map(|comm| std::fs::read_to_string(comm).ok()).collect();
    assert!(!names.iter().any(|name| name.starts_with("iou-wrk")), "{names:?}");
}

/// Sends a pattern from left to right and back; every octet must arrive as it was.
fn move_octets(hosts: &Hosts, target: std::net::IpAddr) {
    let pattern: Vec<u8> = (0..OCTETS).map(|n| n.to_le_bytes()[n % 3]).collect();
    let listener = hosts.right.inside(move || TcpListener::bind(SocketAddr::new(target, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    let echo = hosts.right.spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&received).unwrap();
    });
    let sent = pattern.clone();
    let received = hosts.left.inside(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received
    });
    echo.join().unwrap();
    assert!(received == pattern, "{} octets of {} came back, or others", received.len(), pattern.len());
}

/// Moved each way by each TCP stream.
const OCTETS: usize = 1 << 20;

//! Cutting and putting together against the host's own kernel: two TUN devices in namespaces of their own, what comes out
//! of one is cut, checked octet for octet, put together again and given to the other. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed test is what a panic is for, and a skipped one says so"
)]
#![allow(clippy::cast_possible_truncation, reason = "lengths below 65,536")]

mod offload_support;
mod tun_support;

use std::io::{IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use gotthard_dataplane::offload::coalesce::Coalescer;
use gotthard_dataplane::offload::split::Segments;
use gotthard_dataplane::offload::virtio::{self, VirtioHeader};
use gotthard_dataplane::sys::mmsg::{Message, Sender};
use gotthard_dataplane::sys::tun::{self, Offloads};
use offload_support::{is_right, pattern};
use rustix::event::{PollFd, PollFlags, poll};
use tun_support::{Hosts, Namespace, TUN, set_up};

#[test]
fn the_hosts_tcp_takes_what_was_put_together() {
    let Some(hosts) = Hosts::new() else { return };
    let cable = Cable::plug(&hosts);
    for target in ["10.9.0.2", "fd09::2"] {
        stream(&hosts, target.parse().unwrap());
    }
    let checksum_errors = hosts.right.inside(|| counter("Tcp:", "InCsumErrors"));
    let [there, back] = cable.unplug();
    assert_eq!(checksum_errors, 0);
    for carried in [there, back] {
        assert!(carried.cut > 0, "the host hands over super-packets: {carried:?}");
        assert!(carried.joined > 0, "{carried:?}");
    }
}

#[test]
fn the_hosts_udp_takes_what_was_put_together() {
    let Some(hosts) = Hosts::new() else { return };
    let cable = Cable::plug(&hosts);
    for (from, to) in [("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2")] {
        datagrams(&hosts, from.parse().unwrap(), to.parse().unwrap());
    }
    let errors = hosts.right.inside(|| counter("Udp:", "InErrors"));
    let udp = cable.udp;
    let [there, _] = cable.unplug();
    assert_eq!(errors, 0);
    if udp {
        assert!(there.cut > 0 && there.joined > 0, "{there:?}");
    } else {
        eprintln!(
            "the kernel has no UDP super-packets for TUN devices (Linux 6.2): single ones were carried"
        );
    }
}

/// Sends octets from left to right and back.
fn stream(hosts: &Hosts, target: IpAddr) {
    let listener = hosts.right.inside(move || TcpListener::bind(SocketAddr::new(target, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    let echo = hosts.right.spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&received).unwrap();
    });
    let received = hosts.left.inside(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&pattern(OCTETS)).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received
    });
    echo.join().unwrap();
    assert!(received == pattern(OCTETS), "{} octets came back, or others", received.len());
}

/// Sends datagrams as super-packets, and waits for each of them.
fn datagrams(hosts: &Hosts, from: IpAddr, to: IpAddr) {
    let receiver = hosts.right.inside(move || UdpSocket::bind(SocketAddr::new(to, 0)).unwrap());
    let to = receiver.local_addr().unwrap();
    receiver.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let sender = hosts.left.inside(move || UdpSocket::bind(SocketAddr::new(from, 0)).unwrap());
    let data = pattern(40 * 1000 + 300);
    for _ in 0..10 {
        let message = Message { to, from: None, tos: 0, segment: Some(1000), data: &data };
        assert_eq!(Sender::new().send(sender.as_fd(), [message]).unwrap(), 1);
        for expected in data.chunks(1000) {
            let mut datagram = [0; 2000];
            let len = receiver.recv(&mut datagram).unwrap();
            assert!(datagram[..len] == *expected);
        }
    }
}

/// What joins the two TUN devices.
struct Cable {
    there: JoinHandle<Carried>,
    back: JoinHandle<Carried>,
    udp: bool,
    /// Closed to end both threads.
    stop: OwnedFd,
}

/// What went one way.
#[derive(Debug, Default)]
struct Carried {
    /// Frames that were cut in two or more.
    cut: u64,
    /// Writes of two or more packets.
    joined: u64,
}

impl Cable {
    fn plug(hosts: &Hosts) -> Self {
        let [left, right] =
            [(&hosts.left, "1"), (&hosts.right, "2")].map(|(host, number)| open(host, number));
        let udp = left.offloads.udp && right.offloads.udp;
        let (stopped, stop) = rustix::pipe::pipe().unwrap();
        let stopped_too = stopped.try_clone().unwrap();
        let (far_left, far_right) = (left.clone(), right.clone());
        Self {
            there: std::thread::spawn(move || carry(&left, &far_right, &stopped)),
            back: std::thread::spawn(move || carry(&right, &far_left, &stopped_too)),
            udp,
            stop,
        }
    }

    fn unplug(self) -> [Carried; 2] {
        drop(self.stop);
        [self.there, self.back].map(|thread| thread.join().unwrap())
    }
}

/// A TUN device.
#[derive(Clone)]
struct End {
    queue: Arc<OwnedFd>,
    offloads: Offloads,
}

fn open(host: &Namespace, number: &str) -> End {
    let device = host.inside(|| tun::create(TUN, 1, true).unwrap());
    set_up(host, number);
    End { queue: device.queues.into_iter().next().unwrap().into(), offloads: device.offloads }
}

/// Carries frames until `stopped` has no writer.
fn carry(from: &End, to: &End, stopped: &OwnedFd) -> Carried {
    let mut coalescer = Coalescer::new(to.offloads.tcp, to.offloads.udp);
    let mut frame = vec![0; virtio::LEN + 65_535];
    let mut carried = Carried::default();
    loop {
        let mut ready = [PollFd::new(&from.queue, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        poll(&mut ready, None).unwrap();
        if !ready[1].revents().is_empty() {
            return carried;
        }
        let mut packets = Vec::new();
        while packets.len() < BURST
            && let Ok(len) = rustix::io::read(&from.queue, &mut frame)
        {
            let segments = cut(&mut frame[..len]);
            carried.cut += u64::from(segments.len() > 1);
            packets.extend(segments);
        }
        coalescer.clear();
        for (place, packet) in packets.iter().enumerate() {
            assert!(is_right(&packet[virtio::LEN..]), "{packet:02x?}");
            coalescer.push(0, place, virtio::LEN..packet.len(), &packet[virtio::LEN..]);
        }
        for group in coalescer.groups() {
            let mut pieces = group.pieces();
            let (head, _) = pieces.next().unwrap();
            group.write_header(&mut packets[head]);
            let mut vectors = vec![IoSlice::new(&packets[head])];
            vectors.extend(pieces.map(|(place, octets)| IoSlice::new(&packets[place][octets])));
            rustix::io::writev(&to.queue, &vectors).unwrap();
            carried.joined += u64::from(group.packets() > 1);
        }
    }
}

/// The packets of a frame, each with room for a virtio header.
fn cut(frame: &mut [u8]) -> Vec<Vec<u8>> {
    let (header, packet) = VirtioHeader::parse(frame).unwrap();
    let mut segments = Segments::new(header, packet).unwrap();
    let mut all = Vec::new();
    while let Some(len) = segments.next_len() {
        assert!(len <= MTU);
        let mut segment = vec![0; virtio::LEN + len];
        segments.write_next(&mut segment[virtio::LEN..]).unwrap();
        all.push(segment);
    }
    all
}

/// A counter of this thread's network namespace.
fn counter(group: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|n| n == name).unwrap();
    values.split(' ').nth(place).unwrap().parse().unwrap()
}

/// As [`set_up`] sets it.
const MTU: usize = 1400;
/// Packets that are looked at together.
const BURST: usize = 128;
/// Sent each way by each stream.
const OCTETS: usize = 4 << 20;

//! Two workers over each of the back ends that use the kernel, with sockets on loopback; pairs of datagram sockets stand in
//! for TUN devices, so that no privilege is needed.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr,
    reason = "a failed test is what a panic is for, and a skipped one says so"
)]

mod worker_support;

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::{Notice, Reply};
use gotthard_dataplane::io::sockets::Sockets;
use gotthard_dataplane::io::syscalls::Syscalls;
use gotthard_dataplane::io::tun::TunQueue;
use gotthard_dataplane::io::uring::{self, Uring};
use gotthard_dataplane::natt;
use gotthard_dataplane::sa::inbound::InboundSa;
use gotthard_dataplane::sa::outbound::OutboundSa;
use gotthard_dataplane::sa::spec::{Encapsulation, OuterPath, TunnelSpec};
use gotthard_dataplane::sys::wake::Waker;
use gotthard_dataplane::worker::mailbox::{Mailbox, Order, Receipt};
use gotthard_dataplane::worker::{Sending, Worker};
use worker_support::{LEFT, RIGHT, TUN, TUNNEL, inbound_spec, outbound_spec, udp};

/// A back end.
#[derive(Clone, Copy, Debug)]
enum Via {
    Syscalls,
    Uring,
}

impl Via {
    /// Those that this host has.
    fn all() -> Vec<Self> {
        match uring::available() {
            Ok(()) => vec![Self::Syscalls, Self::Uring],
            Err(why) => {
                eprintln!("skipped: io_uring: {why}");
                vec![Self::Syscalls]
            }
        }
    }
}

/// A worker on its thread.
struct Running {
    mailbox: Mailbox<TunQueue>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
    host: UnixDatagram,
    notices: mpsc::Receiver<Notice>,
}

impl Running {
    fn new(via: Via, ip: &str) -> Self {
        let sockets = Arc::new(Sockets::open(&[SocketAddr::new(ip.parse().unwrap(), 0)], true).unwrap());
        let address = sockets.iter().next().unwrap().1.local();
        let waker = Waker::new().unwrap();
        let (mailbox, orders) = Mailbox::new(waker.clone());
        let (sink, notices) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let notices = Arc::new(move |notice| drop(sink.send(notice)));
            match via {
                Via::Syscalls => {
                    Worker::new(Syscalls::new(sockets, true, waker).unwrap(), orders, notices).run();
                }
                Via::Uring => Worker::new(Uring::new(sockets, true, waker).unwrap(), orders, notices).run(),
            }
        });
        let (host, device) = UnixDatagram::pair().unwrap();
        host.set_read_timeout(Some(PATIENCE)).unwrap();
        device.set_nonblocking(true).unwrap();
        let running = Self { mailbox, thread: Some(thread), address, host, notices };
        let tunnel = TunnelSpec { id: TUNNEL, interface: TUN.into(), mtu_cap: 1446, outer_mtu: 1500 };
        running.tell(Order::AddTunnel(tunnel, vec![TunQueue::from_fd(device.into())]));
        running
    }

    fn tell(&self, order: Order<TunQueue>) {
        let (sender, receiver) = mpsc::channel();
        self.mailbox.post(order, &Receipt::new(Box::new(move |reply| sender.send(reply).unwrap())));
        assert!(matches!(receiver.recv_timeout(PATIENCE).unwrap(), Reply::Done));
    }

    fn install(&self, peer: &Self, transform: Transform, ours: u32, theirs: u32) {
        let path = self.path_to(peer);
        let inbound = InboundSa::new(&inbound_spec(ours, transform)).unwrap();
        let outbound = OutboundSa::new(&outbound_spec(theirs, transform, path)).unwrap();
        self.tell(Order::InstallInbound(Box::new(inbound)));
        self.tell(Order::InstallOutbound(Arc::new(Sending::new(outbound)), path));
    }

    fn path_to(&self, peer: &Self) -> OuterPath {
        OuterPath { local: self.address, remote: peer.address, encapsulation: Encapsulation::Udp }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.mailbox.post(Order::Stop, &Receipt::new(Box::new(drop)));
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn packets_cross_real_sockets_in_order_and_whole() {
    for via in Via::all() {
        for transform in [Transform::Aes256Gcm16, Transform::Aes256Cbc(Hmac::Sha256)] {
            for ip in ["127.0.0.1", "::1"] {
                let (left, right) = (Running::new(via, ip), Running::new(via, ip));
                left.install(&right, transform, LEFT, RIGHT);
                right.install(&left, transform, RIGHT, LEFT);
                for round in 0..20 {
                    // Equal sizes, a shorter one, a longer one, another TOS octet: several runs of one batch.
                    let sizes = [(1400, 0), (1400, 0), (300, 0), (900, 0), (900, 0xb8)];
                    let packets = sizes.map(|(len, tos)| udp(round % 2 == 1, tos, len, round));
                    for (from, to) in [(&left, &right), (&right, &left)] {
                        cross(&packets, from, to);
                    }
                }
            }
        }
    }
}

/// Sends packets from one host to the other, which must receive the same.
fn cross(packets: &[Vec<u8>], from: &Running, to: &Running) {
    for packet in packets {
        assert_eq!(from.host.send(packet).unwrap(), packet.len());
    }
    for packet in packets {
        let mut buffer = [0; 2048];
        let len = to.host.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], packet);
    }
}

#[test]
fn an_ike_message_longer_than_the_path_still_leaves() {
    for via in Via::all() {
        let (left, right) = (Running::new(via, "127.0.0.1"), Running::new(via, "127.0.0.1"));
        for len in [0, 28, 5_000] {
            let message = vec![7; len];
            let datagram = [&natt::NON_ESP_MARKER[..], &message].concat();
            left.tell(Order::Send(left.path_to(&right), datagram));
            match right.notices.recv_timeout(PATIENCE).unwrap() {
                Notice::Ike { local, remote, payload } => {
                    assert_eq!((local, remote, payload), (right.address, left.address, message));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// How long what takes a millisecond may take.
const PATIENCE: Duration = Duration::from_secs(10);
